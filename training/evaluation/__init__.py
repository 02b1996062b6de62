"""What is measured of a run, and the report that shows it."""
