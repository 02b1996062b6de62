"""HTTP/1.1 as uvicorn is to speak it: within bounds, and a plain request without a detour."""
