"""Write the names of a grocer's register so that people can read them: `FRZN SS PREMIUM ENTREES/DNRS/N` is a dish.

`complete_journey` calls it for product types, categories and package sizes.
"""

from __future__ import annotations

import re
from typing import Final

CUT_AT: Final = 30
"""The register cuts names at this many characters, so the last word of such a name may be half a word."""

_WORDS: Final = {
    "ACC": "accessories",
    "ACCS": "accessories",
    "ACCSS": "accessories",
    "BEERALEMALT": "beer, ale and malt",
    "BEV": "beverage",
    "BG": "bag",
    "BKD": "baked",
    "BN": "bean",
    "BNDGES": "bandages",
    "BRD": "breaded",
    "BRKFST": "breakfast",
    "BTH": "bath",
    "BTL": "bottle",
    "BTLS": "bottles",
    "BTR": "butter",
    "CARB": "carbonated",
    "CHIX": "chicken",
    "CHOC": "chocolate",
    "CHOCOCLATE": "chocolate",
    "CKTLS": "cocktails",
    "CKYS": "cookies",
    "CLEANG": "cleaning",
    "CNDY": "candy",
    "CNTRL": "control",
    "COCO": "cocoa",
    "COFF": "coffee",
    "CONC": "concentrate",
    "CRBNTD": "carbonated",
    "CRKR": "crackers",
    "CRMD": "creamed",
    "CRYSTL": "crystal",
    "DEOD": "deodorant",
    "DISPOSIBLE": "disposable",
    "DL": "deli",
    "DNR": "dinner",
    "DNRS": "dinners",
    "DRNK": "drink",
    "DRNKNG": "drinking",
    "DRNKS": "drinks",
    "DRSNG": "dressing",
    "DSH": "dish",
    "ELSTC": "elastic",
    "FD": "food",
    "FEM": "feminine",
    "FLVR": "flavor",
    "FLVRD": "flavored",
    "FRD": "fried",
    "FRE": "fresh",
    "FRZ": "frozen",
    "FRZN": "frozen",
    "GDS": "goods",
    "GNGR": "ginger",
    "GRND": "ground",
    "HBC": "health and beauty care",
    "HYGN": "hygiene",
    "INCL": "including",
    "INGRED": "ingredients",
    "IQF": "individually frozen",
    "JCE": "juice",
    "JUIC": "juice",
    "LBS": "lb",
    "LIQ": "liquid",
    "LT": "light",
    "MEMORABLILIA": "memorabilia",
    "MFG": "manufacturer",
    "MISC": "other",
    "MLK": "milk",
    "MLT": "multi",
    "MNRL": "mineral",
    "MW": "microwave",
    "MX": "mix",
    "MXS": "mixes",
    "MIXS": "mixes",
    "OJ": "orange juice",
    "PK": "pack",
    "PKG": "packaged",
    "PKGD": "packaged",
    "PKLD": "pickled",
    "PLSTC": "plastic",
    "PNCH": "punch",
    "PNT": "peanut",
    "PNUT": "peanut",
    "PREM": "premium",
    "PREP": "prepared",
    "PREPORTND": "preportioned",
    "PROD": "produce",
    "PRPCK": "prepacked",
    "PRSLC": "presliced",
    "PWDR": "powder",
    "PWDRS": "powders",
    "REFRGRATD": "refrigerated",
    "REFRIG": "refrigerated",
    "REG": "regular",
    "RTD": "ready-to-drink",
    "RTS": "ready-to-serve",
    "RW": "random weight",
    "SAL": "salad",
    "SALD": "salad",
    "SAUCESSALSAPICANTEE": "sauces, salsa and picante",
    "SAUS": "sausage",
    "SCE": "sauce",
    "SFT": "soft",
    "SGL": "single",
    "SHERBTS": "sherbets",
    "SLC": "sliced",
    "SNDWCH": "sandwich",
    "SNGL": "single",
    "SNKS": "snacks",
    "SOD": "soda",
    "SPEC": "specialties",
    "SPLY": "supplies",
    "SPRD": "spreads",
    "SRV": "serve",
    "SS": "single-serve",
    "SUP": "super",
    "SUPP": "supplement",
    "SUPPPLIES": "supplies",
    "SV": "service",
    "SW": "sweet",
    "SWEETNERS": "sweeteners",
    "SWT": "sweet",
    "SYRP": "syrup",
    "TISS": "tissues",
    "TRSH": "trash",
    "VEG": "vegetables",
    "VEND": "vending",
    "WHL": "whole",
    "WHLSM": "wholesome",
    "WT": "weight",
    "WTR": "water",
    "XMAS": "Christmas",
}
"""Words that the register shortens, and those that it misspells."""

_ENTIRE: Final = frozenset(
    {
        *_WORDS,
        "BREAD",
        "CANDLES",
        "CREAMS",
        "DETERGENT",
        "DRINK",
        "PATTIES",
        "POWDERS",
        "SNACKS",
        "SPRAYS",
        "SUPPLY",
    }
)
"""Words that are entire although they stand where names are cut."""

_UNITS: Final = {
    "CT": "count",
    "DZ": "dozen",
    "FT": "ft",
    "GA": "gal",
    "IN": "in",
    "L": "l",
    "LB": "lb",
    "ML": "ml",
    "OZ": "oz",
    "PK": "pack",
    "PT": "pt",
    "QT": "qt",
    "SQ FT": "sq ft",
}
_SIZE: Final = re.compile(rf"(\d{{1,4}}(?:\.\d+)?)\s+({'|'.join(_UNITS)})")
_CONNECTING: Final = (
    "and",
    "in",
    "including",
    "incl",
    "n",
    "no",
    "not",
    "of",
    "or",
    "the",
    "to",
    "w",
    "with",
)
_LOOSE_END: Final = re.compile(rf"(?:[\s/,:&(<=-]|\b(?:{'|'.join(_CONNECTING)})\b)+$")


def readable_name(name: str) -> str:
    """Write a name of the register in lower case, its words in full; "" if nothing of it is left.

    Of a name that the register cut, the last word is left out, and so is what a cut bracket held.
    """
    text = _without_cut_off_word(" ".join(name.split()))
    text = re.sub(r"\bW/O\b", "without ", text)
    text = re.sub(r"\bW/", "with ", text)
    text = re.sub(r"\s*-\s*ALL(?: OTHERS?)?$", "", text)
    text = re.sub(r"\b(MISC|PKG)\.\s*", r"\1 ", text).replace("&", " and ")
    text = re.sub(r"[A-Z]+", lambda found: _WORDS.get(found[0], found[0].lower()), text)
    text = re.sub(r":(?=\S)", ": ", text)
    return _LOOSE_END.sub("", " ".join(text.split())).strip(" -/,")


def readable_size(size: str) -> str:
    """Write a package size such as `16 OZ` as `16 oz`; "" for what is no plain number of one unit."""
    found = _SIZE.fullmatch(size.strip())
    return f"{found[1]} {_UNITS[found[2]]}" if found else ""


def _without_cut_off_word(name: str) -> str:
    if len(name) >= CUT_AT - 1:  # a blank at the end is cut off as well
        if name.count("(") > name.count(")"):
            return name[: name.rindex("(")]
        if len(name) >= CUT_AT and not name.endswith(")"):
            place = max(name.rfind(mark) for mark in " /&-:")
            return name if place < 1 or name[place + 1 :] in _ENTIRE else name[:place]
    return name
