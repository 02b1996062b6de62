"""The drill of the live log: send events at a steady rate, kill everything around them, then count them."""
