"""A bundle on disk: written whole, verified to the last byte, and promoted."""
