"""Find members by name: our own, and those of other packages, by the entry points of installed packages.

Settings name members; fitting, loading and the ensemble get the classes here. docs/members.md says how to write one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.errors import MemberMissing
from models.members.installed import fitted_member
from training.base.errors import SettingsInvalid
from training.members import MEMBERS
from training.members.member import Member

GROUP = "stillroom.members"
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
TAKEN = re.compile(r"random|popular\w*|ensemble\w*|student\w*|strategy\d*|timeline|beside")
"""Names that members cannot have, because other models or other parts of a bundle have them."""


def member_class(name: str) -> type[Member]:
    """Return the class of a member: one of our own, or the one that an installed package declares under this name.

    Raises SettingsInvalid if there is none, or if the package does not say how its member runs.
    """
    if name in MEMBERS:
        return MEMBERS[name]
    if not NAME.fullmatch(name) or TAKEN.fullmatch(name):
        raise SettingsInvalid(f"a member cannot be called {name!r}: lower-case letters, and no model's name")
    found = list(entry_points(group=GROUP, name=name))
    if len(found) != 1:
        others = sorted({each.name for each in entry_points(group=GROUP)})
        raise SettingsInvalid(
            f"{len(found) or 'no'} installed packages declare the member {name!r} (entry points {GROUP}); there are "
            f"{', '.join([*MEMBERS, *others])}"
        )
    try:
        loaded = found[0].load()
        fitted_member(name)  # else a bundle would prove unreadable after hours of training
    except MemberMissing as error:
        raise SettingsInvalid(str(error)) from error
    except Exception as error:  # the import of another package may raise anything
        raise SettingsInvalid(
            f"the member {name!r} ({found[0].value}) cannot be imported: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Member) and loaded.name == name):
        raise SettingsInvalid(f"{found[0].value} must be a Member whose name is {name!r}")
    return loaded


def make_member(name: str, settings: Mapping[str, Any]) -> Member:
    """Make an unfitted member with these settings, which its own fields check. Raises SettingsInvalid naming each."""
    try:
        made: Member = TypeAdapter(member_class(name)).validate_python(dict(settings))
    except ValidationError as error:
        problems = [f"{name}.{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
        raise SettingsInvalid("; ".join(problems)) from error
    return made
