"""Finds members of other packages by the entry points of the packages that are installed here.

A bundle names a member and the package it came from, and holds its arrays, never its code. The class that an
installed package declares under `stillroom.fitted_members` scores them. docs/members.md says how to write one.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from models.errors import MemberMissing
from models.members import FITTED_MEMBERS
from models.members.member import FittedMember

GROUP = "stillroom.fitted_members"


def fitted_member(name: str, package: str = "") -> type[FittedMember]:
    """Return the class that runs a member: one of our own, or what an installed package declares under this name.

    package: the bundle's note of where it came from, as "name==version", for the error. Raises MemberMissing.
    """
    if name in FITTED_MEMBERS:
        return FITTED_MEMBERS[name]
    found = _declared(name)
    if found is None:
        source = package or "a package that the bundle does not name"
        remedy = f"install it: pip install '{package}'" if package else f"it must declare {GROUP}: {name}"
        raise MemberMissing(f"the member {name!r} comes from {source}, which is not installed here; {remedy}")
    try:
        loaded = found.load()
    except Exception as error:  # whatever the import of somebody else's package raises
        raise MemberMissing(
            f"the member {name!r} of {_package(found)} cannot be imported: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, FittedMember) and loaded.name == name):
        raise MemberMissing(
            f"{_package(found)} declares {found.value} under {GROUP} as {name!r}; it must be a FittedMember whose "
            f"name is {name!r}"
        )
    return loaded


def package_of(name: str) -> str:
    """Return the installed package of a member, as "name==version"; empty for one of our own."""
    found = None if name in FITTED_MEMBERS else _declared(name)
    return "" if found is None else _package(found)


def _declared(name: str) -> EntryPoint | None:
    found = list(entry_points(group=GROUP, name=name))
    if len(found) > 1:
        packages = ", ".join(sorted(map(_package, found)))
        raise MemberMissing(f"{packages} all declare the member {name!r}; uninstall all but one of them")
    return found[0] if found else None


def _package(found: EntryPoint) -> str:
    return "" if found.dist is None else f"{found.dist.name}=={found.dist.version}"
