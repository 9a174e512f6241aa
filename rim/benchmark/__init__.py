"""What answering costs, measured side by side: waiting times, work and memory of every method on one model."""
