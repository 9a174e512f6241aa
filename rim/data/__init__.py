"""The data room: readers of published tasks, generated tasks, and examples encoded once."""
