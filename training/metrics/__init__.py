"""Measure how well a ranking answers the questions of a split, and whether a difference is significant."""
