"""The process that watches: reads the live log, never stands in the way of a request."""
