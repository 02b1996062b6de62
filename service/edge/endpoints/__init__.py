"""Handles one request: reads and decodes its body, calls the route, and turns errors into problem documents."""
