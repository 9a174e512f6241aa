"""Answers read before all blocks: how sure they are, when to stop, and what it costs."""
