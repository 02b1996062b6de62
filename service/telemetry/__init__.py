"""What is told of the service: metrics and log lines."""
