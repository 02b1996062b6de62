"""The process around its work: listening, draining, and collecting garbage."""
