"""A member for Stillroom's ensemble: what people take right after another item."""
