"""The operators' routes, and the port that they may have to themselves."""
