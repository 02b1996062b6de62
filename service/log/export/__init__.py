"""Exports the live log to Parquet: each accepted event exactly once, whenever this is killed."""
