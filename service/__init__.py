"""Online: a bundle behind HTTP. Imports `models`, never `training`."""
