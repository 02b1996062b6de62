"""Take markup and entities from texts, so that tags become no words."""

from __future__ import annotations

import html

import polars as pl


def without_markup(text: pl.Expr) -> pl.Expr:
    """Return text without tags, scripts and comments, its entities as characters, and its blanks as single ones."""
    bare = (
        text.str.replace_all(r"(?is)<(script|style)\b.*?</(?:script|style)\s*>", " ")
        .str.replace_all(r"(?s)<!--.*?-->", " ")
        .str.replace_all(r"</?[A-Za-z][^<>]*>", " ")
    )
    read = bare.map_batches(_without_entities, return_dtype=pl.String)
    return read.str.replace_all(r"[\s\u00a0]+", " ").str.strip_chars()


def _without_entities(texts: pl.Series) -> pl.Series:
    has_entities = texts.str.contains(r"&(?:#\w+|\w+);")
    if not has_entities.any():
        return texts
    read = [html.unescape(text) if there else text for text, there in zip(texts, has_entities, strict=True)]
    return pl.Series(texts.name, read, pl.String)
