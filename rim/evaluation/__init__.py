"""Scoring: predictions, metrics, controls, the selection protocol and the report."""
