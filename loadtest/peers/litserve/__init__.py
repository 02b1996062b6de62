"""The same student under LitServe."""
