"""The answers after every block: how sure they are, and which of them to choose."""
