"""Everything that can be wrong on the training side. One tree:

TrainingError
└── DataError                   the shop's data cannot be used; the ML engineer mends the files or the call
    ├── SourceUnreadable        no such path, a damaged file, or a layout nobody here knows
    ├── ColumnMissing           a table lacks a column that the mapping asks for
    ├── TooLittleData           the data is clean, but there is not enough of it to train and measure on
    ├── SettingsInvalid         a setting of the shop generator is out of its bounds
    └── DownloadFailed          a public data set could not be fetched
        └── ChecksumMismatch    it was fetched, and is not what its publisher put there
"""


class TrainingError(Exception):
    """Root of every error that `training` raises on purpose."""


class DataError(TrainingError):
    """The shop's data cannot be used. The message says what was found, what is needed and what to do."""


class SourceUnreadable(DataError):
    """The path does not exist, cannot be parsed, or is in no layout that the loaders know."""


class ColumnMissing(DataError):
    """A table lacks a column that the mapping asks for; the message names the columns it has."""


class TooLittleData(DataError):
    """Too few people, items or events, or no time between them, to train and measure on."""


class SettingsInvalid(DataError):
    """A setting of the shop generator is out of its bounds; the message names the bounds."""


class DownloadFailed(DataError):
    """A public data set could not be fetched; the message says where to get it by hand."""


class ChecksumMismatch(DownloadFailed):
    """A fetched file differs from what its publisher put there; it has been removed."""
