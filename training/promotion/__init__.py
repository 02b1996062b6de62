"""Take a new bundle into service: train on what came in, compare, try out, and only then promote."""
