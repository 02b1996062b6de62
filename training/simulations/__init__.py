"""Simulate worlds with a known truth, in which monitoring and experiments are judged."""
