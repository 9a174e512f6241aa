"""What answering costs, measured side by side: latency, work and memory of every method on one model."""
