"""From a new bundle to the one in service: train on what came in, compare, try out, and only then promote."""
