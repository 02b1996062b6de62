"""The way in: connections, requests and their routes, and what a client is told of a fault."""
