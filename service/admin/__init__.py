"""What operators may do while the service runs: behind keys, written down, on a port of its own if asked."""
