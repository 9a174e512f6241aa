"""Sweeps: many runs over a space of settings, drained by any number of workers, and figures of what came out."""
