# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that apt or dpkg is about to unpack: apt.conf(5), DPkg::Pre-Install-Pkgs, and dpkg's own command line."""

from __future__ import annotations

import os
import re
import typing as t

_VERSION = b"VERSION 3"
_FIELDS = 9
# Instead of the path of an archive.
_ACTION = re.compile(rb"\*\*[A-Z]+\*\*")
# dpkg(1): options for another root, whose files this host doesn't run.
_OTHER_ROOT = (b"--root", b"--instdir", b"--admindir")
_RECURSIVE = b"--recursive"
_SUFFIX = b".deb"
_NAME = re.compile(rb"([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?")
_MOST = 100_000


class Plan(t.NamedTuple):
    """A plan. archives: paths of those that are unpacked; packages: names of others that are changed."""

    archives: tuple[bytes, ...]
    packages: frozenset[str]


class PlanError(Exception):
    """It isn't known what will be unpacked; the message is one sentence."""


def of_apt(text: bytes) -> Plan:
    """Return what apt will do, by what it writes to a hook with version 3 of its protocol."""
    head, _blank, packages = text.partition(b"\n\n")
    if head.split(b"\n", 1)[0] != _VERSION:
        raise PlanError("apt did not use version 3 of its protocol for DPkg::Pre-Install-Pkgs")
    archives = []
    names = set()
    for line in packages.splitlines():
        fields = line.split(b" ", _FIELDS - 1)
        if len(fields) != _FIELDS:
            raise PlanError("apt wrote a line about a package that has not %d fields" % _FIELDS)
        names.add(os.fsdecode(fields[0]))
        if not _ACTION.fullmatch(fields[-1]):
            archives.append(fields[-1])
    return Plan(tuple(archives), frozenset(names))


def of_dpkg(arguments: t.Sequence[bytes], directory: bytes) -> Plan | None:
    """Return what dpkg will do, by its command line; None if it works on another root.

    directory: in which dpkg runs. Arguments that are neither files nor packages are values of options, or
    dpkg refuses them itself.
    """
    if any(argument.split(b"=")[0] in _OTHER_ROOT for argument in arguments):
        return None
    is_recursive = any(_is_recursive(argument) for argument in arguments)
    paths: list[bytes] = []
    names: set[str] = set()
    for argument in arguments[1:]:
        path = os.path.join(directory, argument)
        if argument.startswith(b"-"):
            continue
        if is_recursive and os.path.isdir(path):
            paths.extend(_below(path))
        elif os.path.isfile(path):
            paths.append(path)
        else:
            name = _NAME.fullmatch(argument)
            names.update(() if name is None else (os.fsdecode(name.group(1)),))
    if len(paths) > _MOST:
        raise PlanError("dpkg is given more than %d archives" % _MOST)
    return Plan(tuple(paths), frozenset(names))


def _is_recursive(argument: bytes) -> bool:
    return argument == _RECURSIVE or (argument[:1] == b"-" and argument[1:2] != b"-" and b"R" in argument)


def _below(top: bytes) -> list[bytes]:
    return [
        os.path.join(directory, name)
        for directory, _directories, names in os.walk(top)
        for name in sorted(names)
        if name.endswith(_SUFFIX)
    ]
