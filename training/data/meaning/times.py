"""Read times as shops write them: Unix numbers, dates in the usual spellings, or places in an order.

`detect_time_format` looks at the first values and says what it found; `unix_seconds` turns the whole column into
seconds, with null where a value cannot be read. Text without an offset is read as UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import polars as pl
from polars.exceptions import PolarsError

from training.base.errors import SettingsInvalid

EARLIEST_SECONDS = 631_152_000
"""1990-01-01: no web shop sold before it, so earlier times are zeros, or days counted as seconds."""
MADE_UP_END: Final = 1_600_000_000
"""Unix seconds of the last event where a file gives an order and no times; any value would do."""
MAX_MADE_UP_SECONDS: Final = 3650 * 86_400
"""The longest made-up history: places in an order are days, or parts of days where there are more than these."""

# Halfway, on a logarithmic scale, between the year 2100 in one unit and 1990 in the next finer one.
_SECONDS_BELOW, _MILLISECONDS_BELOW, _MICROSECONDS_BELOW = 5e10, 5e13, 5e16
_EXCEL_EPOCH_DAYS = 25_569
_EXCEL_DAYS = (32_874.0, 73_050.0)  # 1990 to 2100

_PLAIN_ISO: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z| UTC)?$"
_ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z")
_MONTH_NAMES: Final = (
    "january januar jaenner janner janvier enero gennaio janeiro januari",
    "february februar feber fevrier febrero febbraio fevereiro februari",
    "march marz maerz mrz mars marzo marco maart mrt",
    "april avril abril aprile",
    "may mai mayo maggio maio mei maj",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august aout agosto augustus augusti",
    "september septembre septiembre setiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember decembre diciembre dicembre dezembro desember",
)
"""The months in English, German, French, Spanish, Italian, Portuguese, Dutch and those like them; no accents."""


def _by_beginning() -> dict[str, str]:
    """Return the number of the month by each beginning of its names that no other month has."""
    meant: dict[str, set[str]] = {}
    for number, names in enumerate(_MONTH_NAMES, start=1):
        for name in names.split():
            for length in range(3, len(name) + 1):
                meant.setdefault(name[:length], set()).add(f"{number:02}")
    return {beginning: min(numbers) for beginning, numbers in meant.items() if len(numbers) == 1}


_MONTHS: Final = _by_beginning()
_AROUND_MONTH: Final = (
    rf"^((?:[^(]*[^a-z(])?)((?:{'|'.join(sorted({word[:3] for word in _MONTHS}))})[a-z]*)\.?((?:[^a-z].*)?)$"
)
_BETWEEN: Final = r"\s(?:(?:de|del|of|a|as|las|alle|ore|um|om|at|kl\.?)\s+)+|\s*uhr$"
"""Words between the parts of a date: 1 de diciembre de 2010 a las 8:26, 1. Dezember 2010 um 8:26 Uhr."""
_DAY_AND_MONTH = r"^(?:[A-Za-z]+,?\s+)?(\d{1,2})[-/.\s](\d{1,2}),?[-/.\s]+(\d{4}|\d{2})"
_CLOCK = r"(?:[\sT,]+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d+)?\s*(?i:([ap])\.?m\.?)?)?"
_OFFSET = r"\s*(?i:z|utc|gmt)?\s*(?:([+-]\d{2}):?(\d{2}))?(?:\s*(?i:utc|gmt)|\s*\([^)]*\))?$"


class TimeFormat(StrEnum):
    """The way in which a column of times is written; the values are the names for `--time-format`."""

    UNIX_SECONDS = "unix-s"
    UNIX_MILLISECONDS = "unix-ms"
    UNIX_MICROSECONDS = "unix-us"
    UNIX_NANOSECONDS = "unix-ns"
    ISO_8601 = "iso"
    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"
    DAY_OR_MONTH = "day-or-month"
    """Dates such as 3/4/2024 and none that tells which is the day; nothing reads it, a person must say."""
    YEAR_FIRST = "year-first"
    MONTH_NAMES = "month-names"
    COMPACT = "compact"
    EXCEL_DAYS = "excel-days"
    ORDER = "order"
    ROWS = "rows"
    DATE_TYPE = "date-type"

    @property
    def words(self) -> str:
        """The format in words."""
        return _WORDS[self]


_ZONES: Final = {
    **{"EST": "-05:00", "EDT": "-04:00", "CDT": "-05:00", "MST": "-07:00", "MDT": "-06:00"},
    **{
        "PST": "-08:00",
        "PDT": "-07:00",
        "WET": "+00:00",
        "WEST": "+01:00",
        "CET": "+01:00",
        "CEST": "+02:00",
    },
    **{"EET": "+02:00", "EEST": "+03:00", "MSK": "+03:00", "JST": "+09:00", "KST": "+09:00"},
}
"""Names of zones that mean one offset; CST, IST and BST mean several, and no row with them is read."""
_WORDS: Final = {
    TimeFormat.UNIX_SECONDS: "Unix seconds",
    TimeFormat.UNIX_MILLISECONDS: "Unix milliseconds",
    TimeFormat.UNIX_MICROSECONDS: "Unix microseconds",
    TimeFormat.UNIX_NANOSECONDS: "Unix nanoseconds",
    TimeFormat.ISO_8601: "ISO 8601",
    TimeFormat.DAY_FIRST: "day/month/year",
    TimeFormat.MONTH_FIRST: "month/day/year",
    TimeFormat.DAY_OR_MONTH: "day/month/year or month/day/year",
    TimeFormat.YEAR_FIRST: "year/month/day",
    TimeFormat.MONTH_NAMES: "dates with the names of months",
    TimeFormat.COMPACT: "digits, such as 20240131 or 20240131235959",
    TimeFormat.EXCEL_DAYS: "days as spreadsheets count them",
    TimeFormat.ORDER: "places in an order",
    TimeFormat.ROWS: "the order of the rows",
    TimeFormat.DATE_TYPE: "a date type of the file",
}
CHOOSABLE: Final = tuple(
    each for each in TimeFormat if each not in (TimeFormat.DAY_OR_MONTH, TimeFormat.DATE_TYPE)
)
_TEXT_FORMATS: Final = (
    TimeFormat.ISO_8601,
    TimeFormat.YEAR_FIRST,
    TimeFormat.DAY_FIRST,
    TimeFormat.MONTH_FIRST,
    TimeFormat.MONTH_NAMES,
    TimeFormat.COMPACT,
)


def parse_time_format(text: str) -> TimeFormat | str | None:
    """Read the name of a format, or a pattern of strftime such as `%d.%m.%y %H:%M`; None if the text is empty.

    Raises SettingsInvalid, naming the formats there are.
    """
    if not text:
        return None
    if "%" in text:
        _require_readable(text)
        return text
    try:
        chosen = TimeFormat(text.strip().lower())
    except ValueError:
        chosen = TimeFormat.DATE_TYPE
    if chosen not in CHOOSABLE:
        names = ", ".join(CHOOSABLE)
        raise SettingsInvalid(
            f"there is no time format {text!r}; write one of {names}, or a pattern like '%d.%m.%y'."
        )
    return chosen


def _require_readable(pattern: str) -> None:
    try:
        pl.Series(["1"]).to_frame("t").select(unix_seconds("t", pattern))
    except PolarsError as error:
        raise SettingsInvalid(
            f"the time format {pattern!r} cannot be used: {error}. A pattern has year, month and day, and of the "
            "clock hours and minutes, or nothing; '%d.%m.%Y %H:%M' is one."
        ) from error


def detect_time_format(sample: pl.Series) -> TimeFormat:
    """Say how these times are written, judging by what most of the values can be read as.

    sample: values of the column; nulls are ignored. DAY_OR_MONTH if no value tells which of the two comes first.
    Without a single readable value the answer is ISO 8601.
    """
    if sample.dtype.is_temporal():
        return TimeFormat.DATE_TYPE
    told = sample.cast(pl.String, strict=False).str.strip_chars().drop_nulls().alias("t")
    numbers = told.cast(pl.Float64, strict=False).drop_nulls()
    frame = told.to_frame()
    if len(told) and len(numbers) == len(told):
        return _number_format(told, numbers)
    if len(told) and _n_read(frame, TimeFormat.ISO_8601) == len(told):
        return TimeFormat.ISO_8601
    n_read = {each: _n_read(frame, each) for each in _TEXT_FORMATS}
    best = max(n_read, key=lambda each: n_read[each])
    if n_read[best] > len(numbers) or numbers.is_empty():
        if best in (TimeFormat.DAY_FIRST, TimeFormat.MONTH_FIRST):
            same = n_read[TimeFormat.DAY_FIRST] == n_read[TimeFormat.MONTH_FIRST]
            return TimeFormat.DAY_OR_MONTH if same else best
        return best
    return _number_format(told, numbers)


def _number_format(told: pl.Series, numbers: pl.Series) -> TimeFormat:
    compact = told.to_frame().select(unix_seconds("t", TimeFormat.COMPACT).is_not_null().sum()).item()
    if compact >= 0.9 * len(numbers):
        return TimeFormat.COMPACT
    middle = float(numbers.sort().item(len(numbers) // 2))
    if middle < EARLIEST_SECONDS:
        is_excel = bool(numbers.is_between(*_EXCEL_DAYS).all())
        return TimeFormat.EXCEL_DAYS if is_excel else TimeFormat.ORDER
    if middle < _SECONDS_BELOW:
        return TimeFormat.UNIX_SECONDS
    if middle < _MILLISECONDS_BELOW:
        return TimeFormat.UNIX_MILLISECONDS
    return TimeFormat.UNIX_MICROSECONDS if middle < _MICROSECONDS_BELOW else TimeFormat.UNIX_NANOSECONDS


def _n_read(frame: pl.DataFrame, time_format: TimeFormat) -> int:
    return int(frame.select(unix_seconds("t", time_format).is_not_null().sum()).item())


def unix_seconds(column: str | pl.Expr, time_format: TimeFormat | str) -> pl.Expr:
    """Convert a column to whole Unix seconds, rounded down; null where a value is not of this format.

    ORDER: the place itself, see `made_up_times`. A string is a pattern of strftime.
    """
    raw = pl.col(column) if isinstance(column, str) else column
    match time_format:
        case TimeFormat.DATE_TYPE:
            return raw.cast(pl.Datetime("us")).dt.epoch("s")
        case TimeFormat() if time_format in _READERS:
            read = _READERS[time_format]
            # Batch by batch: polars holds a whole column wherever words are looked up in it, such as zones.
            return raw.cast(pl.String).map_batches(read, return_dtype=pl.Int64, is_elementwise=True)
        case TimeFormat.EXCEL_DAYS:
            days = raw.cast(pl.Float64, strict=False)
            return ((days - _EXCEL_EPOCH_DAYS) * 86_400).round().cast(pl.Int64, strict=False)
        case TimeFormat.ORDER:
            return _whole(raw.cast(pl.Float64, strict=False))
        case (
            TimeFormat.UNIX_SECONDS
            | TimeFormat.UNIX_MILLISECONDS
            | TimeFormat.UNIX_MICROSECONDS
            | TimeFormat.UNIX_NANOSECONDS
        ):
            divisor = _DIVISORS[TimeFormat(time_format)]
            return raw.map_batches(
                lambda told: _unix_numbers(told, divisor), return_dtype=pl.Int64, is_elementwise=True
            )
        case TimeFormat():
            raise ValueError(f"{time_format} does not read a column")
        case pattern:
            return _patterned(raw.cast(pl.String).str.strip_chars(), pattern)


_DIVISORS: Final = {
    TimeFormat.UNIX_SECONDS: 1,
    TimeFormat.UNIX_MILLISECONDS: 1_000,
    TimeFormat.UNIX_MICROSECONDS: 1_000_000,
    TimeFormat.UNIX_NANOSECONDS: 1_000_000_000,
}


def clock_seconds(text: pl.Expr) -> pl.Expr:
    """Convert times of day, such as 9:05, 21:05:00, 9:05 PM or the hour alone, to seconds; null where it is none."""
    groups = text.str.strip_chars().str.extract_groups(
        r"^(\d{1,2})(?::(\d{2}))?(?::(\d{2})(?:[.,]\d+)?)?\s*(?i:([ap])\.?m\.?)?$"
    )
    told, minute, second = (
        groups.struct.field(str(place)).cast(pl.Int64, strict=False) for place in (1, 2, 3)
    )
    half = groups.struct.field("4").str.to_lowercase()
    hour = pl.when(half == "p").then(told % 12 + 12).when(half == "a").then(told % 12).otherwise(told)
    minute, second = minute.fill_null(0), second.fill_null(0)
    return pl.when((hour < 24) & (minute < 60) & (second < 61)).then(hour * 3600 + minute * 60 + second)


def made_up_times(places: pl.Series) -> pl.Series:
    """Turn places in an order into Unix seconds that end at MADE_UP_END: a day a place, less if there are many."""
    first, last = places.min(), places.max()
    if first is None or last is None:
        return places
    span = int(last) - int(first)  # type: ignore[arg-type]  # polars types the extremes of any column
    step = min(86_400.0, MAX_MADE_UP_SECONDS / max(span, 1))
    return ((places - last).cast(pl.Float64) * step).round().cast(pl.Int64) + MADE_UP_END


def _unix_numbers(told: pl.Series, divisor: int) -> pl.Series:
    """Divide numbers, or texts of numbers, into whole seconds; without a fraction in the column they stay integers.

    Integers are read in a third of the time, and nanoseconds lose no digit.
    """
    whole = told.cast(pl.Int64, strict=False)
    if not told.dtype.is_float() and whole.null_count() == told.null_count():
        seconds = whole // divisor
        return seconds.set(~seconds.is_between(-(2**53), 2**53), None)
    frame = told.alias("t").to_frame().with_columns(whole=whole if not told.dtype.is_float() else None)
    inexact = _whole(pl.col("t").cast(pl.Float64, strict=False) / divisor)
    exact = pl.col("whole") // divisor
    is_exact = exact.is_between(-(2**53), 2**53)  # a value is read alike, whatever stands beside it
    return frame.select(pl.when(is_exact).then(exact).otherwise(inexact)).to_series()


def _whole(seconds: pl.Expr) -> pl.Expr:
    # 2^53 seconds are beyond any calendar; NaN and infinities would not survive the cast.
    return pl.when(seconds.is_finite() & (seconds.abs() < 2.0**53)).then(
        seconds.floor().cast(pl.Int64, strict=False)
    )


_CLOCK_CODES: Final = ("%H", "%I", "%T", "%R", "%c", "%X", "%k", "%l", "%r", "%+", "%s")


def _patterned(text: pl.Expr, pattern: str) -> pl.Expr:
    if "%z" in pattern or "%:z" in pattern:
        return text.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False).dt.epoch("s")
    has_clock = any(code in pattern for code in _CLOCK_CODES)
    if has_clock:
        return text.str.to_datetime(pattern, time_unit="us", strict=False).dt.epoch("s")
    return text.str.to_date(pattern, strict=False).cast(pl.Datetime("us")).dt.epoch("s")


def _with_offsets(text: pl.Expr) -> pl.Expr:
    """Write the names of zones as offsets; a zone in brackets behind an offset, as Java writes it, goes."""
    zone = text.str.extract(r"\d\s*([A-Z]{3,4})\s*$", 1)
    offset = zone.replace_strict(_ZONES, default=None, return_dtype=pl.String)
    bare = text.str.replace(r"\[[A-Za-z_/+-]+\]\s*$", "")
    return (
        pl.when(offset.is_not_null())
        .then(bare.str.replace(r"\s*[A-Z]{3,4}\s*$", "") + offset)
        .otherwise(bare)
    )


def _read_parts(
    parted: Callable[[pl.Expr], pl.Expr], year: int, month: int, day: int
) -> Callable[[pl.Series], pl.Series]:
    """Return what parses texts. parted: extracts groups of a text; year, month, day: their places among them."""

    def read(told: pl.Series) -> pl.Series:
        groups = told.alias("t").to_frame().select(parted(pl.col("t"))).to_series()
        return groups.struct.unnest().select(_composed(year, month, day)).to_series()

    return read


def _dated(date: str) -> Callable[[pl.Expr], pl.Expr]:
    """Return what extracts the groups of a date of three numbers and a clock."""
    return lambda text: _with_offsets(text).str.strip_chars().str.extract_groups(date + _CLOCK + _OFFSET)


def _composed(year: int, month: int, day: int) -> pl.Expr:
    """Compose seconds of groups: year, month, day by place, then 4 to 7 of the clock, 8 and 9 of the offset."""

    def part(place: int) -> pl.Expr:
        return pl.col(str(place))

    short = part(year)
    century = (
        pl.when(short.str.len_chars() == 2)
        .then(pl.when(short.cast(pl.Int32, strict=False) < 70).then(pl.lit("20")).otherwise(pl.lit("19")))
        .otherwise(pl.lit(""))
    )
    date = pl.concat_str(
        pl.concat_str(century, short),
        part(month).str.zfill(2),
        part(day).str.zfill(2),
        separator="-",
    ).str.to_date("%Y-%m-%d", strict=False)
    hour, half = part(4).cast(pl.Int64, strict=False).fill_null(0), part(7).str.to_lowercase()
    by_half = pl.when(half == "p").then(hour % 12 + 12).when(half == "a").then(hour % 12).otherwise(hour)
    minute = part(5).cast(pl.Int64, strict=False).fill_null(0)
    second = part(6).cast(pl.Int64, strict=False).fill_null(0)
    offset_hours = part(8).cast(pl.Int64, strict=False).fill_null(0)
    offset_minutes = part(9).cast(pl.Int64, strict=False).fill_null(0)
    sign = pl.when(part(8).str.starts_with("-")).then(-1).otherwise(1)
    is_clock = (by_half < 24) & (minute < 60) & (second < 61)
    seconds = date.cast(pl.Datetime("us")).dt.epoch("s") + by_half * 3600 + minute * 60 + second
    return pl.when(is_clock).then(seconds - offset_hours * 3600 - sign * offset_minutes * 60)


def _month_names(text: pl.Expr) -> pl.Expr:
    """Extract the groups of dates such as 1-Dec-2010, Dec 1, 2010 8:26 AM, 1er août 2010 and those of ctime.

    The last word that may be a month is it: martes, mardi and mar. are days as well.
    """
    bare = _with_offsets(text.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.strip_chars())
    parted = bare.str.to_lowercase().str.extract_groups(_AROUND_MONTH)
    # The name of the day goes, and words beside the number, if there is one.
    before = parted.struct.field("1").str.extract(r"^[a-z.,\s-]*([0-9]{0,2})[a-z.,°\s/-]*$", 1)
    month = parted.struct.field("2").replace_strict(_MONTHS, default=None, return_dtype=pl.String)
    spelled = (
        pl.concat_str(before, pl.lit(" m"), month, pl.lit(" "), parted.struct.field("3"))
        .str.replace_all(_BETWEEN, " ")
        # ctime: m12 01 08:26:00 [utc] 2010
        .str.replace(
            r"^ (m[0-9]{2})\s+([0-9]{1,2})\s+([0-9:]+)(?:\s+([+-][0-9]{4})|\s+[a-z]+)?\s+([0-9]{4})$",
            "${2} ${1} ${5} ${3} ${4}",
        )
        .str.replace(r"^ (m[0-9]{2})[\s-]+([0-9]{1,2})(?:st|nd|rd|th)?,?[\s-]+([0-9]{4})", "${2} ${1} ${3}")
    )
    return spelled.str.extract_groups(
        r"^([0-9]{1,2}) m([0-9]{2})[\s,./-]*([0-9]{4}|[0-9]{2})" + _CLOCK + _OFFSET
    )


def _compact(text: pl.Expr) -> pl.Expr:
    """Extract the groups of 20240131, 202401312359, 20240131235959 and 20240131T235959."""
    pattern = r"^((?:19|20)\d{2})(\d{2})(\d{2})(?:[Tt ]?(\d{2})(\d{2})(\d{2})?)?(?:\.\d+)?()(?i:z|utc)?()()$"
    return text.str.strip_chars().str.extract_groups(pattern)


def _read_iso(told: pl.Series) -> pl.Series:
    """Parse ISO 8601. Most tables have one spelling of it, in UTC, which is read in a tenth of the time."""
    plain = told.str.strip_chars()
    if told.null_count() < len(told) and plain.str.contains(_PLAIN_ISO).all():
        separator = "T" if plain.str.contains("T", literal=True).any() else " "
        read = plain.str.head(19).str.to_datetime(
            f"%Y-%m-%d{separator}%H:%M:%S", time_unit="us", strict=False
        )
        if read.null_count() == told.null_count():
            return read.dt.epoch("s")
    return told.alias("t").to_frame().select(_iso_seconds(_with_offsets(pl.col("t")))).to_series()


def _iso_seconds(text: pl.Expr) -> pl.Expr:
    """Normalise the many spellings of ISO 8601 to one with a time and an offset, then parse that."""
    spelled = (
        text.str.strip_chars()
        .str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})[ t]", "${1}T")
        .str.replace(r"T(\d{2})$", "T${1}:00")
        .str.replace(r"(T[\d:]+),(\d+)", "${1}.${2}")
        .str.replace(r"\s*([+-]\d{2}:?\d{2})\s+(?:UTC|GMT|[+-]\d{2}:?\d{2})$", "${1}")
        .str.replace(r"\s+([+-]\d{2}:?\d{2})$", "${1}")
        .str.replace(r"\s*(?:[zZ]|UTC|GMT)$", "+00:00")
        .str.replace(r"(T[\d:.]+)$", "${1}+00:00")
        .str.replace(r"([+-]\d{2})$", "${1}:00")
    )
    parsed = [
        spelled.str.to_datetime(spelling, time_unit="us", time_zone="UTC", strict=False)
        for spelling in _ISO_FORMATS
    ]
    return pl.coalesce(parsed).dt.epoch("s")


_READERS: Final = {
    TimeFormat.ISO_8601: _read_iso,
    TimeFormat.DAY_FIRST: _read_parts(_dated(_DAY_AND_MONTH), 3, 2, 1),
    TimeFormat.MONTH_FIRST: _read_parts(_dated(_DAY_AND_MONTH), 3, 1, 2),
    TimeFormat.YEAR_FIRST: _read_parts(_dated(r"^(\d{4})[-/.\s](\d{1,2})[-/.\s](\d{1,2})"), 1, 2, 3),
    TimeFormat.MONTH_NAMES: _read_parts(_month_names, 3, 2, 1),
    TimeFormat.COMPACT: _read_parts(_compact, 1, 2, 3),
}
