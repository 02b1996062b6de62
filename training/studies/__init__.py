"""Studies beside the run: each asks one question about what was trained, and answers with a table for the report."""
