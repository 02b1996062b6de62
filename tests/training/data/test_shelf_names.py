import pytest

from training.data.shelf_names import readable_name, readable_size


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("HAMBURGER BUNS", "hamburger buns"),
        ("FRZN SS PREMIUM ENTREES/DNRS/N", "frozen single-serve premium entrees/dinners"),
        ("INSTANT COFFEE FLAVORED NO SWE", "instant coffee flavored"),
        ("CRANBERRY JUICE (OVER 50% JCE)", "cranberry juice (over 50% juice)"),
        ("GRAPEFRUIT JUICE (OVER 50% JUI", "grapefruit juice"),
        ("APPLES RED DELICIOUS (BULK&BAG", "apples red delicious"),
        ("GREETING CARDS/WRAP/PARTY SPLY", "greeting cards/wrap/party supplies"),
        ("CONVENIENT BRKFST/WHLSM SNACKS", "convenient breakfast/wholesome snacks"),
        ("CHRISTMAS  SEASONAL", "christmas seasonal"),
        ("VEGETABLES - ALL OTHERS", "vegetables"),
        ("PEPPERS-ALL", "peppers"),
        ("MISC. DAIRY", "other dairy"),
        ("BREAD:LOAF/SNACK", "bread: loaf/snack"),
        ("CHIPS&SNACKS", "chips and snacks"),
        ("WATERMELON W/SEEDS WHOLE", "watermelon with seeds whole"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCD", "abcdefghijklmnopqrstuvwxyzabcd"),
        ("", ""),
    ],
)
def test_name_of_the_register_is_written_for_people(name: str, readable: str) -> None:
    assert readable_name(name) == readable


@pytest.mark.parametrize(
    ("size", "readable"),
    [
        ("16 OZ", "16 oz"),
        ("14.5 OZ", "14.5 oz"),
        ("1 DZ", "1 dozen"),
        ("8   OZ", "8 oz"),
        ("50 SQ FT", "50 sq ft"),
        ("523225 CT", ""),
        ("8 CT/21 OZ", ""),
        ("AB D  8 OZ", ""),
    ],
)
def test_plain_size_is_written_for_people_and_no_other_is(size: str, readable: str) -> None:
    assert readable_size(size) == readable
