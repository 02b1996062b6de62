"""ExportFailed says why an export cannot be made, and how its operator can mend that."""


class ExportFailed(Exception):
    """The folder cannot be written, another export is at work on it, or there is nothing to read from."""
