"""Redis over a single connection: addresses, commands and replies, and a circuit breaker."""
