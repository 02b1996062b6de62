"""Statistics that need scipy: for the monitor and for training, never for the service."""
