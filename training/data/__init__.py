"""Turn a shop's raw files into clean tables, integer arrays and a split by time."""
