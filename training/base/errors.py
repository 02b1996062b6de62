"""The errors of the training side. One tree:

TrainingError
├── NotFinite                   a model's parameters or loss are not finite; change the setting it names
├── ExportMismatch              the exported student does not score as the trained one; a developer corrects it
├── ArmNotEstimable             the log does not suffice to estimate an arm; the message says what is missing
├── NothingFresh                too little has happened since the bundle in service for a comparison; wait, or export
├── NothingToReplay             a shadow run has no request to ask; name a log or a bundle that knows people
├── CanaryRefused               a canary cannot be declared, moved or ended as asked; the message says why
├── RunMissing                  a report was asked for and there is no finished training run
└── DataError                   the shop's data cannot be used; the ML engineer corrects the files or the call
    ├── SourceUnreadable        no such path, a damaged file, or a layout that no loader knows
    ├── DataLost                more would be dropped, or misread, than a person can mean; fix it or accept it by name
    ├── ColumnMissing           a table lacks a column that the mapping asks for
    ├── TooLittleData           the data is clean, but there is not enough of it to train and measure on
    ├── SettingsInvalid         a setting of the shop generator is out of its bounds
    └── DownloadFailed          a public data set could not be fetched
        └── ChecksumMismatch    the fetched file differs from the published one
"""


class TrainingError(Exception):
    """Root of every error that `training` raises on purpose."""


class NotFinite(TrainingError):
    """Training diverged. The message names the model and the setting to change."""


class ExportMismatch(TrainingError):
    """The ONNX student and the torch student disagree by more than the stated tolerance."""


class RunMissing(TrainingError):
    """There is no finished run of this release where one was requested; train first."""


class ArmNotEstimable(TrainingError):
    """No logged answer can be used to estimate an arm; the message names what stands in the way and the remedy."""


class NothingFresh(TrainingError):
    """The bundle in service has learned from all events, or nearly; the message says what is missing."""


class NothingToReplay(TrainingError):
    """A shadow run found nobody to ask for."""


class CanaryRefused(TrainingError):
    """A canary cannot be declared, moved or ended as requested; the message says why. Nothing was written."""


class DataError(TrainingError):
    """The shop's data cannot be used. The message says what was found, what is needed and what to do."""


class SourceUnreadable(DataError):
    """The path does not exist, cannot be parsed, or is in no layout that the loaders know."""


class DataLost(DataError):
    """Much of a shop's data would be lost in reading; the message says what, why, and the option that accepts it."""


class ColumnMissing(DataError):
    """A table lacks a column that the mapping asks for; the message names the columns it has."""


class TooLittleData(DataError):
    """Too few people, items or events, or no time between them, to train and measure on."""


class SettingsInvalid(DataError):
    """A setting of the shop generator is out of its bounds; the message names the bounds."""


class DownloadFailed(DataError):
    """A public data set could not be fetched; the message says where to get it by hand."""


class ChecksumMismatch(DownloadFailed):
    """A fetched file differs from the published one; it has been removed."""
