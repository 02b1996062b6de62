"""From histories to ranked items: one scoring thread, batches of whatever waits."""
