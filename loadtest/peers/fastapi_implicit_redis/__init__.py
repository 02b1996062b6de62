"""What one writes first: FastAPI, pydantic, `implicit`'s own recommend, one awaited read of Redis."""
