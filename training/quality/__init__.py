"""What a run measures, as it is written: the one schema of evaluation.json, quality.json and the page."""
