"""HTTP/1.1 for uvicorn: within bounds, with a short path for plain requests."""
