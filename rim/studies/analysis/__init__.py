"""What blocks hold and whether answers depend on it: interventions, probes, lenses, projections, attention."""
