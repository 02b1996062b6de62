"""Limits on how much may be at work at once, and for how long."""
