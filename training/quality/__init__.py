"""The figures that a run measures: the one schema of evaluation.json, quality.json and the page."""
