import zipfile
from pathlib import Path

import pytest

from models.history import EventKind
from training.base.errors import SourceUnreadable
from training.data.movielens import find_movielens
from training.data.read import read_shop
from training.data.shop import ITEM_SCHEMA

LAYOUT_100K = {
    "u.data": "196\t2\t3\t881250949\n186\t1\t5\t891717742\n196\t1\t4\t881250000\n",
    "u.genre": "unknown|0\nAction|1\nComedy|2\n\n",
    "u.item": "1|Misérables, Les (1995)|01-Jan-1995||http://x/|0|1|1\n"
    '2|"Toy" Story: 2 (1995)|||http://y/|0|0|1\n',
}

LAYOUT_1M = {
    "ratings.dat": "1::2::3::978300760\n2::1::5::978302109\n",
    "movies.dat": "1::Misérables, Les (1995)::Drama|Musical\n2::Toy Story 2: Again (1999)::Comedy\n"
    "3::Alone (1990)::\n",
    "users.dat": "1::F::1::10::48067\n",
}


def write_folder(folder: Path, layout: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in layout.items():
        (folder / name).write_bytes(text.encode("latin-1"))
    return folder


def write_zip(path: Path, layout: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in layout.items():
            archive.writestr(f"ml/{name}", text.encode("latin-1"))
    return path


def test_100k_ratings_are_read(tmp_path: Path) -> None:
    shop = read_shop(write_folder(tmp_path / "ml-100k", LAYOUT_100K))
    rating = int(EventKind.RATING)
    assert shop.name == "movielens-100k"
    assert shop.events.rows() == [
        ("186", "1", 891_717_742, rating, 5.0),
        ("196", "1", 881_250_000, rating, 4.0),
        ("196", "2", 881_250_949, rating, 3.0),
    ]


def test_100k_titles_and_genres_are_read_from_latin_1(tmp_path: Path) -> None:
    shop = read_shop(write_folder(tmp_path / "ml-100k", LAYOUT_100K))
    assert shop.items.select(ITEM_SCHEMA.names()).rows() == [
        ("1", "Misérables, Les (1995)", "Misérables, Les (1995). Action Comedy", "Action", None),
        ("2", '"Toy" Story: 2 (1995)', '"Toy" Story: 2 (1995). Comedy', "Comedy", None),
    ]


def test_1m_is_read(tmp_path: Path) -> None:
    shop = read_shop(write_folder(tmp_path / "ml-1m", LAYOUT_1M))
    assert shop.name == "movielens-1m"
    assert shop.events.select("user_id", "item_id", "value").rows() == [("1", "2", 3.0), ("2", "1", 5.0)]
    assert shop.items.select("title", "category").rows() == [
        ("Misérables, Les (1995)", "Drama"),
        ("Toy Story 2: Again (1999)", "Comedy"),
        ("Alone (1990)", None),
    ]
    assert shop.attributes.rows() == [("1", ["Drama", "Musical"]), ("2", ["Comedy"]), ("3", [])]


@pytest.mark.parametrize("layout", [LAYOUT_100K, LAYOUT_1M])
def test_zip_reads_as_its_folder_does(tmp_path: Path, layout: dict[str, str]) -> None:
    from_folder = read_shop(write_folder(tmp_path / "ml", layout))
    from_zip = read_shop(write_zip(tmp_path / "ml.zip", layout))
    assert from_zip.events.equals(from_folder.events)
    assert from_zip.items.equals(from_folder.items)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("::1::5::978300760", "missing user"),
        ("1::::5::978300760", "missing item"),
        ("1::1::5::soon", "unreadable time"),
        ("1::1", "unreadable time"),
        ("1::1::9::978300760", "rating that is not between 0.5 and 5"),
    ],
)
def test_bad_rating_is_dropped_under_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    layout = LAYOUT_1M | {"ratings.dat": LAYOUT_1M["ratings.dat"] + line + "\n"}
    dropped = read_shop(write_folder(tmp_path / "ml", layout)).dropped
    assert (dropped.n_kept, dropped.dropped[reason]) == (2, 1)


def test_damaged_zip_is_unreadable(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "ml.zip", LAYOUT_1M)
    content = bytearray(source.read_bytes())
    content[60] ^= 0xFF  # inside the first stored member
    source.write_bytes(content)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read_shop(source)


def test_other_folders_and_files_are_not_movielens(tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_text("no zip at all")
    assert find_movielens(tmp_path, tmp_path) is None
    assert find_movielens(tmp_path / "notes.zip", tmp_path) is None
