"""Experiments: the declaration file, the assignment of units to arms, and the statistics that judge arms."""
