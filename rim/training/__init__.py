"""Training: the plan of stages, the LightningModule, the curriculum callback, selection, logs."""
