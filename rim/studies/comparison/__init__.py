"""Comparison: methods × seeds under one budget, trained by one harness; tables, figures and paired differences."""
