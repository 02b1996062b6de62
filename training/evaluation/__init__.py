"""Measure a run, and write the report that shows the results."""
