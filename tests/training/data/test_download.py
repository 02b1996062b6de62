import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from tests.training.data.file_server import FileServer, serving
from training.base.errors import ChecksumMismatch, DownloadFailed
from training.data.download import DATA_SETS, DataSet, convert_online_retail, download, download_data_set
from training.data.online_retail import COLUMNS
from training.data.read import read_shop

RATINGS = b"a small archive"
SMALL = DataSet(
    "small",
    "",
    "small.zip",
    "https://example.org/small",
    md5=hashlib.md5(RATINGS, usedforsecurity=False).hexdigest(),
)

# 40513.35 is 2010-12-01 08:24:00 as Excel counts days.
ROWS = [
    (536365, "85123A", "WHITE HANGING HEART", 6, 40513.35, 2.55, 17850, "United Kingdom"),
    (536365, 71053, "WHITE METAL LANTERN", 6, 40513.35, 3.39, 17850, "United Kingdom"),
    ("C536379", "D", "Discount", -1, 40513.35, 27.5, None, "United Kingdom"),
]


def write_workbook(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """Write a zip that holds one Excel workbook of one sheet, with just the parts a reader needs."""
    lines = "".join(f"<row>{''.join(_cell(value, at) for at, value in enumerate(row))}</row>" for row in rows)
    head = f"<row>{''.join(_cell(name, 0) for name in COLUMNS)}</row>"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    formats = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Online Retail" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}">{formats}</styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{head}{lines}</sheetData>'
        "</worksheet>",
    }
    workbook = path.with_suffix(".xlsx")
    with zipfile.ZipFile(workbook, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(workbook, "Online Retail.xlsx")
    workbook.unlink()
    return path


def _cell(value: object, column: int) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    style = ' s="1"' if COLUMNS[column] == "InvoiceDate" else ""
    return f"<c{style}><v>{value}</v></c>"


def test_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="movielens-100k, movielens-1m, online-retail"):
        download("netflix", tmp_path)


def test_data_set_is_fetched_under_its_file_name(tmp_path: Path) -> None:
    with serving(FileServer(RATINGS)) as server:
        ready = download_data_set(replace(SMALL, url=server.url), tmp_path)
    assert ready == tmp_path / "small.zip"
    assert ready.read_bytes() == RATINGS


def test_whole_file_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "small.zip").write_bytes(RATINGS)
    with serving(FileServer(RATINGS)) as server:
        download_data_set(replace(SMALL, url=server.url), tmp_path)
    assert server.ranges == []


def test_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "small.zip").write_bytes(RATINGS[:3])
    with serving(FileServer(RATINGS)) as server:
        ready = download_data_set(replace(SMALL, url=server.url), tmp_path)
    assert ready.read_bytes() == RATINGS


def test_failure_names_the_page_and_keeps_its_kind(tmp_path: Path) -> None:
    with (
        serving(FileServer(b"something else")) as server,
        pytest.raises(ChecksumMismatch, match=r"https://example\.org/small"),
    ):
        download_data_set(replace(SMALL, url=server.url), tmp_path)


def test_online_retail_workbook_becomes_the_table_the_loader_reads(tmp_path: Path) -> None:
    content = write_workbook(tmp_path / "archive.zip", ROWS).read_bytes()
    convert = partial(convert_online_retail, n_rows=len(ROWS))
    with serving(FileServer(content)) as server:
        data_set = replace(DATA_SETS["online-retail"], url=server.url, convert=convert)
        ready = download_data_set(data_set, tmp_path / "data")
    assert list(ready.parent.iterdir()) == [ready]
    table = pl.read_csv(ready, infer_schema=False)
    assert table.columns == list(COLUMNS)
    assert table.row(1)[:5] == ("536365", "71053", "WHITE METAL LANTERN", "6", "2010-12-01 08:24:00")
    shop = read_shop(ready)
    assert shop.events.select("user_id", "item_id").rows() == [("17850", "85123A"), ("17850", "71053")]
    assert shop.dropped.dropped["missing customer"] == 1


def test_workbook_with_missing_rows_is_refused(tmp_path: Path) -> None:
    archive = write_workbook(tmp_path / "archive.zip", ROWS)
    with pytest.raises(DownloadFailed, match="3 rows, 541,909 expected"):
        convert_online_retail(archive, tmp_path / "retail.csv.gz")
    assert not (tmp_path / "retail.csv.gz").exists()


def test_archive_with_a_wrong_crc_is_refused(tmp_path: Path) -> None:
    archive = write_workbook(tmp_path / "archive.zip", ROWS)
    content = bytearray(archive.read_bytes())
    content[200] ^= 0xFF  # inside the stored workbook
    archive.write_bytes(content)
    with pytest.raises(DownloadFailed, match=r"Bad CRC-32 for file 'Online Retail\.xlsx'"):
        convert_online_retail(archive, tmp_path / "retail.csv.gz", n_rows=len(ROWS))


@pytest.mark.parametrize("content", [b"<html>moved</html>", None])
def test_what_is_no_workbook_in_a_zip_is_refused(tmp_path: Path, content: bytes | None) -> None:
    archive = tmp_path / "archive.zip"
    if content is None:
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("readme.txt", "nothing here")
    else:
        archive.write_bytes(content)
    with pytest.raises(DownloadFailed, match="not the zip of one Excel sheet"):
        convert_online_retail(archive, tmp_path / "retail.csv.gz")
