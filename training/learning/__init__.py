"""Learn from one split: fit the members and the ensemble over them, and distil the student."""
