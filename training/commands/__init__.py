"""The commands by subject; `training.__main__` joins them."""
