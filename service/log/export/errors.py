"""What keeps an export from being made: ExportFailed, which whoever runs it can mend; the message says how."""


class ExportFailed(Exception):
    """The folder cannot be written, another export is at work on it, or there is nothing to read from."""
