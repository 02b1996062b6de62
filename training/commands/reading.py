"""The options by which a person says what a shop's files cannot, shared by every command that reads them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from training.data.options import ReadingOptions, reading_options

_HELP = {
    "columns": "Column names, where they are not found, e.g. user_id=customer,item_id=sku,time=ts.",
    "kinds": "Kinds in the shop's words, e.g. addtocart=cart,transaction=purchase,scroll=drop.",
    "default_kind": "Kind of every row of a table without kinds: view, click, cart, purchase or rating.",
    "time_format": "How times are written: day-first, month-first, unix-s, rows, … or a pattern such as %d.%m.%y.",
    "encoding": "Encoding of text files, e.g. cp1252, if it is not found.",
    "delimiter": "Delimiter of text files: comma, semicolon, tab, pipe, space, or itself.",
    "header": "Whether text files name their columns: yes or no.",
    "accept": "Names of losses that are all right, as an error names them, e.g. missing-user.",
}


def reads_shop(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the reading options; they reach it as one argument, `reading`.

    typer reads a command's signature, so the eight options stand in it as if they were written there.
    """

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        told = {name: given.pop(name) for name in _HELP}
        command(**given, reading=reading_options(**told))

    own = [
        each
        for each in inspect.signature(command, eval_str=True).parameters.values()
        if each.name != "reading"
    ]
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default="",
            annotation=Annotated[str, typer.Option(help=text, rich_help_panel="Reading a shop's files")],
        )
        for name, text in _HELP.items()
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + more
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    del with_options.__wrapped__  # typer would read the signature behind it
    return with_options


__all__ = ["ReadingOptions", "reads_shop"]
