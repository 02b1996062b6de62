"""CONTRIBUTING.md sends people to rooms, files and targets that are there."""

from __future__ import annotations

import re

from tests.support.repository import ROOT

PAGES = ("CONTRIBUTING.md", "docs/members.md")
HOUSES = ("models", "service", "training", "stillroom", "loadtest", "tests", "deploy", "examples", "docs")


def test_paths_that_contributors_are_sent_to_are_there() -> None:
    for page in PAGES:
        named = [
            each
            for each in re.findall(r"`([\w./-]+)`", (ROOT / page).read_text())
            if each.split("/")[0] in HOUSES
        ]
        paths = [each for each in named if "/" in each]
        assert paths, page
        assert not [each for each in paths if not (ROOT / each).exists()], page


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text())
        assert all(((ROOT / page).parent / link).exists() for link in links), page


def test_where_does_it_go_has_ten_changes_each_with_a_room() -> None:
    section = (
        (ROOT / "CONTRIBUTING.md").read_text().partition("## Where does it go?\n")[2].partition("\n## ")[0]
    )
    _, _, *rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    assert len(rows) == 10
    assert all("`" in rooms for _, rooms, _ in rows)


def test_targets_that_contributors_are_sent_to_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text())
    assert named
    assert set(named) <= targets
