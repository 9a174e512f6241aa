"""The causal language model: loading, memory tokens, attention over trees, decoding, and the proof that it is right."""
