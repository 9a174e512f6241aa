"""What every report is made of: intervals, tables, figures, TensorBoard events, and where numbers come from."""
