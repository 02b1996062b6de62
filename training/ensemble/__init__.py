"""From the members' opinions to one: meta-features, and the strategies that learn to combine them."""
