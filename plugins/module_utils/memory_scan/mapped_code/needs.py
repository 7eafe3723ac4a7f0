# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries that nothing in a process needs: preloaded, audited, opened later, or brought by somebody else.

What a program is linked against is in its file, and the same is true of its libraries (DT_NEEDED). It says nothing of
who brought a library, whether the environment was wiped since, or where the library lies. Libraries that no package
ships are no witnesses, unless something else needs them. A library that only calls itself as what is needed (DT_SONAME)
is taken for that by the loader, which asks names of what it has loaded first: so the file has to be found by that name.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    elf,
    images,
    libraries,
    link_map,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.link_map import Key
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_NO_NAMES = elf.Names(None, ())


class Unneeded(t.NamedTuple):
    """Of the libraries that nothing needs, by device and inode.

    unpackaged: those that no package ships. altered: those that are not as their package ships them. early: those of
    ``unpackaged`` that the loader brought before what the program needs, or doesn't list.
    """

    unpackaged: frozenset[Key]
    altered: frozenset[Key]
    early: frozenset[Key]


def find(view: View, host: Host, loaded: t.Sequence[Mapping]) -> Unneeded:
    """Find them. loaded: what is mapped beside the executable, a mapping of each file."""
    program = [mapping for mapping in view.maps if mapping.executable and images.is_executable(view, mapping)][:1]
    # The thousand workers of a program have the same libraries.
    known = ("needs", "left", *map(_known_by, (*program, *loaded)), bool(program))
    unpackaged, altered, first = host.remember(known, lambda: _left(view, host, program, loaded))
    early = _early(view, host, unpackaged, first) if unpackaged and first else frozenset()
    return Unneeded(unpackaged, altered, early)


def _left(
    view: View, host: Host, program: t.Sequence[Mapping], loaded: t.Sequence[Mapping]
) -> tuple[frozenset[Key], frozenset[Key], set[Key]]:
    """Return the unpackaged and the altered libraries that nothing needs, and what the program itself needs."""
    packaged = {key(mapping) for mapping in loaded if _package(view, host, mapping) is not None}
    needed, first = _needed(view, host, program, loaded, packaged)
    left = [mapping for mapping in loaded if key(mapping) not in needed and _names(view, host, mapping) is not None]
    unpackaged = frozenset(key(mapping) for mapping in left if key(mapping) not in packaged)
    altered = frozenset(
        key(mapping) for mapping in left if key(mapping) in packaged and _is_altered(view, host, mapping)
    )
    return unpackaged, altered, first


def key(mapping: Mapping) -> Key:
    """Return what tells a file from others."""
    return mapping.device, mapping.inode


def _early(view: View, host: Host, files: t.AbstractSet[Key], first: t.AbstractSet[Key]) -> frozenset[Key]:
    """Return which files came before those that the program itself needs (first), or aren't listed."""
    listed = link_map.read(view, host)
    if not listed.whole:
        view.skip("the list of what its loader has loaded could not be read to the end")
    before: set[Key] = set()
    for one in listed.files if not first.isdisjoint(listed.files) else ():
        if one in first:
            break
        before.add(one)
    return frozenset(one for one in files if one in before or (listed.whole and one not in listed.files))


def _needed(
    view: View,
    host: Host,
    program: t.Sequence[Mapping],
    loaded: t.Sequence[Mapping],
    packaged: t.AbstractSet[Key],
) -> tuple[set[Key], set[Key]]:
    """Return what the program and the packaged libraries need, with what that needs in turn; and the program's own."""
    by_name: dict[bytes, list[Mapping]] = {}
    for mapping in loaded:
        names = _names(view, host, mapping) or _NO_NAMES
        for name in dict.fromkeys((names.own or b"", os.path.basename(mapping.path), mapping.path)):
            by_name.setdefault(name, []).append(mapping)
    first: set[Key] = set()
    needed: set[Key] = set()
    seen: set[Key] = set()
    directories = {os.path.dirname(mapping.path) for mapping in loaded if key(mapping) in packaged}
    waiting = [*program, *(mapping for mapping in loaded if key(mapping) in packaged)]
    while waiting:
        mapping = waiting.pop()
        if key(mapping) in seen:
            continue
        seen.add(key(mapping))
        for name in (_names(view, host, mapping) or _NO_NAMES).needed:
            there = by_name.get(name) or by_name.get(os.path.basename(name), [])
            # Whoever takes the name of a packaged library is not what anything needs while that is there.
            there = [one for one in there if key(one) in packaged] or [
                one for one in there if _is_found(view, host, one, os.path.basename(name), directories)
            ]
            needed.update(map(key, there))
            if mapping in program:
                first.update(map(key, there))
            waiting.extend(there)
    return needed, first


def _is_found(view: View, host: Host, mapping: Mapping, name: bytes, directories: t.Iterable[bytes]) -> bool:
    """Say whether the loader finds a library by a name, and not only the name in it: a link to it has that mostly.

    directories: of packaged libraries. Of another version the link is gone by now, and the file's name begins so. Of
    what is in containers nothing is known here.
    """
    if os.path.basename(mapping.path) == name or mapping.deleted:
        return True
    file = images.look_at(view, host, mapping)
    if file is None or not libraries.is_hosts(host, mapping, file.status):
        return True
    link = os.path.join(os.path.dirname(mapping.path), name)
    if surroundings.of(host).leads_to(link, file.status.st_dev, file.status.st_ino):
        return True
    shipped = any(host.owner(os.path.join(directory, name)) is not None for directory in directories)
    return os.path.basename(mapping.path).startswith(name) and not shipped


def _names(view: View, host: Host, mapping: Mapping) -> elf.Names | None:
    """Return the names that a file has in its dynamic section; None where it is no ELF file, or can't be read."""
    file = images.look_at(view, host, mapping)
    if file is None or file.image is None:
        return None
    image = file.image

    def read() -> elf.Names | None:
        descriptor = view.open_mapped(mapping)
        if descriptor is None:
            return None
        try:
            return elf.read_names(image, images.reader(descriptor))
        finally:
            os.close(descriptor)

    found: elf.Names | None = host.remember(("needs", "names", *_known_by(mapping)), read)
    return found


def _package(view: View, host: Host, mapping: Mapping) -> str | None:
    file = images.look_at(view, host, mapping)
    if file is None or mapping.deleted:
        return None
    status = file.status
    found: str | None = host.remember(
        ("needs", "package", *_known_by(mapping)), lambda: libraries.package_of(host, mapping.path, status)
    )
    return found


def _is_altered(view: View, host: Host, mapping: Mapping) -> bool:
    """Say whether a library is another than its package ships, as far as that records what it ships."""

    def compare() -> bool:
        return host.has_digests(mapping.path) and images.is_as_packaged(view, host, mapping) is False

    found: bool = host.remember(("needs", "altered", *_known_by(mapping)), compare)
    return found


def _known_by(mapping: Mapping) -> tuple[t.Any, ...]:
    return (mapping.device, mapping.inode, mapping.path, mapping.deleted)
