"""Everything that can be wrong with a bundle, a registry or an id. One tree:

StillroomError
├── BundleError                 the bundle on disk cannot be used; an operator picks another or retrains
│   ├── BundleMissing           no such folder or no manifest in it
│   ├── ManifestInvalid         the manifest is not JSON of the expected shape
│   ├── SchemaUnsupported       the manifest's schema version is not one this code reads
│   ├── FileUnlisted            a file lies in the folder that the manifest does not list
│   ├── FileMissing             the manifest lists a file that is not there
│   ├── FileCorrupt             size, sha256, shape or dtype differ from the manifest, or it cannot be parsed
│   ├── PathEscapes             a listed path leaves the bundle's folder
│   ├── FeaturesReordered       the student's inputs are not in the order this code feeds them
│   ├── BundleInconsistent      the files are whole but do not fit together
│   ├── MemberMissing           a member of the ensemble comes from a package that is not installed here
│   ├── VocabularyMismatch      the ids do not hash to what the manifest says
│   └── GoldenMismatch          a golden request is answered differently from when it was written
├── RegistryError               promote, roll back or prune was asked for something impossible
│   ├── NothingPromoted         the store names no current bundle: nobody has promoted one yet, or there is no store
│   └── StoreMissing            there is no folder where the store should be; the operator names another
├── ExperimentsInvalid          the declaration of experiments is contradictory; its author corrects the named line
├── VariantUnknown              a bundle is asked for a variant that it does not carry; the caller names another
├── UnknownId                   an id is not in the vocabulary and the caller asked for an error
└── KernelMissing               the compiled search is missing; the operator builds it
"""


class StillroomError(Exception):
    """Root of every error that `models` raises on purpose."""


class BundleError(StillroomError):
    """A bundle cannot be used. The message names the file, the value found and the value expected."""


class BundleMissing(BundleError):
    """There is no bundle at this path."""


class ManifestInvalid(BundleError):
    """`manifest.json` is truncated, not JSON, or not of the expected shape."""


class SchemaUnsupported(BundleError):
    """The manifest was written by a version of this code whose schema is not read here."""


class FileUnlisted(BundleError):
    """The folder holds a file that the manifest does not list."""


class FileMissing(BundleError):
    """The manifest lists a file that is not in the folder."""


class FileCorrupt(BundleError):
    """A file's size, sha256, shape or dtype is not what the manifest says, or it is not of its own format."""


class PathEscapes(BundleError):
    """A path in the manifest is absolute, climbs out of the folder, or is a symbolic link."""


class FeaturesReordered(BundleError):
    """The student was trained on inputs in another order than `models.history` produces."""


class BundleInconsistent(BundleError):
    """Files contradict each other: rows that are missing, indices out of range, numbers that are not finite.

    The code that wrote the bundle has a fault, which a developer corrects.
    """


class MemberMissing(BundleError):
    """A member comes from a package that is not installed here, or that does not say how it runs; the operator
    installs what the message names. The student of the bundle needs no such package.
    """


class VocabularyMismatch(BundleError):
    """The vocabulary does not hash to the manifest's value."""


class GoldenMismatch(BundleError):
    """The bundle answers a golden request differently from when it was written."""


class RegistryError(StillroomError):
    """The registry cannot do what was asked; the message says what it holds instead."""


class StoreMissing(RegistryError):
    """There is no folder at the path that was given for the store."""


class NothingPromoted(RegistryError):
    """No bundle was promoted in this store, or there is no store; a service answers without a model until one is."""


class ExperimentsInvalid(StillroomError):
    """The file that declares experiments contradicts itself or the store. A line a fault: file, line, what."""


class VariantUnknown(StillroomError):
    """A bundle does not carry this variant. The message says which ones it has."""


class UnknownId(StillroomError):
    """An id is not in the vocabulary, under the policy `unknown="raise"`."""


class KernelMissing(StillroomError):
    """The compiled search of the catalogue is not built. The message says how to build it."""


def require(holds: bool, message: str) -> None:
    """Raise BundleInconsistent unless the condition holds."""
    if not holds:
        raise BundleInconsistent(message)
