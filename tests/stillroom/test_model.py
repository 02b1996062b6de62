"""A bundle as a notebook asks it: the answers of the service, without the service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import stillroom
from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from models.errors import FileCorrupt, GoldenMismatch, NothingPromoted, StoreMissing, UnknownId
from stillroom import Event, Model
from tests.support.bundles import tiny_contents, with_unavailable
from tests.support.service import ids_of, running


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one bundle, which is promoted."""
    store = tmp_path_factory.mktemp("notebook") / "store"
    Registry(store).promote(write_bundle(store, tiny_contents()).name)
    return store


@pytest.fixture(scope="module")
def model(store: Path) -> Model:
    return stillroom.load_bundle(store)


def ids(answer: list[stillroom.Recommendation]) -> list[str]:
    return [each.item_id for each in answer]


def own_items(model: Model, user_id: str) -> list[str]:
    history = model.bundle.people.find(user_id)
    assert history is not None
    return model.bundle.items.vocabulary.ids_of(history.item_indices)


def test_a_store_gives_its_promoted_bundle_and_a_folder_itself(store: Path, model: Model) -> None:
    assert model.version == Registry(store).current()
    assert stillroom.load_bundle(str(store / model.version)).version == model.version


async def test_a_notebook_and_the_service_answer_alike(store: Path, model: Model) -> None:
    known = model.bundle.people.people.id_of(0)
    seen = own_items(model, known)[0]
    async with running(store) as service:
        for asked in (known, None, "nobody-knows-me"):
            answer = await service.recommend(**({"user_id": asked} if asked else {}), limit=7)
            assert ids(model.recommend(asked, limit=7)) == ids_of(answer)
        visit = [{"item_id": seen, "kind": "cart", "time": 1_700_000_000}]
        answer = await service.recommend(session=visit, limit=7)
    found = model.recommend(events=[Event(seen, 1_700_000_000, "cart")], limit=7)
    assert ids(found) == ids_of(answer)


def test_own_items_are_candidates_unless_they_are_left_out(model: Model) -> None:
    known, n_items = model.bundle.people.people.id_of(0), len(model.bundle.items)
    own = set(own_items(model, known))
    assert own <= set(ids(model.recommend(known, limit=n_items)))
    assert not own & set(ids(model.recommend(known, limit=n_items, known_items="leave_out_touched")))
    assert not own & set(ids(model.recommend(known, limit=n_items, known_items="leave_out_bought")))
    assert set(ids(model.recommend(known, limit=n_items, known_items="only"))) == own


def test_what_was_only_viewed_is_touched_and_not_bought(model: Model) -> None:
    item_id = model.recommend(limit=1)[0].item_id
    viewed = [Event(item_id, 1_700_000_000, "view")]
    assert item_id in ids(model.recommend(events=viewed, limit=100, known_items="leave_out_bought"))
    assert item_id not in ids(model.recommend(events=viewed, limit=100, known_items="leave_out_touched"))
    assert model.recommend(events=viewed, limit=100, known_items="only") == []


def test_only_bought_items_are_only_those_that_may_be_recommended(tmp_path: Path) -> None:
    model = stillroom.load_bundle(write_bundle(tmp_path, with_unavailable(tiny_contents(), [0])))
    assert ids(model.recommend("user-0", known_items="only")) == ["item-4", "item-8"]


def test_a_known_items_that_is_none_is_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="rank, leave_out_bought, leave_out_touched, only"):
        model.recommend(known_items="none")  # type: ignore[arg-type]


def test_excluded_items_are_never_answered(model: Model) -> None:
    first = model.recommend(limit=2)
    assert model.recommend(limit=1, exclude_items=[first[0].item_id])[0].item_id == first[1].item_id


def test_scores_fall_and_titles_are_the_shops(model: Model) -> None:
    answer = model.recommend(limit=10)
    assert [each.score for each in answer] == sorted((each.score for each in answer), reverse=True)
    items = model.bundle.items
    for each in answer:
        row = items.vocabulary.find(each.item_id)
        assert row is not None
        assert each.title == items.titles[row]


def test_what_may_not_be_recommended_is_not(tmp_path: Path) -> None:
    gone = [0, 1, 5]
    model = stillroom.load_bundle(write_bundle(tmp_path, with_unavailable(tiny_contents(), gone)))
    answered = set(ids(model.recommend(limit=len(model.bundle.items))))
    assert len(answered) == len(model.bundle.items) - len(gone)
    assert not answered & set(model.bundle.items.vocabulary.ids_of(gone))


def test_an_item_that_the_bundle_does_not_know_is_said(model: Model) -> None:
    with pytest.raises(UnknownId, match="no-such-item"):
        model.recommend(events=[Event("no-such-item", 0)])
    with pytest.raises(UnknownId, match="no-such-item"):
        model.recommend(exclude_items=["no-such-item"])


@pytest.mark.parametrize("limit", [0, 101])
def test_a_limit_out_of_bounds_is_refused(model: Model, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        model.recommend(limit=limit)


def test_a_kind_that_is_none_is_refused(model: Model) -> None:
    item_id = model.bundle.items.vocabulary.id_of(0)
    with pytest.raises(ValueError, match="view, click, cart, purchase, rating"):
        model.recommend(events=[Event(item_id, 0, "stolen")])  # type: ignore[arg-type]


def test_a_store_without_a_promoted_bundle_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingPromoted):
        stillroom.load_bundle(tmp_path)
    with pytest.raises(StoreMissing):
        stillroom.load_bundle(tmp_path / "nowhere")


def test_a_bundle_that_answers_otherwise_than_when_it_was_written_is_refused(tmp_path: Path) -> None:
    contents = tiny_contents()
    first, *others = contents.golden.requests
    moved = msgspec.structs.replace(first, scores=[score + 1 for score in first.scores])
    golden = msgspec.structs.replace(contents.golden, requests=[moved, *others])
    path = write_bundle(tmp_path, replace(contents, golden=golden))
    with pytest.raises(GoldenMismatch):
        stillroom.load_bundle(path)


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, tiny_contents())
    file = path / "item_vectors.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(FileCorrupt, match="item_vectors"):
        stillroom.load_bundle(path)
