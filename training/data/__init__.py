"""From a shop's raw files to clean tables, integer arrays and a split by time."""
