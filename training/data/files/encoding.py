"""Find the encoding of a text file by looking at its bytes: a byte order mark, valid UTF-8, or the likeliest other.

`find_encoding` looks at a sample. Nothing here reads a whole file.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import Final

from charset_normalizer import from_bytes

BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins like UTF-16-LE, so it is looked for first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OTHER_SCRIPTS: Final = (
    *("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
"""The encodings of other scripts than Latin that are looked for: those in which shop systems export."""
LATIN_LETTERS: Final = {
    "cp1252": (
        *("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúüªº", "àáâãçéêíóôõúüªº", "àèéìòù", "éëïóöüè", "åäöé", "æøåéèô"),
        *("àçéèíïóòúü", "áéíóúýþæöð"),
    ),
    "cp1250": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
    "cp1254": ("çğıöşüâîû",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
    "cp1258": ("ăâđêôơưàáèéìíòóùúý\u0300\u0301\u0303\u0309\u0323",),
}
"""The letters beyond ASCII of the languages that an encoding was made for, by falling number of their shops."""
WESTERN: Final = "cp1252"
"""The encoding that is assumed if nothing tells: it contains all printable characters of Latin-1."""
SYMBOLS: Final = "£€§°©®™–—‘’“”…«»²³½¼×"
MOSTLY: Final = 0.9
"""The share of non-ASCII bytes in valid UTF-8 sequences above which a file is UTF-8 with a few damaged characters."""
MAX_JUDGED_BYTES: Final = 1 << 16
"""Bytes that are judged; the detector of other scripts takes milliseconds for them."""
_RUN = re.compile(rb"[\x80-\xff]+")


def find_encoding(sample: bytes) -> str:
    """Return the Python name of the encoding of a sample of a file, its first bytes included.

    ASCII is returned as UTF-8. A few damaged characters in UTF-8 leave it UTF-8.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return encoding
    if (wide := _without_mark(sample)) is not None:
        return wide
    if _utf8_share(sample) >= MOSTLY:
        return "utf-8"
    telling = _telling_lines(sample)
    if _is_shift_jis(telling):
        return "cp932"
    runs = _RUN.findall(telling)
    if sum(map(len, runs)) < 2.5 * len(runs):
        return _latin_encoding(telling)  # single letters among those of ASCII: Größe, café
    found = from_bytes(telling, cp_isolation=list(OTHER_SCRIPTS)).best()
    return found.encoding if found is not None else WESTERN


def _without_mark(sample: bytes) -> str | None:
    """Recognise UTF-16 without a byte order mark: every second byte of mostly Latin text is zero."""
    if len(sample) < 4 or b"\0" not in sample:
        return None
    pairs = sample[: len(sample) // 2 * 2]
    high, low = pairs[::2].count(0), pairs[1::2].count(0)
    half = len(pairs) // 2
    if low > 0.5 * half and high < 0.1 * half:
        return "utf-16-le"
    if high > 0.5 * half and low < 0.1 * half:
        return "utf-16-be"
    return None


def _is_shift_jis(sample: bytes) -> bool:
    """Whether a tenth of the characters are kana in Shift-JIS, whose second bytes are often those of ASCII."""
    text = sample.decode("cp932", errors="replace")
    n_beyond = sum(not character.isascii() for character in text)
    n_kana = sum("\u3041" <= character <= "\u30fc" for character in text)
    return text.count("\ufffd") <= 0.01 * n_beyond and n_kana >= 0.1 * n_beyond


def _latin_encoding(sample: bytes) -> str:
    """Return the encoding of which one language contains the largest share of the letters; the first of equals."""
    shares = {encoding: _language_share(sample, encoding) for encoding in LATIN_LETTERS}
    return max(shares, key=lambda encoding: shares[encoding])


def _language_share(sample: bytes, encoding: str) -> float:
    text = sample.decode(encoding, errors="replace").lower()
    beyond = Counter(character for character in text if not character.isascii())
    n_covered = max(
        sum(beyond[letter] for letter in letters + SYMBOLS) for letters in LATIN_LETTERS[encoding]
    )
    return n_covered / max(beyond.total(), 1)


def _utf8_share(sample: bytes) -> float:
    """Return the share of the bytes beyond ASCII that belong to valid UTF-8 sequences; 1 if there are none."""
    text = sample.decode("utf-8", errors="surrogateescape")
    n_invalid = sum("\udc80" <= character <= "\udcff" for character in text)
    if n_invalid <= 3 and not sample[-4:].isascii():
        n_invalid = 0 if _is_cut(sample) else n_invalid
    n_beyond = sum(byte > 127 for byte in sample)
    return 1.0 if n_beyond == 0 else 1 - n_invalid / n_beyond


def _is_cut(sample: bytes) -> bool:
    """Whether the only fault of the sample is that it ends within a character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _telling_lines(sample: bytes) -> bytes:
    """Keep the lines with bytes beyond ASCII, since only those tell one encoding from another."""
    whole, _, cut = sample.rpartition(b"\n")
    lines = [line for line in (whole or cut).split(b"\n") if not line.isascii()] or [cut]
    # Bytes are judged in whole lines: half a character would speak against its encoding.
    n_bytes, telling = 0, list[bytes]()
    for line in lines:
        n_bytes += len(line) + 1
        if telling and n_bytes > MAX_JUDGED_BYTES:
            break
        telling.append(line)
    return b"\n".join(telling)
