from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from msgspec import structs

from models.bundles.manifest import IndexEntry
from tests.support.evaluations import example_data, example_evaluation, example_serving
from tests.support.simulations import example_monitoring, example_study
from training.evaluation.page.render import SECTIONS, render
from training.evaluation.page.report import assemble
from training.quality.schema import Quality

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Nesting(HTMLParser):
    """Refuses a page whose elements do not close in order; keeps ids, links and element names."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._keep(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._keep(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def _keep(self, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.references += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]


def example() -> Quality:
    quality = assemble(example_evaluation(), example_serving())
    quality.experiments, quality.monitoring = example_study(), example_monitoring()
    return quality


PARTS = [name for name, value in structs.asdict(example()).items() if value and name != "schema_version"]


def only(part: str) -> Quality:
    """A report of nothing else."""
    quality = Quality(schema_version=1)
    setattr(quality, part, getattr(example(), part))
    return quality


def parsed(page: str) -> Nesting:
    nesting = Nesting()
    nesting.feed(page)
    nesting.close()
    assert nesting.open == []
    return nesting


def sections_of(page: str) -> list[str]:
    return re.findall(r'<section id="([^"]*)">', page)


@pytest.fixture(scope="module")
def page() -> str:
    return render(example())


def test_a_full_evaluation_has_every_section_in_order(page: str) -> None:
    assert sections_of(page) == [section.name for section in SECTIONS]


def test_every_section_has_a_template_and_every_template_a_section() -> None:
    templates = {entry.name for entry in files("training.evaluation.page").joinpath("templates").iterdir()}
    expected = {f"{section.name}.html.j2" for section in SECTIONS}
    assert templates == expected | {"page.html.j2", "macros.html.j2", "style.css"}


def test_elements_close_in_order_and_no_id_is_used_twice(page: str) -> None:
    ids = parsed(page).ids
    assert len(ids) == len(set(ids))


def test_the_page_needs_no_script_and_nothing_outside_itself(page: str) -> None:
    found = parsed(page)
    assert found.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert all(reference.startswith("#") for reference in found.references)
    assert {reference[1:] for reference in found.references} <= set(found.ids)
    assert not re.search(r"@import|@font-face|url\((?!#)", page)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_alone_has_its_sections_and_needs_no_other(part: str) -> None:
    page = render(only(part))
    parsed(page)
    expected = [section.name for section in SECTIONS if section.needs in (part, "schema_version")]
    assert sections_of(page) == expected


def test_a_run_that_only_trained_has_a_page_too() -> None:
    whole = example_evaluation()
    protocol = structs.replace(whole.protocols["next_basket"], segments={})
    evaluation = Quality(
        settings={"seed": 0}, protocols={"next_basket": protocol}, compression=whole.compression
    )
    page = render(assemble(evaluation, {}))
    assert sections_of(page) == ["verdicts", "quality", "compression", "protocol", "again"]


def test_an_empty_report_still_says_how_to_make_one() -> None:
    assert sections_of(render(Quality(schema_version=1))) == ["again"]


def test_what_the_shop_named_is_text_and_never_markup() -> None:
    data = structs.replace(
        example_data(), source="<script>alert(1)</script>", dropped=["<i>3 events</i>"], columns=()
    )
    page = render(Quality(schema_version=1, data=data))
    assert "<script" not in page
    assert "&lt;i&gt;3 events&lt;/i&gt;" in page


def test_rows_that_were_kept_do_not_stand_under_what_was_left_out() -> None:
    data = structs.replace(example_data(), dropped=["3 of 4 rows kept (75.0%)", "  1  odd (kept)"])
    page = render(Quality(schema_version=1, data=data))
    assert "What was left out" not in page
    assert "How many rows were kept" in page


def test_what_is_missed_is_said_before_any_table(page: str) -> None:
    said = page[: page.index("<table")]
    assert re.search(r"\d+ of \d+ bounds are missed", said)
    assert "accuracy on balanced pairs, next basket" in said


def test_when_nothing_is_missed_the_page_says_so() -> None:
    met = [structs.replace(verdict, met=True) for verdict in example().targets or []]
    assert f"All {len(met)} bounds are met" in render(Quality(schema_version=1, targets=met))


def test_a_choice_whose_margin_may_be_luck_is_called_so(page: str) -> None:
    luck = "another draw of people might choose another"
    clear = structs.replace(example().strategies["next_basket"], margin_interval=(0.001, 0.005))
    assert luck in page
    assert luck not in render(Quality(schema_version=1, strategies={"next_basket": clear}))


def test_a_member_that_adds_nothing_is_named(page: str) -> None:
    assert "Adds nothing that can be told from chance: EASE, self-attention." in page


def test_the_command_that_made_the_report_is_shown_where_it_is_known() -> None:
    command = "python -m training evaluate shop --seed 7"
    page = render(Quality(schema_version=1, command=command))
    assert command in page
    assert "make report" in page
    assert "did not keep its command" not in page
    assert "give <code>--items</code> and <code>--columns</code>" in render(Quality(schema_version=1))


def test_the_ensemble_and_what_ships_are_shaded(page: str) -> None:
    table = page[page.index('id="quality"') :]
    shaded = re.findall(r'<tr class="ours"><th scope="row">([^<]*)</th>', table[: table.index("</table>")])
    assert shaded == ["ensemble", "student, as shipped"]


def test_a_section_that_holds_for_one_protocol_names_it(page: str) -> None:
    assert "<h2>Cold start <small>next basket</small></h2>" in page
    assert "<h2>Whether explanations are true <small>leave last out</small></h2>" in page


def test_a_version_without_a_latency_has_no_point_in_the_curve_of_cost() -> None:
    quality = only("compression")
    assert quality.compression is not None
    del quality.compression.pruning_curve[3]["latency_p50_ms"]
    assert sections_of(render(quality)) == ["compression", "again"]


def test_sentences_are_parted_by_a_space(page: str) -> None:
    prose = re.sub(r"<(style|svg|pre|code)\b.*?</\1>", "", page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", prose))
    assert not re.findall(r"\w[.;][A-Z]\w*|\w ;", text)


def test_index_of_a_large_catalogue_is_drawn_with_its_curve_and_a_flat_one_is_not() -> None:
    quality = example()
    page = render(quality)
    assert 'id="index"' in page
    assert all(f">{recall}" in page for recall in ("87.1", "94.9", "98.1", "99.3"))
    quality.index = IndexEntry(kind="flat")
    assert 'id="index"' not in render(quality)
