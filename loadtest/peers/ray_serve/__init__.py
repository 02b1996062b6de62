"""The same student under Ray Serve."""
