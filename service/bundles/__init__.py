"""The bundle in service: found in the store, verified, and prepared for requests."""
