"""The monitor process: it reads the live log and is in no request's way."""
