"""Generate shops of any size: items, people and their events."""
