"""The causal language model: loading, the memory tokens, attention over trees, decoding, and the proof that it is right."""
