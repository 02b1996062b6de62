"""Words for what is missing, as tools write them: an id or a title of such a word is none."""

from __future__ import annotations

from typing import Final

import polars as pl

MISSING: Final = (
    *(
        "",
        "nan",
        "null",
        "none",
        "nil",
        "n/a",
        "#n/a",
        "na",
        "<na>",
        "nat",
        "\\n",
        "(null)",
        "undefined",
        "-",
        "--",
    ),
    *("#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"),
    *("(not set)", "not set", "missing", "unknown", "(none)", "[null]", "(no genres listed)"),
)
"""Words that say that a value is missing, in lower case; \\N is what databases write, (not set) what analytics do."""
NOBODY: Final = (*MISSING, "guest", "anonymous", "anon", "(anonymous)")
"""Words by which shops book what belongs to nobody; as one person, they would own a tenth of all purchases."""


def cleaned(cell: pl.Expr) -> pl.Expr:
    """Return text without blanks around it, null if it is empty or a word for what is missing."""
    text = cell.str.strip_chars()
    return pl.when(~text.str.to_lowercase().is_in(MISSING)).then(text)


_SPELLINGS: Final = sorted(
    {spelled for word in NOBODY for spelled in (word, word.upper(), word.capitalize(), word.title())}
    | {"NaN", "NaT"}
)


def is_nobody(column: str) -> pl.Expr:
    """Whether an id without blanks around it is null or one of the words for nobody, as they are usually spelled."""
    return pl.col(column).is_null() | pl.col(column).is_in(_SPELLINGS)
