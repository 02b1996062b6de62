"""No model at all: everybody's list was made last night and lies in Redis."""
