"""Experiments at run time: who gets which arm, what was shown to whom, and what came of it."""
