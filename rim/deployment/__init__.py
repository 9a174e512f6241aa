"""Use a trained model outside a run: ask it, export it as a Hugging Face folder, serve it."""
