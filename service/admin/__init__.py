"""Operators' changes to a running service: they need a key and are audited, on a port of their own if asked."""
