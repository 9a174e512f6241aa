"""A run on disk: its folder, checkpoints, what ran it, and the processes and locks of runs."""
