"""Checks that a bundle's parts fit together: every file may be whole and the bundle still nonsense.

This runs when a bundle is written and again when it is read, so that no index in it can leave its array while
a person waits. It works through memory maps in chunks: ten million people cost time, not memory.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.attributes import PREFIX, AttributeEntry, AttributeKind
from models.bundles.golden import Golden, GoldenRequest, GoldenText
from models.bundles.manifest import IndexEntry, SharesEntry, StudentEntry
from models.cooccurrence import N_DECAYS, N_OWN_DECAYS, index_dtype
from models.errors import BundleInconsistent, FileMissing
from models.history import EventKind
from models.index import LANES, MAX_FACTORS, PARTS, eight_bits, unpack_blocks
from models.member_shares import MEMBER_ARRAYS, N_PAIR_TERMS, N_PERSON_TERMS
from models.packed_histories import TIMES_DTYPE
from models.repeats import CLOCK_ARRAYS, LAYERS, REPEATS, RepeatModel
from models.vocabulary import Vocabulary

CHUNK = 1 << 18
N_SAMPLED_IDS = 64
"""How many ids are looked up individually; hashing all ten million would take half a minute."""

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_STRINGS = {"data": ("|u1", 1), "offsets": ("<i8", 1)}
_VOCABULARY = {**_STRINGS, "keys": ("<u8", 1), "rows": ("<i4", 1)}
_HISTORIES = {
    "offsets": ("<i8", 1),
    "item_indices": ("<i4", 1),
    "times": (TIMES_DTYPE.str, 1),
    "kinds": ("|u1", 1),
}
_GROUPS = {
    "item_ids": _VOCABULARY,
    "item_titles": _STRINGS,
    "category_names": _STRINGS,
    "user_ids": _VOCABULARY,
    "histories": _HISTORIES,
    "text_terms": _VOCABULARY,
}
LAYOUT = {
    **{f"{group}.{part}": form for group, parts in _GROUPS.items() for part, form in parts.items()},
    "item_categories": ("<i4", 1),
    "item_prices": ("<f4", 1),
    "item_segments": ("<i4", 1),
    "segment_popular": ("<i4", 2),
    "item_popularity": ("<f4", 1),
    "item_available": ("|u1", 1),
    "repurchase_log_days": ("<f4", 1),
    "repurchase_shares": ("<f4", 1),
    "repurchase_strength": ("<f4", 1),
    "history_scales": ("<f4", 1),
    "item_scales": ("<f4", 1),
    "neighbour_scales": ("<f4", 1),
    "event_decays": ("<f4", 1),
    "own_weights": ("<f4", 1),
    "own_decays": ("<f4", 1),
    **{f"{REPEATS}{name}": ("<f4", 2) for name in LAYERS[::2]},
    **{f"{REPEATS}{name}": ("<f4", 1) for name in (*LAYERS[1::2], *CLOCK_ARRAYS)},
    f"{REPEATS}values": ("<f2", 3),
    f"{REPEATS}moments": ("<i8", 1),
    f"{REPEATS}target": ("<i8", 1),
    "item_blocks": ("|u1", 4),
    "block_scales": ("<f4", 1),
    "list_offsets": ("<i4", 1),
    "centroid_blocks": ("|u1", 4),
    "centroid_scales": ("<f4", 1),
    "answer_text_map": ("<f4", 2),
    "history_text_map": ("<f4", 2),
    "text_projection": ("|i1", 2),
    "text_scales": ("<f4", 1),
    "member_user_map": ("<f4", 2),
    "member_item_map": ("<f4", 2),
    "member_weights": ("<f4", 3),
    "member_levels": ("<f2", 2),
}
"""dtype and number of axes of every array whose dtype never changes."""

_ATTRIBUTES: Final[Mapping[AttributeKind, Mapping[str, tuple[str, int]]]] = {
    "words": {
        ".codes": ("<i4", 1),
        ".word_offsets": ("<i8", 1),
        **{f"_values.{part}": form for part, form in _STRINGS.items()},
    },
    "number": {".numbers": ("<f4", 1), ".edges": ("<f4", 1)},
    "flag": {".flags": ("|i1", 1)},
}
"""The same for the arrays of an attribute of items, by its kind."""

TABLES = {
    "fp32": {"history_vectors": ("<f4", 2), "item_vectors": ("<f2", 2), "neighbour_weights": ("<f4", 2)},
    "int8": {"history_vectors": ("|i1", 2), "item_vectors": ("|i1", 2), "neighbour_weights": ("|i1", 2)},
}
"""dtype and number of axes of the student's tables, by its precision."""


def check_arrays(arrays: Arrays, student: StudentEntry) -> None:
    """Check every array against its layout and against the others.

    Raises FileMissing if one does not exist, and BundleInconsistent naming the file for everything else.
    """
    _check_layout(arrays, student.precision)
    for prefix in ("item_ids", "item_titles", "category_names", "user_ids", "text_terms"):
        _check_strings(arrays, prefix)
    for prefix in ("item_ids", "user_ids", "text_terms"):
        _check_vocabulary(arrays, prefix)
    _check_items(arrays)
    _check_histories(arrays)
    _check_student(arrays, student)
    _check_members(arrays, student.shares)
    _check_text(arrays)


def check_attributes(arrays: Arrays, attributes: Sequence[AttributeEntry]) -> None:
    """Check the arrays of attributes of items. Raises FileMissing and BundleInconsistent, naming the file."""
    n_items = len(arrays["item_prices"])
    for row, entry in enumerate(attributes):
        prefix = f"{PREFIX}_{row}"
        for part, (dtype, n_axes) in _ATTRIBUTES[entry.kind].items():
            _check_form(arrays, f"{prefix}{part}", dtype, n_axes)
        if entry.kind == "words":
            _check_strings(arrays, f"{prefix}_values")
            _check_words(arrays, prefix, n_items)
        else:
            name = f"{prefix}.{'numbers' if entry.kind == 'number' else 'flags'}"
            _require(len(arrays[name]) == n_items, name, f"it must have {n_items} rows, as many as items")


def _check_words(arrays: Arrays, prefix: str, n_items: int) -> None:
    offsets, codes = arrays[f"{prefix}.word_offsets"], arrays[f"{prefix}.codes"]
    _require(len(offsets) == n_items + 1, f"{prefix}.word_offsets", f"it must have {n_items + 1} rows")
    _check_offsets(f"{prefix}.word_offsets", offsets, len(codes))
    n_values = len(arrays[f"{prefix}_values.offsets"]) - 1
    for chunk in _chunks(codes):
        _require(
            bool(np.all((chunk >= 0) & (chunk < n_values))),
            f"{prefix}.codes",
            f"it names words outside of the {n_values} there are",
        )


def check_golden(golden: Golden, arrays: Arrays) -> None:
    """Check that golden requests and texts can be replayed at all. Raises BundleInconsistent."""
    if not golden.requests:
        raise BundleInconsistent(
            "golden.json holds no requests; nothing would show that the student is right"
        )
    if not golden.texts:
        raise BundleInconsistent(
            "golden.json holds no texts; nothing would show that new items are placed right"
        )
    _check_golden_requests(golden.requests, len(arrays["item_vectors"]))
    _check_golden_texts(golden.texts, arrays)


def _check_golden_requests(requests: Sequence[GoldenRequest], n_items: int) -> None:
    known_kinds = set(EventKind)
    for number, request in enumerate(requests):
        touched = [event[0] for event in request.events]
        kinds = [event[2] for event in request.events]
        if any(not 0 <= item_index < n_items for item_index in [*touched, *request.item_indices]):
            raise BundleInconsistent(
                f"golden.json: request {number} names an item beyond the {n_items} items"
            )
        if any(kind not in known_kinds for kind in kinds):
            raise BundleInconsistent(
                f"golden.json: request {number} has an event of a kind that does not exist"
            )
        if len(request.scores) != len(request.item_indices) or not np.isfinite(request.scores).all():
            raise BundleInconsistent(f"golden.json: request {number} does not have one finite score an item")


def _check_golden_texts(texts: Sequence[GoldenText], arrays: Arrays) -> None:
    widths = [arrays[name].shape[1] for name in ("text_projection", "item_vectors", "history_vectors")]
    for number, each in enumerate(texts):
        vectors = (each.text_vector, each.answer_vector, each.history_vector)
        if [len(vector) for vector in vectors] != widths:
            raise BundleInconsistent(
                f"golden.json: text {number} has vectors of {[len(vector) for vector in vectors]} numbers, "
                f"must be {widths}"
            )
        if not np.isfinite(np.concatenate(vectors)).all():
            raise BundleInconsistent(
                f"golden.json: text {number} has a vector with a number that is not finite"
            )


def _check_layout(arrays: Arrays, precision: str) -> None:
    if precision not in TABLES:
        raise BundleInconsistent(
            f"manifest.json: the student's precision is {precision!r}, one of {list(TABLES)} is known"
        )
    for name, (dtype, n_axes) in {**LAYOUT, **TABLES[precision]}.items():
        _check_form(arrays, name, dtype, n_axes)
    n_items = len(arrays["item_ids.rows"])
    _check_form(arrays, "neighbour_items", index_dtype(n_items).str, 2)


def _check_form(arrays: Arrays, name: str, dtype: str, n_axes: int) -> None:
    if name not in arrays:
        raise FileMissing(f"the manifest lists no {name}.npy; this bundle is incomplete")
    array = arrays[name]
    _require(
        array.dtype.str == dtype and array.ndim == n_axes,
        name,
        f"it is {array.dtype.str} with {array.ndim} axes, must be {dtype} with {n_axes}",
    )


def _check_strings(arrays: Arrays, prefix: str) -> None:
    data, offsets = arrays[f"{prefix}.data"], arrays[f"{prefix}.offsets"]
    _check_offsets(f"{prefix}.offsets", offsets, len(data))
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), CHUNK):
            decoder.decode(data[start : start + CHUNK].tobytes())
        decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise BundleInconsistent(f"{prefix}.data.npy: it is not UTF-8: {error}") from error
    for begins in _chunks(offsets):
        first_bytes = data[begins[begins < len(data)]]
        _require(
            not np.any((first_bytes & 0xC0) == 0x80),
            f"{prefix}.offsets",
            "a string begins inside a character",
        )


def _check_vocabulary(arrays: Arrays, prefix: str) -> None:
    keys, rows = arrays[f"{prefix}.keys"], arrays[f"{prefix}.rows"]
    n_ids = len(arrays[f"{prefix}.offsets"]) - 1
    _check_rows(arrays, n_ids, f"{prefix}.keys", f"{prefix}.rows")
    _require(
        not any(len(falls) for falls in _falls(keys, or_stays=True)), f"{prefix}.keys", "they do not rise"
    )
    _check_range(arrays, f"{prefix}.rows", 0, n_ids)
    is_named = np.zeros(n_ids, np.bool_)
    is_named[rows] = True
    _require(is_named.all(), f"{prefix}.rows", "two keys have the same row")
    vocabulary = Vocabulary.from_arrays(arrays, prefix)
    for row in np.linspace(0, n_ids - 1, min(n_ids, N_SAMPLED_IDS)).astype(int).tolist():
        text = vocabulary.id_of(row)
        _require(
            vocabulary.find(text) == row,
            f"{prefix}.keys",
            f"id {text!r} of row {row} is not found by its key",
        )


def _check_items(arrays: Arrays) -> None:
    n_items = len(arrays["item_ids.rows"])
    n_segments = len(arrays["segment_popular"])
    for name in ("item_categories", "item_prices", "item_segments", "item_popularity", "item_available"):
        _check_rows(arrays, n_items, name)
    _check_rows(arrays, n_items, "item_vectors", "item_scales", "repurchase_log_days", "repurchase_shares")
    _check_rows(arrays, 1, "repurchase_strength")
    _check_rows(arrays, n_items + 1, "item_titles.offsets", "history_vectors", "history_scales")
    _check_rows(
        arrays, n_items + 1, "neighbour_items", "neighbour_weights", "neighbour_scales", "own_weights"
    )
    _check_range(arrays, "item_categories", -1, len(arrays["category_names.offsets"]) - 1)
    _check_range(arrays, "item_segments", 0, n_segments)
    _check_range(arrays, "segment_popular", -1, n_items)
    _check_range(arrays, "item_popularity", 0, None)
    _check_range(arrays, "item_available", 0, 2)
    _check_finite(arrays, "item_popularity")
    _check_finite(arrays, "repurchase_shares")
    _check_finite(arrays, "repurchase_strength")
    _check_range(arrays, "repurchase_strength", 0, None)


def _check_histories(arrays: Arrays) -> None:
    offsets, times = arrays["histories.offsets"], arrays["histories.times"]
    n_events = len(times)
    _check_rows(arrays, len(arrays["user_ids.rows"]) + 1, "histories.offsets")
    _check_rows(arrays, n_events, "histories.item_indices", "histories.kinds")
    _check_offsets("histories.offsets", offsets, n_events)
    _check_range(arrays, "histories.item_indices", 0, len(arrays["item_ids.rows"]))
    for kinds in _chunks(arrays["histories.kinds"]):
        unknown = np.setdiff1d(kinds, list(EventKind))
        _require(not len(unknown), "histories.kinds", f"it holds {unknown[:1]}, which is no kind of event")
    for falls in _falls(times):
        is_next_person = offsets[np.searchsorted(offsets, falls)] == falls
        _require(is_next_person.all(), "histories.times", "a person's events do not lie oldest first")


def _check_student(arrays: Arrays, student: StudentEntry) -> None:
    n_factors = arrays["item_vectors"].shape[1]
    _require(
        n_factors == student.n_factors,
        "item_vectors",
        f"{n_factors} factors, manifest.json says {student.n_factors}",
    )
    _require(
        1 <= n_factors <= MAX_FACTORS, "item_vectors", f"{n_factors} factors, must be 1 to {MAX_FACTORS}"
    )
    if student.max_events < 1:
        raise BundleInconsistent(
            f"manifest.json: the student reads {student.max_events} events, at least 1 is needed"
        )
    if student.target.upper() not in EventKind.__members__:
        raise BundleInconsistent(
            f"manifest.json: the student predicts {student.target!r}, must be one of "
            f"{', '.join(kind.name.lower() for kind in EventKind)}"
        )
    for name in ("history_vectors", "history_scales", "item_vectors", "item_scales"):
        _check_finite(arrays, name)
    _check_cooccurrence(arrays)
    _check_repeats(arrays)
    _check_index(arrays, student.index)
    _check_blocks(arrays)


def _check_cooccurrence(arrays: Arrays) -> None:
    found, expected = arrays["neighbour_weights"].shape[1], arrays["neighbour_items"].shape[1]
    _require(found == expected, "neighbour_weights", f"{found} columns, neighbour_items.npy has {expected}")
    _check_range(arrays, "neighbour_items", 0, len(arrays["item_ids.rows"]))
    _check_rows(arrays, N_DECAYS, "event_decays")
    _check_rows(arrays, N_OWN_DECAYS, "own_decays")
    for name in ("neighbour_weights", "neighbour_scales", "event_decays", "own_weights", "own_decays"):
        _check_finite(arrays, name)


def _check_repeats(arrays: Arrays) -> None:
    n_items = len(arrays["item_ids.rows"])
    for name in (*LAYERS, "shares", "values"):
        _check_finite(arrays, f"{REPEATS}{name}")
    _check_rows(arrays, 2, f"{REPEATS}moments")
    _check_rows(arrays, 1, f"{REPEATS}target")
    found = RepeatModel.from_arrays(arrays, prefix=REPEATS)
    _require(found.n_items == n_items, f"{REPEATS}values", f"{found.n_items} items, there are {n_items}")


def _check_index(arrays: Arrays, index: IndexEntry) -> None:
    n_items, n_factors = arrays["item_vectors"].shape
    n_lists, offsets = len(arrays["list_offsets"]) - 1, arrays["list_offsets"]
    if (index.kind, index.n_lists) != ("inverted" if n_lists > 0 else "flat", n_lists):
        raise BundleInconsistent(
            f"manifest.json: the index is {index.kind} with {index.n_lists} lists, list_offsets.npy has {n_lists}"
        )
    if n_lists:
        _check_offsets("list_offsets", offsets, n_items)
        if not 1 <= index.n_probes <= n_lists:
            raise BundleInconsistent(
                f"manifest.json: {index.n_probes} of {n_lists} lists are looked into, must be 1 to {n_lists}"
            )
    for blocks, scales, n_rows in (
        ("item_blocks", "block_scales", n_items),
        ("centroid_blocks", "centroid_scales", n_lists),
    ):
        n_blocks = -(-n_rows // LANES)
        expected = (n_blocks, -(-n_factors // PARTS), LANES, PARTS)
        _require(
            arrays[blocks].shape == expected, blocks, f"it is {arrays[blocks].shape}, must be {expected}"
        )
        _check_rows(arrays, n_blocks * LANES, scales)
        _check_finite(arrays, scales)


def _check_blocks(arrays: Arrays) -> None:
    """Check that the blocks hold the item vectors: unchanged if those are in 8 bits, else rounded to 8."""
    vectors, scales = arrays["item_vectors"], arrays["item_scales"]
    n_rows = max(1, CHUNK // vectors.shape[1] // LANES) * LANES
    for start in range(0, len(vectors), n_rows):
        rows = slice(start, min(start + n_rows, len(vectors)))
        expected, expected_scales = eight_bits(vectors[rows], scales[rows])
        found = unpack_blocks(
            arrays["item_blocks"][start // LANES : -(-rows.stop // LANES)], vectors.shape[1]
        )
        found = found[: len(expected)]
        _require(
            np.array_equal(found, expected), "item_blocks", "it does not hold the vectors of item_vectors.npy"
        )
        is_same = np.array_equal(arrays["block_scales"][rows], expected_scales)
        _require(is_same, "block_scales", "it does not hold the scales of item_vectors.npy")


def _check_members(arrays: Arrays, shares: SharesEntry) -> None:
    n_members = len(shares.members)
    if not n_members or len(set(shares.members)) < n_members:
        raise BundleInconsistent(
            f"manifest.json: shares are of the members {list(shares.members)}, must be one or more, each named once"
        )
    _check_rows(arrays, arrays["item_vectors"].shape[1], "member_user_map", "member_item_map")
    _check_rows(arrays, len(arrays["item_ids.rows"]), "member_levels")
    n_user, n_item = (arrays[name].shape[1] for name in ("member_user_map", "member_item_map"))
    for name, expected in (
        ("member_weights", (n_members, N_PERSON_TERMS + n_user, N_PAIR_TERMS + n_item)),
        ("member_levels", (len(arrays["member_levels"]), n_members)),
    ):
        _require(arrays[name].shape == expected, name, f"it is {arrays[name].shape}, must be {expected}")
    for name in MEMBER_ARRAYS:
        _check_finite(arrays, name)


def _check_text(arrays: Arrays) -> None:
    """Check from terms to text vectors to both kinds of item vectors that each width fits the next."""
    _check_rows(arrays, len(arrays["text_terms.rows"]), "text_projection", "text_scales")
    n_text = arrays["text_projection"].shape[1]
    _check_rows(arrays, n_text + 1, "answer_text_map", "history_text_map")
    for name, table in (("answer_text_map", "item_vectors"), ("history_text_map", "history_vectors")):
        found, expected = arrays[name].shape[1], arrays[table].shape[1]
        _require(found == expected, name, f"{found} columns, {table}.npy has {expected}")
    for name in ("text_scales", "answer_text_map", "history_text_map"):
        _check_finite(arrays, name)


def _check_offsets(name: str, offsets: Array, n_values: int) -> None:
    _require(len(offsets) > 0, name, "it is empty; even no rows have an offset of 0")
    _require(offsets[0] == 0, name, f"the first offset is {offsets[0]}, must be 0")
    _require(not any(len(falls) for falls in _falls(offsets)), name, "offsets fall")
    _require(offsets[-1] == n_values, name, f"it ends at {offsets[-1]}, there are {n_values} values")


def _check_rows(arrays: Arrays, n_rows: int, *names: str) -> None:
    for name in names:
        _require(len(arrays[name]) == n_rows, name, f"{len(arrays[name])} rows, must be {n_rows}")


def _check_range(arrays: Arrays, name: str, low: int, beyond: int | None) -> None:
    """Check that every value is in low <= value < beyond."""
    for values in _chunks(arrays[name]):
        _require(values.min() >= low, name, f"it holds {values.min()}, must be at least {low}")
        if beyond is not None:
            _require(values.max() < beyond, name, f"it holds {values.max()}, must be below {beyond}")


def _check_finite(arrays: Arrays, name: str) -> None:
    for values in _chunks(arrays[name]):
        _require(np.isfinite(values).all(), name, "a number is not finite")


def _falls(values: Array, *, or_stays: bool = False) -> Iterator[npt.NDArray[np.intp]]:
    """Yield positions whose value is less than (or equal to) the one before, chunk by chunk."""
    for start in range(0, len(values) - 1, CHUNK):
        piece = values[start : start + CHUNK + 1]
        falls = piece[1:] <= piece[:-1] if or_stays else piece[1:] < piece[:-1]
        yield np.flatnonzero(falls) + start + 1


def _chunks(array: Array) -> Iterator[Array]:
    """Yield the rows of an array in chunks."""
    n_rows = max(1, CHUNK // max(1, array[:1].size))
    return (array[start : start + n_rows] for start in range(0, len(array), n_rows) if array[:1].size)


def _require(claim: object, name: str, fault: str) -> None:
    if not claim:
        raise BundleInconsistent(f"{name}.npy: {fault}")
