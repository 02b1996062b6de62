"""Experiments at run time: which arms are stopped, and what is reported of each experiment."""
