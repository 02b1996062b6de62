"""Clients that do what no good client does, in their own process: `python -m loadtest.faults.hostile KIND …`."""
