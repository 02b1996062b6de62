"""Ranks items from histories: one scoring thread takes batches of whatever waits."""
