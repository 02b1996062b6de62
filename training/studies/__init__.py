"""Studies beside the run: each answers one question about what was trained by a table in the report."""
