"""The protocol `published` for baskets: two JSON files, in the layout of the next-basket literature.

    history, future     {user: [basket, basket, …], …}     a basket is a list of item ids; oldest basket first

Some versions, those of Li et al. (2023), doi 10.1145/3587153, among them, put a basket [-1] at both ends, which is
left out. The future holds one basket a person: the test, as a whole. The last basket of the history validates. There
are no times, so they are made up: the order is the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from models.history import EventKind
from training.base.errors import SourceUnreadable
from training.data.columns import uses_of
from training.data.dataset import index_shop
from training.data.item_texts import describe_items
from training.data.lines import read_text
from training.data.sequences import DAY, MADE_UP_END
from training.data.shop import DropReport, assemble_shop
from training.data.split import Split, Stage, draw_new_people, require_questions, split_by_stages
from training.quality.figures import ColumnUse

MAX_FILE_BYTES: Final = 512 * 2**20
"""The largest file, since JSON is read as a whole and takes ten times its size in memory; Instacart's has 60 MB."""
END_MARKS: Final = ([-1], ["-1"])

Basket = list[str | int]
Baskets = dict[str, list[Basket]]
"""Baskets that hold something, oldest first, by person."""


def read_baskets(
    history: Path, future: Path, items: Path | None = None, *, new_people_share: float = 0.0, seed: int = 0
) -> tuple[Split, list[str]]:
    """Read both files and return the split, and lines that say what was left out or is odd, with counts.

    Somebody with one basket in the history is asked about the future alone; somebody without a future basket is
    learned from. An item of the future that is in no history is a true item like all others.
    items: texts, see `read_item_texts`. new_people_share: of all people, drawn by seed; published tables have none.
    Raises SourceUnreadable, naming the file and the person.
    """
    known, n_empty_known = _read_file(history)
    asked, n_empty_asked = _read_file(future)
    _require_one_type_of_ids({history: known, future: asked})
    _require_one_future_basket(known, asked, history, future)
    events = _events(known, asked)
    distinct = events.unique(maintain_order=True)
    in_history = distinct.filter(pl.col("time") < MADE_UP_END)
    unseen = distinct.join(in_history, on="item_id", how="anti")["item_id"].n_unique()
    shop = assemble_shop(
        history.stem,
        distinct,
        describe_items(distinct["item_id"].unique(), items),
        DropReport(distinct.height, distinct.height),
        "published baskets",
    )
    dataset = index_shop(shop)
    days_before_end = (MADE_UP_END - dataset.histories.times) // DAY
    split = split_by_stages(
        "published",
        dataset,
        np.clip(Stage.TEST - days_before_end, Stage.PAST, None).astype(np.int8),
        is_new=draw_new_people(len(dataset.people), new_people_share, np.random.default_rng(seed)),
        until=(MADE_UP_END - DAY, MADE_UP_END),
        prediction_time="now",
    )
    require_questions(split, at_least=1, remedy=f"{history} needs people with two baskets or more")
    return split, _notes(
        {
            "empty baskets, left out": n_empty_known + n_empty_asked,
            "repetitions of an item in its basket, counted once": events.height - distinct.height,
            "people without a future basket, learned from": len(known.keys() - asked.keys()),
            "items of future baskets that no history has, which only texts can find": unseen,
        }
    )


def basket_files(baskets: Path, future: Path | None) -> tuple[Path, Path]:
    """Return the two files: `baskets` and `future`, or those that a folder holds under such names.

    Raises SourceUnreadable if the folder does not hold exactly one of each.
    """
    if future is not None:
        return baskets, future
    found = {
        word: sorted(path for path in baskets.glob("*.json") if word in path.name.lower())
        for word in ("history", "future")
    }
    for word, files in found.items():
        if len(files) != 1:
            names = ", ".join(path.name for path in files) or "none"
            raise SourceUnreadable(
                f"{baskets} should be a folder with one .json file that has {word!r} in its name; it has {names}. "
                "Name the history by --baskets and the future by --future."
            )
    return found["history"][0], found["future"][0]


def basket_columns(history: Path, future: Path) -> tuple[ColumnUse, ...]:
    """Say what the files are used for."""
    uses = {"user": "person", "baskets": "items in order"}
    return uses_of(history.name, uses, uses) + uses_of(future.name, uses, uses | {"baskets": "true items"})


class _Pairs(list[tuple[str, object]]):
    """The pairs of a JSON object, in which a name may stand twice."""


def _read_file(file: Path) -> tuple[Baskets, int]:
    """Return the baskets of each person, and how many empty ones were left out."""
    found: Baskets = {}
    n_empty = 0
    for user_id, told in _people(file):
        if user_id in found:
            raise SourceUnreadable(
                f"{file} names {user_id!r} twice. Write all baskets of a person into one list."
            )
        if not user_id.strip():
            raise SourceUnreadable(f"{file} has a person with a blank id. Give everybody an id.")
        baskets = [_basket(each, user_id, file) for each in _without_end_marks(told)]
        found[user_id] = [basket for basket in baskets if basket]
        n_empty += len(baskets) - len(found[user_id])
    return found, n_empty


def _people(file: Path) -> Iterator[tuple[str, list[object]]]:
    """Parse the file and yield each person's list as it stands."""
    if file.is_file() and (n_bytes := file.stat().st_size) > MAX_FILE_BYTES:
        raise SourceUnreadable(
            f"{file} has {n_bytes:,} bytes, at most {MAX_FILE_BYTES:,} are read. Write a sample of the people."
        )
    try:
        told = json.loads(read_text(file), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"{file} is no JSON: {error}. {_LAYOUT}") from error
    if not isinstance(told, _Pairs) or not told:
        raise SourceUnreadable(f"{file} holds no JSON object of people. {_LAYOUT}")
    for user_id, baskets in told:
        if not isinstance(baskets, list) or isinstance(baskets, _Pairs):
            raise SourceUnreadable(
                f"{file} has no list of baskets for {user_id!r}: {_shown(baskets)}. {_LAYOUT}"
            )
        yield user_id, baskets


def _without_end_marks(baskets: list[object]) -> list[object]:
    first = 1 if baskets and baskets[0] in END_MARKS else 0
    last = len(baskets) - 1 if len(baskets) > first and baskets[-1] in END_MARKS else len(baskets)
    return baskets[first:last]


def _basket(told: object, user_id: str, file: Path) -> Basket:
    """Return the basket, which must be a list of ids. Raises SourceUnreadable."""
    where = f"{file}, person {user_id!r}:"
    if not isinstance(told, list) or isinstance(told, _Pairs):
        raise SourceUnreadable(f"{where} {_shown(told)} is no basket. {_LAYOUT}")
    for item_id in told:
        if type(item_id) not in (int, str) or (isinstance(item_id, str) and not item_id.strip()):
            raise SourceUnreadable(
                f"{where} {_shown(item_id)} is no id of an item. Ids are whole numbers or texts that are not blank."
            )
    if any(str(item_id) == "-1" for item_id in told):
        raise SourceUnreadable(
            f"{where} -1, which marks the ends of a list, stands among the baskets: {_shown(told)}. "
            "Remove it, or give the item another id."
        )
    return told


def _require_one_type_of_ids(files: Mapping[Path, Baskets]) -> None:
    """Refuse numbers beside texts, since 12 and "12" may be two items or one. Raises SourceUnreadable."""
    first: tuple[Path, str | int] | None = None
    for file, people in files.items():
        for item_id in (item_id for baskets in people.values() for basket in baskets for item_id in basket):
            if first is None:
                first = file, item_id
            elif type(item_id) is not type(first[1]):
                raise SourceUnreadable(
                    f"Ids of items are of two types: {first[1]!r} in {first[0]} and {item_id!r} in {file}. Write all "
                    "of them as numbers, or all as texts."
                )


def _require_one_future_basket(known: Baskets, asked: Baskets, history: Path, future: Path) -> None:
    """Keep in `asked` only people who have a basket there. Raises SourceUnreadable."""
    for user_id in [user_id for user_id, baskets in asked.items() if not baskets]:
        del asked[user_id]
    strangers = [user_id for user_id in asked if not known.get(user_id)]
    if strangers:
        raise SourceUnreadable(
            f"{future} asks about {len(strangers):,} people who have no basket in {history}, {strangers[0]!r} among "
            "them. Nothing is known of them; remove them."
        )
    for user_id, baskets in asked.items():
        if len(baskets) > 1:
            raise SourceUnreadable(
                f"{future} has {len(baskets)} baskets of {user_id!r}, one is predicted. Move the earlier ones into "
                f"{history}."
            )


def _events(known: Baskets, asked: Baskets) -> pl.DataFrame:
    """Make events, a day between two baskets: the future at `MADE_UP_END`, and the last known basket a day earlier.

    Somebody's only known basket lies two days earlier: it is the past, since nothing could ask about it.
    """
    users: list[str] = []
    items: list[str] = []
    times: list[int] = []
    for user_id, baskets in known.items():
        n_more = 0 if len(baskets) > 1 else 1
        own = [(len(baskets) - place + n_more, basket) for place, basket in enumerate(baskets)]
        for days, basket in [*own, *((0, basket) for basket in asked.get(user_id, []))]:
            users += [user_id] * len(basket)
            items += [str(item_id).strip() for item_id in basket]
            times += [MADE_UP_END - DAY * days] * len(basket)
    events = pl.DataFrame({"user_id": users, "item_id": items, "time": times})
    return events.with_columns(kind=pl.lit(EventKind.PURCHASE, pl.UInt8), value=pl.lit(1.0, pl.Float32))


def _notes(counts: Mapping[str, int]) -> list[str]:
    return [f"{what}: {count:,}" for what, count in counts.items() if count]


def _shown(told: object) -> str:
    text = repr(told)
    return text if len(text) <= 60 else f"{text[:60]}…"


_LAYOUT: Final = (
    'Write {"user": [["item", "item"], ["item"]]}: for each person a list of baskets, oldest first.'
)
