"""Answers requests before the first bundle is in service, from the items that the shop's own events name."""
