"""Figures of an example, of a run's curve and of answers read early, made without pyplot: no display is needed."""
