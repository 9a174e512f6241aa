"""RiM: train, compare and measure language models that reason in memory blocks."""

__version__ = "0.1.0"
