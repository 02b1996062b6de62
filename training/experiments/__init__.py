"""Estimates of an arm from what other arms answered, before anybody sees it."""
