"""Clients that do what no good one does, in a process of their own: `python -m loadtest.faults.hostile KIND …`."""
