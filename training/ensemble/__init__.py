"""Combine the members' opinions into one: meta-features, and the strategies that learn from them."""
