"""Every picture there is, by the name of its file."""

from __future__ import annotations

from functools import cache

from tests.pictures.rooms import draw_rooms, houses, rooms_of
from tests.pictures.ways import draw_way
from tests.support.repository import ROOT

FOLDER = ROOT / "docs" / "pictures"
WITH_ROOMS = ("models", "service", "training")


@cache
def pictures() -> dict[str, str]:
    """File name to SVG."""
    of_rooms = {
        f"rooms-{house}.svg": draw_rooms(f"The rooms of {house}/", rooms_of(house)) for house in WITH_ROOMS
    }
    of_ways = {f"{file.stem}.svg": draw_way(file.read_text()) for file in sorted(FOLDER.glob("way-*.txt"))}
    return {"houses.svg": draw_rooms("What imports what", houses())} | of_rooms | of_ways
