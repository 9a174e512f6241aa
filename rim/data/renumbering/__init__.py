"""New numbers for a question in words, and its chain of equations computed anew."""
