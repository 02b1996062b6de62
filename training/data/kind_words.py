"""The words of a column of kinds while it is read: each has a place, which is a byte, and a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from models.history import EventKind
from models.removals import REMOVAL, RETURN
from training.data.files.tables import Table
from training.data.meaning.kinds import NAMES, code_of
from training.data.options import ReadingOptions
from training.data.roles import sample_text

UNSEEN: Final = 255
"""The place of a word that the first rows do not have."""
MORE_WORDS: Final = "further words"
"""What words beyond the 255 most frequent are counted under; a column with so many holds no kinds."""
MAX_SPELLED: Final = 16
"""Spellings that cells are compared with one after the other; a table looks up more in less time."""
OWN_CODES: Final = tuple(sorted({*map(int, EventKind), REMOVAL, RETURN}))
"""The codes in tables that Stillroom wrote."""
UNKNOWN: Final = 253
"""The code of a word that is no known kind."""


@dataclass(frozen=True)
class KindWords:
    """Words in lower case, by place, and the code of each. spelled: some of them as cells have them."""

    words: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    spelled: tuple[str, ...] = ()

    @staticmethod
    def of(table: Table, column: str | None, options: ReadingOptions) -> KindWords:
        """Take the words of the first rows. Numbers are codes only where Stillroom wrote them, as UInt8."""
        if column is None:
            return KindWords()
        if table.sample[column].dtype == pl.UInt8:
            return KindWords(tuple(map(str, OWN_CODES)), OWN_CODES)
        return KindWords().with_more(sample_text(table, column).unique().sort().to_list(), options)

    def with_more(self, words: Sequence[str], options: ReadingOptions) -> KindWords:
        """Return these words and others; what a person says of a word counts first."""
        said = {word.strip().lower(): code for word, code in options.kinds.items()}
        new = [word for word in dict.fromkeys(words) if word.lower() not in self.words]
        known = {word.lower(): said.get(word.lower(), code_of(word)) for word in new}
        codes = [UNKNOWN if code is None else code for code in known.values()]
        spelled = tuple(dict.fromkeys((*self.spelled, *new)))[:MAX_SPELLED]
        return KindWords((*self.words, *known)[:UNSEEN], (*self.codes, *codes)[:UNSEEN], spelled)

    def places(self, column: str) -> pl.Expr:
        """Return the place of each cell's word, UNSEEN if it has none; null where the cell is empty."""
        return (
            pl.col(column)
            .cast(pl.String)
            .map_batches(self._places, return_dtype=pl.UInt8, is_elementwise=True)
        )

    def _places(self, cells: pl.Series) -> pl.Series:
        frame, word = cells.alias("word").to_frame(), pl.col("word")
        places = {word: place for place, word in enumerate(self.words)}
        as_seen = pl.lit(None, pl.UInt8)
        for each in self.spelled:
            if (known := places.get(each.lower())) is not None:
                as_seen = pl.when(word == each).then(pl.lit(known, pl.UInt8)).otherwise(as_seen)
        # Cells that are spelled as the first rows spell them are compared as they are, in a third of the time.
        found = frame.select(as_seen).to_series()
        if found.null_count() == cells.null_count():
            return found
        text = word.str.strip_chars().str.to_lowercase()
        place = text.replace_strict(places, default=UNSEEN, return_dtype=pl.UInt8)
        return frame.select(pl.when(text != "").then(place)).to_series()

    def kinds(self, places: pl.Series, default: int | None) -> pl.Series:
        """Return the code of each place; the default where there is none."""
        coded = {place: code for place, code in enumerate(self.codes) if code != UNKNOWN}
        codes = places.replace_strict(coded, default=None, return_dtype=pl.UInt8)
        return codes if default is None else codes.fill_null(default)

    def counted(self, places: pl.Series) -> dict[str, int]:
        """Return the number of rows by word, most first."""
        names = dict(enumerate(self.words)) | {UNSEEN: MORE_WORDS}
        told = {names[place]: count for place, count in places.drop_nulls().value_counts().rows()}
        return dict(sorted(told.items(), key=lambda pair: -pair[1]))

    def meanings(self) -> dict[str, str]:
        """Return what each word is taken for; "" if that is not known."""
        return {word: NAMES.get(code, "") for word, code in zip(self.words, self.codes, strict=True)}
