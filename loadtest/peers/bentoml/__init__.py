"""The same student under BentoML."""
