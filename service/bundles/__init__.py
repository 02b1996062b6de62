"""The bundle in service: followed, verified, and made ready for requests."""
