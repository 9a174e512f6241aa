"""Studies of one finished run or of many: comparison, sweeps, benchmark and analysis; none imports another."""
