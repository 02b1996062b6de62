"""Online: HTTP in, recommendations out, inside a deadline. Imports `models`, never `training`."""
