"""The tasks, one file each: where the rows of each split lie, and how a row becomes an example."""
