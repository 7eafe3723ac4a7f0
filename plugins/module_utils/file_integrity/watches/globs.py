# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs over paths, matched one component at a time, so that a walk asks only about names it meets."""

from __future__ import annotations

import fnmatch
import re
import typing as t

# A component of a compiled glob: a name as it is, an expression for one name, or any number of components.
ANY_DEPTH = None
Component = t.Union[bytes, "re.Pattern[str]", None]

_SPECIAL = re.compile(r"[*?\[]")
# A set of characters as fnmatch reads it: a ] right after its beginning is one of them.
_SET = re.compile(r"\[(?:!\]|!(?!\])|\]|(?![!\]]))[^\]]*\]")


class GlobError(Exception):
    """A glob is malformed; the message says how."""


def to_bytes(text: str) -> bytes:
    """Return text from the controller as the kernel's bytes; surrogate escapes stand for bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def to_text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def has_special(text: str) -> bool:
    return _SPECIAL.search(text) is not None


def escaped(text: str) -> str:
    """Return the glob that matches exactly this text."""
    return _SPECIAL.sub(r"[\g<0>]", text)


def components(glob: str) -> tuple[str, ...]:
    """Return the components of an absolute glob; raise GlobError when it isn't one or climbs with ``..``."""
    if not glob.startswith("/"):
        raise GlobError("'%s' is not absolute; start it with a /" % glob)
    try:
        if b"\0" in to_bytes(glob):
            raise GlobError("%r has a null character" % glob)
    except UnicodeEncodeError as error:
        raise GlobError("%r has a character that no file name can have" % glob) from error
    parts = tuple(part for part in glob.split("/") if part not in ("", "."))
    if ".." in parts:
        raise GlobError("'%s' has the component '..'; write the path it means" % glob)
    return parts


def check(glob: str, name: bool = False) -> None:
    """Raise GlobError for what nobody means: what ``components`` refuses, and a ``[`` that is taken as it is.

    name: the glob may also be one for names, without any ``/``. fnmatch(3) takes a ``[`` that is not closed literally;
    whoever means a file with that name writes ``[[]``.
    """
    parts = (glob,) if name and glob and "/" not in glob else components(glob)
    for part in parts:
        if "[" in _SET.sub("", part):
            raise GlobError("'%s' has a [ that is not closed; close it, or write [[] for the character itself" % glob)


def compiled(parts: t.Iterable[str]) -> tuple[Component, ...]:
    """Return components ready to match; neighbouring ``**`` are one."""
    compiled_components: list[Component] = []
    for part in parts:
        if part == "**":
            if not compiled_components or compiled_components[-1] is not ANY_DEPTH:
                compiled_components.append(ANY_DEPTH)
        elif has_special(part):
            compiled_components.append(re.compile(fnmatch.translate(part)))
        else:
            compiled_components.append(to_bytes(part))
    return tuple(compiled_components)


def any_of(globs: t.Sequence[str]) -> re.Pattern[str] | None:
    """Return one expression for names that match any of the globs, None when there are none."""
    if not globs:
        return None
    # fnmatch.translate returns (?s:...)\Z, whose flags are scoped, so that they can be joined.
    return re.compile("|".join("(?:%s)" % fnmatch.translate(glob) for glob in globs))
