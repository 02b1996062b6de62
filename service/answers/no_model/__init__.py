"""Answers before the first bundle is in service, made of what the shop's own events name."""
