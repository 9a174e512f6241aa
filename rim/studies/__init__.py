"""Studies of many runs or methods: comparison, sweeps and benchmark stand side by side, and none imports another."""
