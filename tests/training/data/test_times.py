from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.meaning.times import (
    EARLIEST_SECONDS,
    TimeFormat,
    detect_time_format,
    unix_seconds,
)

NOON = int(datetime(2024, 7, 1, 12, tzinfo=UTC).timestamp())

seconds = st.integers(EARLIEST_SECONDS, 4_102_444_800)  # 1990 to 2100


def read(values: pl.Series, time_format: TimeFormat) -> list[int | None]:
    return values.alias("t").to_frame().select(unix_seconds("t", time_format)).to_series().to_list()


@given(st.lists(seconds, min_size=1))
def test_seconds_are_recognised_and_read_back(times: list[int]) -> None:
    series = pl.Series(times)
    assert detect_time_format(series) is TimeFormat.UNIX_SECONDS
    assert read(series, TimeFormat.UNIX_SECONDS) == times


@given(st.lists(seconds, min_size=1))
def test_milliseconds_as_text_are_recognised_and_read_back(times: list[int]) -> None:
    series = pl.Series([str(time * 1000 + 999) for time in times])
    assert detect_time_format(series) is TimeFormat.UNIX_MILLISECONDS
    assert read(series, TimeFormat.UNIX_MILLISECONDS) == times


@given(st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)), min_size=1))
def test_iso_text_is_recognised_and_read_back(times: list[datetime]) -> None:
    series = pl.Series([time.isoformat() for time in times])
    assert detect_time_format(series) is TimeFormat.ISO_8601
    assert read(series, TimeFormat.ISO_8601) == [
        int(time.replace(tzinfo=UTC, microsecond=0).timestamp()) for time in times
    ]


spellings = st.sampled_from(["{}T{}", "{} {}", "{}T{}Z", "{} {} UTC", "{}T{}.75Z", " {}T{}.999"])
days = st.sampled_from(["2024-07-01", "2024-02-30", "1969-12-31", "0000-01-01", "9999-12-31"])
clocks = st.sampled_from(["12:00:00", "23:59:60", "24:00:00", "00:61:00", "00:00:59"])


@given(st.lists(st.one_of(st.none(), st.builds(str.format, spellings, days, clocks)), min_size=1, max_size=4))
def test_iso_in_one_spelling_is_read_as_among_others(texts: list[str | None]) -> None:
    among_others = read(pl.Series([*texts, "2024-07-01T14:00:00+02:00"]), TimeFormat.ISO_8601)
    assert read(pl.Series(texts, dtype=pl.String), TimeFormat.ISO_8601) == among_others[:-1]


@pytest.mark.parametrize(
    "text",
    [
        "2024-07-01T12:00:00Z",
        "2024-07-01 12:00:00",
        "2024-07-01 12:00:00 UTC",
        "2024-07-01T14:00:00+02:00",
        "2024-07-01T14:00:00+0200",
        "2024-07-01T14:00:00+02",
        "2024-07-01T07:00-05:00",
        "2024-07-01T12:00",
        " 2024-07-01T12:00:00.750Z",
        "2024-07-01T12:00:00,5",
    ],
)
def test_spellings_of_one_moment_are_one_time(text: str) -> None:
    assert read(pl.Series([text]), TimeFormat.ISO_8601) == [NOON]


def test_date_alone_is_its_midnight() -> None:
    assert read(pl.Series(["2024-07-01"]), TimeFormat.ISO_8601) == [NOON - 12 * 3600]


@pytest.mark.parametrize("text", ["yesterday", "", "2024-13-01", "2024-07-01T25:00:00", "01/07/2024"])
def test_text_that_is_no_time_is_null(text: str) -> None:
    assert read(pl.Series([text]), TimeFormat.ISO_8601) == [None]


@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "soon"])
def test_number_that_is_no_time_is_null(text: str) -> None:
    assert read(pl.Series([text]), TimeFormat.UNIX_SECONDS) == [None]


def test_few_numbers_among_dates_do_not_make_them_numbers() -> None:
    assert detect_time_format(pl.Series(["2024-07-01", "0", "2024-07-02"])) is TimeFormat.ISO_8601


def test_one_wild_number_does_not_change_the_unit() -> None:
    assert detect_time_format(pl.Series([NOON, NOON + 1, NOON * 1000])) is TimeFormat.UNIX_SECONDS


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([datetime(2024, 7, 1, 12)]),
        pl.Series([datetime(2024, 7, 1, 12)]).cast(pl.Datetime("ns")),
        pl.Series([datetime(2024, 7, 1, 12)])
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Europe/Paris"),
    ],
)
def test_date_types_are_read_as_the_moment_they_mean(series: pl.Series) -> None:
    assert detect_time_format(series) is TimeFormat.DATE_TYPE
    assert read(series, TimeFormat.DATE_TYPE) == [NOON]


def test_date_type_without_a_time_of_day_is_midnight() -> None:
    assert read(pl.Series([date(2024, 7, 1)]), TimeFormat.DATE_TYPE) == [NOON - 12 * 3600]


@pytest.mark.parametrize(
    "text",
    [
        "1-Dec-2010 08:26",
        "Dec 1st, 2010 8:26 AM",
        "Wed, 01 Dec 2010 08:26:00 +0000",
        "Wed Dec 01 08:26:00 UTC 2010",
        "Wed Dec 01 2010 09:26:00 GMT+0100 (Central European Standard Time)",
        "01 Dec 2010 00:26 PST",
        "Mittwoch, 1. Dezember 2010 um 08:26 Uhr",
        "1. Dez. 2010 08:26",
        "mar. 1er décembre 2010 à 08:26",
        "1 déc. 2010 08:26",
        "martes, 1 de diciembre de 2010 a las 8:26",
        "mar 1 dic 2010 08:26",
        "mercoledì 1º dicembre 2010 alle ore 08:26",
        "1 de dezembro de 2010 às 08:26",
        "woensdag 1 december 2010 om 08:26",
    ],
)
def test_names_of_months_are_read_in_several_languages(text: str) -> None:
    series = pl.Series([text])
    assert detect_time_format(series) is TimeFormat.MONTH_NAMES
    assert read(series, TimeFormat.MONTH_NAMES) == [int(datetime(2010, 12, 1, 8, 26, tzinfo=UTC).timestamp())]


@pytest.mark.parametrize(
    "names",
    [
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
    ],
)
def test_each_month_of_a_language_is_its_number(names: str) -> None:
    read_back = read(pl.Series([f"3 {name} 2010" for name in names.split()]), TimeFormat.MONTH_NAMES)
    assert read_back == [int(datetime(2010, month, 3, tzinfo=UTC).timestamp()) for month in range(1, 13)]


@pytest.mark.parametrize("text", ["3 jui 2010", "2010 Dec 01 08", "8:26 1 Dec 2010", "3 smarch 2010", "Dec"])
def test_word_that_may_be_two_months_or_a_date_in_another_order_is_null(text: str) -> None:
    assert read(pl.Series([text]), TimeFormat.MONTH_NAMES) == [None]
