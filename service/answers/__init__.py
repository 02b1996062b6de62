"""Answers a request: assigns an arm, ranks items or falls back to a lower tier, and logs the impression."""
