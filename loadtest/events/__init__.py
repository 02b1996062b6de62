"""The drill of the live log: events at a steady rate while everything around them is killed, then a count."""
