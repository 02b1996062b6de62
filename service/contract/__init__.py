"""What clients rely on: what they send, what they get, and every fault with its meaning."""
