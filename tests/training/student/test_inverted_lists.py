"""A large catalogue in lists: found as well as required, and the bundle says the same in its new order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import BundleContents, read_bundle, write_bundle
from models.bundles.golden import replay_golden
from models.history import Event, History
from models.student import Student
from tests.support.bundles import tiny_contents, tiny_cooccurrence, with_item_vectors, with_unavailable
from tests.support.repeats import a_repeat_model
from training.student.inverted_lists import IndexSettings, cluster, invert, recall_curve, with_lists
from training.student.item_order import contents_in_order, places_of, student_in_order

N_ITEMS, N_CLUSTERS = 1200, 12
SETTINGS = IndexSettings(exact_up_to=1000, min_recall=0.95, n_people=20, sample_per_list=39)


def clustered_contents(n_items: int = N_ITEMS, precision: str = "int8") -> BundleContents:
    """Items around one-hot blocks, with noise that makes each a little different; neighbours by a ring."""
    rng = np.random.default_rng(0)
    contents = tiny_contents(
        precision, n_items, tiny_cooccurrence(rng.random((n_items, 3), np.float32), precision)
    )
    blocks = np.eye(4, dtype=np.float32)[np.arange(n_items) % 4]
    vectors = blocks * rng.uniform(0.5, 2, (n_items, 1)).astype(np.float32)
    vectors += 0.2 * rng.normal(size=vectors.shape).astype(np.float32)
    return dataclasses.replace(contents, student=with_item_vectors(contents.student, vectors))


def some_histories(n_people: int = 20) -> list[History]:
    rng = np.random.default_rng(1)
    return [
        History.from_events(Event(int(item), step) for step, item in enumerate(rng.integers(0, N_ITEMS, 6)))
        for _ in range(n_people)
    ]


@pytest.fixture(scope="module")
def contents() -> BundleContents:
    return clustered_contents()


@pytest.fixture(scope="module")
def listed(contents: BundleContents) -> BundleContents:
    return with_lists(contents, some_histories(), SETTINGS, seed=0)


def test_small_catalogue_is_left_flat(contents: BundleContents) -> None:
    same = with_lists(contents, some_histories(), IndexSettings(exact_up_to=N_ITEMS), seed=0)
    assert same is contents


def test_required_recall_is_reached_and_in_the_manifest(listed: BundleContents) -> None:
    entry = listed.student_entry.index
    assert (entry.kind, entry.n_lists) == ("inverted", listed.student.index.n_lists)
    assert entry.recall >= SETTINGS.min_recall
    assert entry.curve[str(entry.n_probes)] == entry.recall


def test_no_more_lists_are_looked_into_than_the_recall_needs(contents: BundleContents) -> None:
    wanted = 0.9995
    settings = SETTINGS.model_copy(update={"min_recall": wanted})
    entry = invert(contents.student, some_histories(), contents.items.available, settings, seed=0).entry
    fewer = {int(n): recall for n, recall in entry.curve.items() if int(n) < entry.n_probes}
    assert entry.recall >= wanted
    assert all(recall < wanted for recall in fewer.values())
    assert 0 <= entry.n_probes - max(fewer) <= max(1, entry.n_probes // 16)


def test_recall_in_the_manifest_is_what_a_search_finds(contents: BundleContents) -> None:
    histories = some_histories()
    inverted = invert(contents.student, histories, contents.items.available, SETTINGS, seed=0)
    flat = Student(contents.student)
    exact = flat.recommend(histories, 100, blocked=[each.item_indices for each in histories])
    places = places_of(inverted.order)
    moved = [History(places[each.item_indices], each.times, each.kinds) for each in histories]
    found = Student(inverted.files).recommend(moved, 100, blocked=[each.item_indices for each in moved])
    hits = [
        np.isin(places[one], other).sum()
        for one, other in zip(exact.item_indices, found.item_indices, strict=True)
    ]
    assert sum(hits) / exact.item_indices.size == pytest.approx(inverted.entry.recall, abs=2e-4)


def test_looking_into_every_list_finds_everything(contents: BundleContents) -> None:
    inverted = invert(contents.student, some_histories(), contents.items.available, SETTINGS, seed=0)
    curve = recall_curve(
        inverted.files, inverted.order, some_histories(), contents.items.available, min_recall=1.0
    )
    assert curve[max(curve)] == 1.0


def test_lists_hold_what_is_nearest_to_their_centroids() -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    lists = cluster(vectors, 5, 39, seed=0)
    distances = np.linalg.norm(vectors[:, None] - lists.centroids[None], axis=2)
    assert (lists.list_of == distances.argmin(axis=1)).all()
    assert len(set(lists.list_of.tolist())) == 5


def test_same_seed_makes_the_same_lists(contents: BundleContents) -> None:
    one, other = (
        invert(contents.student, some_histories(), contents.items.available, SETTINGS, seed=3)
        for _ in range(2)
    )
    assert (one.order == other.order).all()
    assert one.entry == other.entry


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_bundle_with_lists_is_whole_and_answers_its_golden_requests(tmp_path: Path, precision: str) -> None:
    contents = with_lists(clustered_contents(precision=precision), some_histories(), SETTINGS, seed=0)
    bundle = read_bundle(write_bundle(tmp_path, contents))
    assert bundle.manifest.student.index.kind == "inverted"
    replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden)


def test_everything_of_an_item_moves_with_it(contents: BundleContents) -> None:
    order = np.random.default_rng(2).permutation(N_ITEMS).astype(np.int32)
    moved = contents_in_order(contents, order, student_in_order(contents.student, order))
    places, old, new = places_of(order), contents.items, moved.items
    for item in (0, 7, N_ITEMS - 1):
        place = int(places[item])
        assert new.vocabulary.id_of(place) == old.vocabulary.id_of(item)
        assert new.vocabulary.find(old.vocabulary.id_of(item)) == place
        assert new.titles[place] == old.titles[item]
        assert new.prices[place] == old.prices[item]
        assert new.segments[place] == old.segments[item]
        assert new.popularity[place] == old.popularity[item]
        assert (moved.member_shares.levels[place] == contents.member_shares.levels[item]).all()
        assert new.attributes.terms(place) == old.attributes.terms(item)
        np.testing.assert_array_equal(new.repurchase.log_days[place], old.repurchase.log_days[item])
    assert (new.segment_popular[0] == places[old.segment_popular[0]]).all()
    assert (moved.people.histories.item_indices == places[contents.people.histories.item_indices]).all()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_student_in_another_order_scores_items_as_before(precision: str) -> None:
    contents = clustered_contents(precision=precision)
    term = contents.student.cooccurrence
    reads_repeats = dataclasses.replace(term, own_decays=np.full_like(term.own_decays, 0.5))
    files = dataclasses.replace(contents.student, repeats=a_repeat_model(N_ITEMS), cooccurrence=reads_repeats)
    order = np.random.default_rng(2).permutation(N_ITEMS).astype(np.int32)
    places, histories = places_of(order), some_histories(5)
    moved = [History(places[each.item_indices], each.times, each.kinds) for each in histories]
    before = Student(files).catalogue_scores(histories)
    after = Student(student_in_order(files, order)).catalogue_scores(moved)
    np.testing.assert_allclose(after[:, places], before, rtol=1e-5, atol=1e-5)


def test_recall_is_of_what_is_available(contents: BundleContents) -> None:
    """The best of a block are gone: whoever looked for them would call a search bad that answers as it should."""
    gone = with_unavailable(contents, range(0, N_ITEMS, 2))
    listed = with_lists(gone, some_histories(), SETTINGS, seed=0)
    allowed, student = listed.items.recommendable, Student(listed.student)
    assert listed.items.available.sum() == N_ITEMS // 2
    assert listed.items.vocabulary.id_of(int(np.flatnonzero(~listed.items.available)[0])) in {
        f"item-{index}" for index in range(0, N_ITEMS, 2)
    }
    places = {item_id: place for place, item_id in enumerate(listed.items.vocabulary.ids_of(range(N_ITEMS)))}
    order = np.array([places[f"item-{index}"] for index in range(N_ITEMS)], np.int32)
    moved = [History(order[each.item_indices], each.times, each.kinds) for each in some_histories()]
    seen = [each.item_indices for each in moved]
    n_lists = listed.student.index.n_lists
    exact, found = (
        student.recommend(moved, 100, blocked=seen, allowed=allowed, n_probes=n_probes).item_indices
        for n_probes in (n_lists, None)
    )
    hits = [np.isin(one, other).sum() for one, other in zip(exact, found, strict=True)]
    assert sum(hits) / exact.size == pytest.approx(listed.student_entry.index.recall, abs=2e-4)
    replay_golden(student, listed.text_encoder, listed.golden, allowed)
