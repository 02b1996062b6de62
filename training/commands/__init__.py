"""Commands by subject, put together in `training.__main__`."""
