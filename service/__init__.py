"""The service: HTTP in, recommendations out, inside a deadline. It imports `models`, never `training`."""
