"""Figures of an example, of a run's curve and of answers read early.

They are made without pyplot, so nothing is kept open and no display is needed.
"""
