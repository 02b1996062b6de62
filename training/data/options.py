"""What a person says of a shop's files where they cannot tell it themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.history import EventKind
from training.base.errors import SettingsInvalid
from training.data.column_mapping import ColumnMapping, parse_columns
from training.data.files.tables import FormOptions
from training.data.meaning.kinds import NAMES, parse_default_kind, parse_kinds
from training.data.meaning.times import TimeFormat, parse_time_format

_YES_NO = {"yes": True, "no": False, "": None}


@dataclass(frozen=True)
class ReadingOptions:
    """How to read a shop's files; whatever is not given is found by looking.

    mapping: the names of columns. kinds: codes by the shop's own words for kinds. default_kind: of every row of a
    table without kinds. time_format: how times are written, or a pattern of strftime. form: encoding, delimiter and
    header of text files. accept: names of what would stop the reading and is all right here.
    keeps_returns: returns stay events, of the kind `RETURN`, to be applied to what the shop is merged with.
    """

    mapping: ColumnMapping = field(default_factory=ColumnMapping)
    kinds: dict[str, int] = field(default_factory=dict)
    default_kind: EventKind | None = None
    time_format: TimeFormat | str | None = None
    form: FormOptions = field(default_factory=FormOptions)
    accept: frozenset[str] = frozenset()
    keeps_returns: bool = False

    def words(self) -> dict[str, str]:
        """Return the options as a command takes them, by name; those that were not given are left out."""
        header = {True: "yes", False: "no", None: ""}[self.form.has_header]
        told = {
            "columns": _columns_text(self.mapping),
            "kinds": ",".join(f"{word}={NAMES[code]}" for word, code in self.kinds.items()),
            "default-kind": self.default_kind.name.lower() if self.default_kind is not None else "",
            "time-format": str(self.time_format or ""),
            "encoding": self.form.encoding or "",
            "delimiter": self.form.delimiter or "",
            "header": header,
            "accept": ",".join(sorted(self.accept)),
        }
        return {name: text for name, text in told.items() if text}


def reading_options(
    *,
    columns: str = "",
    kinds: str = "",
    default_kind: str = "",
    time_format: str = "",
    encoding: str = "",
    delimiter: str = "",
    header: str = "",
    accept: str = "",
) -> ReadingOptions:
    """Read the options of a command. Raises SettingsInvalid, naming what could be given."""
    if header not in _YES_NO:
        raise SettingsInvalid(f"--header is {header!r}; write yes or no.")
    if encoding:
        try:
            "".encode(encoding)
        except LookupError:
            raise SettingsInvalid(
                f"there is no encoding {encoding!r}; write for instance cp1252 or utf-16."
            ) from None
    named = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|", "\\t": "\t"}
    return ReadingOptions(
        parse_columns(columns) or ColumnMapping(),
        parse_kinds(kinds),
        parse_default_kind(default_kind),
        parse_time_format(time_format),
        FormOptions(encoding or None, named.get(delimiter, delimiter) or None, _YES_NO[header]),
        frozenset(filter(None, (each.strip() for each in accept.split(",")))),
    )


def _columns_text(mapping: ColumnMapping) -> str:
    told = ((name, getattr(mapping, name)) for name in mapping.__dataclass_fields__)
    return ",".join(
        f"{name}={'+'.join(each) if isinstance(each, tuple) else each}" for name, each in told if each
    )
