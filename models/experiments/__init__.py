"""Experiments: the declaration file, who gets which arm, and the statistics that judge arms."""
