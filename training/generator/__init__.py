"""Shops that are made up: items, people and what they do, in any number."""
