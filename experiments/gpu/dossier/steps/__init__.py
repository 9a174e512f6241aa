"""The steps, a module each: `run(report)` does the units of a step that are not done yet."""
