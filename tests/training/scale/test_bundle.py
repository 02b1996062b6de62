"""`scale-bundle`: a bundle like any other, whose every part is invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from models.bundles.bundle import Bundle, read_bundle, read_manifest
from models.bundles.golden import replay_golden
from models.bundles.registry import Registry
from training.__main__ import app
from training.scale import bundle as scale_bundle
from training.scale.bundle import REASON, write_scale_bundle
from training.scale.shop import FILTER_CATEGORY, ScaleSettings
from training.student.inverted_lists import IndexSettings

SETTINGS = ScaleSettings(n_items=500, n_people=300)


def write(store: Path, settings: ScaleSettings = SETTINGS) -> Path:
    return write_scale_bundle(settings, store, Console(quiet=True))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("scale"))


@pytest.fixture(scope="session")
def bundle(folder: Path) -> Bundle:
    return read_bundle(folder)


@pytest.fixture(scope="session")
def in_lists(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same shop, its catalogue held to be large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale_bundle, "INDEX", IndexSettings(exact_up_to=100, n_people=20, sample_per_list=39))
        return read_bundle(write(tmp_path_factory.mktemp("lists")))


def test_command_writes_a_bundle_of_the_requested_size_and_promotes_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["scale-bundle", "--items", "200", "--people", "30", "--store", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    current = Registry(tmp_path).current()
    read = read_bundle(tmp_path / current)
    assert (len(read.items), len(read.people.people)) == (200, 30)
    assert f"current is {current}" in done.output


def test_golden_requests_are_answered_as_recorded(bundle: Bundle) -> None:
    assert len(bundle.golden.requests) == 16
    replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden)


def test_everybody_is_found_with_a_history_and_gets_a_full_answer(bundle: Bundle) -> None:
    histories = [bundle.people.find(f"u{person:08d}") for person in range(300)]
    known = [history for history in histories if history is not None and len(history)]
    assert len(known) == 300
    ranked = bundle.load_student().recommend(known, 20, blocked=[each.item_indices for each in known])
    assert (ranked.item_indices >= 0).all()


def test_filter_category_is_in_the_bundle(bundle: Bundle) -> None:
    assert bundle.items.allowed(categories=[FILTER_CATEGORY]).sum() == 5


@pytest.mark.parametrize("name", ["bundle", "in_lists"])
def test_people_lie_near_what_they_touched(request: pytest.FixtureRequest, name: str) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    student = bundle.load_student()
    histories = [bundle.people.histories[row] for row in range(300)]
    products = student.user_vectors(histories) @ student.item_vectors(np.arange(500)).T
    ranks = np.argsort(np.argsort(-products, axis=1), axis=1)
    touched = [ranks[row, history.item_indices].mean() for row, history in enumerate(histories)]
    assert np.mean(touched) < 0.3 * 500


def test_manifest_says_that_nothing_was_learned(bundle: Bundle) -> None:
    assert bundle.manifest.student.reason == REASON
    assert not bundle.manifest.student.candidates
    assert not bundle.manifest.training.metrics
    assert "500 items, 300 people; the student is not trained" in bundle.manifest.training.source
    lengths = np.diff(bundle.people.histories.offsets)
    assert bundle.manifest.training.settings == {
        "n_items": 500,
        "n_people": 300,
        "seed": 0,
        "mean_events_per_person": pytest.approx(lengths.mean(), abs=0.01),
        "max_events_per_person": lengths.max(),
    }


def test_equal_settings_make_equal_files_and_another_seed_makes_others(folder: Path, tmp_path: Path) -> None:
    files = read_manifest(folder).files
    assert read_manifest(write(tmp_path)).files == files
    other = read_manifest(write(tmp_path, ScaleSettings(500, 300, seed=1))).files
    same = {name for name, entry in files.items() if other[name] == entry}
    assert not {"histories.times.npy", "neighbour_items.npy", "item_vectors.npy", "user_tower.onnx"} & same


def test_large_catalogue_lies_by_list_and_people_touch_what_they_would_have(
    bundle: Bundle, in_lists: Bundle
) -> None:
    index = in_lists.manifest.student.index
    assert index.kind == "inverted"
    assert index.recall >= 0.98
    for person in (0, 100, 299):
        touched = (each.people.histories[person].item_indices for each in (bundle, in_lists))
        one, other = (
            set(each.items.vocabulary.ids_of(items.tolist()))
            for each, items in zip((bundle, in_lists), touched, strict=True)
        )
        assert one == other


def test_folder_of_large_arrays_is_gone_afterwards(folder: Path) -> None:
    assert sorted(each.name for each in folder.parent.iterdir()) == [".writing.lock", folder.name]
