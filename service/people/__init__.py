"""Finds what a person did: in process memory, else by one coalesced Redis read, else in the bundle's cold copy."""
