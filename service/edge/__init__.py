"""The HTTP edge: connections, requests and their routes, and how errors become replies."""
