"""What the service reports of itself: metrics and log lines."""
