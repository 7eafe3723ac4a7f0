# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that own some paths, asked for together: one pass over a database and no index of all its files."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import Reopener
from ansible_collections.bulwark.servers.plugins.module_utils.packages import apk, databases, dpkg, rpm, rpm_query
from ansible_collections.bulwark.servers.plugins.module_utils.packages.aliases import MergedDirectories
from ansible_collections.bulwark.servers.plugins.module_utils.packages.dpkg_files import parse_diversions, parse_md5sums
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

# Paths in one call of rpm(8): far below what the kernel takes as arguments.
_BATCH = 500


class Owner(t.NamedTuple):
    """A package. arch: "" where dpkg's name of the list does not say it."""

    manager: str
    name: str
    arch: str


class Owners(t.NamedTuple):
    """by_path: the owner of each path that has one. problems: one sentence for each database that can't be asked.

    digests: hex by hashlib's name, of paths whose packages record what they ship there; dpkg's only if asked for.
    """

    by_path: t.Mapping[bytes, Owner]
    problems: t.Sequence[str]
    digests: t.Mapping[bytes, t.Mapping[str, str]]


# For each name that a path can be listed under, the paths that were asked for.
_Names = t.Mapping[bytes, t.Sequence[bytes]]
_Read = t.Callable[[bytes], bytes]
_Owned = t.Tuple[bytes, Owner, t.Mapping[str, str]]
_Search = t.Callable[[bytes, _Names, bool], t.Iterator[_Owned]]


def find_owners(
    root: bytes, paths: t.Iterable[bytes], with_digests: bool = False, reopener: Reopener | None = None
) -> Owners:
    """Return the installed packages that own these paths, absolute within ``root``, whether they exist or not.

    reopener: as in ``read_state``; no program may run then, and rpm is not asked.
    """
    merged = MergedDirectories(root)
    names: dict[bytes, list[bytes]] = {}
    for path in paths:
        for name in merged.names(path):
            names.setdefault(name, []).append(path)
    owners: dict[bytes, Owner] = {}
    digests: dict[bytes, t.Mapping[str, str]] = {}
    problems: list[str] = []
    read = functools.partial(read_state, reopener=reopener)
    searches: dict[str, _Search] = {"dpkg": functools.partial(_dpkg, read), "apk": functools.partial(_apk, reopener)}
    if reopener is None:
        searches["rpm"] = _rpm
    for manager, search in searches.items():
        owned, problem = _asked(search, root, names, with_digests)
        for name, owner, shipped in owned:
            for path in names[name]:
                if path not in owners:
                    owners[path], digests[path] = owner, shipped
        if problem:
            problems.append("the %s database can't be read: %s" % (manager, problem))
    return Owners(owners, problems, digests)


def _asked(search: _Search, root: bytes, names: _Names, with_digests: bool) -> tuple[list[_Owned], str]:
    """Return what one database knows, and what is wrong with it."""
    owned: list[_Owned] = []
    try:
        owned.extend(search(root, names, with_digests))
    except OSError as error:
        return owned, str(error.strerror or error)
    return owned, ""


def _dpkg(read: _Read, root: bytes, names: _Names, with_digests: bool) -> t.Iterator[_Owned]:
    if not dpkg.present(root):
        return
    directory = os.path.join(root, dpkg.DIRECTORY)
    try:
        diversions = parse_diversions(read(os.path.join(directory, b"diversions")))
    except FileNotFoundError:
        diversions = []
    diverters = {diversion.contested: diversion.by for diversion in diversions}
    diverted = {each.contested: each.altered for each in diversions if each.altered in names}
    wanted = names.keys() | diverted.keys()
    info = os.path.join(directory, b"info")
    for file in sorted(os.listdir(info)):
        if not file.endswith(b".list"):
            continue
        listed = wanted.intersection(read(os.path.join(info, file)).split(b"\n"))
        name, _colon, arch = file[: -len(b".list")].decode("utf-8", "surrogateescape").partition(":")
        sums = (
            _md5sums(read, os.path.join(info, file[: -len(b".list")] + b".md5sums")) if listed and with_digests else {}
        )
        for path in listed:
            digests = {"md5": sums[path].hex()} if path in sums else {}
            if path not in diverters or diverters[path] == name:
                if path in names:
                    yield path, Owner("dpkg", name, arch), digests
            elif path in diverted:
                yield diverted[path], Owner("dpkg", name, arch), digests


def _md5sums(read: _Read, path: bytes) -> dict[bytes, bytes]:
    """Return the digests that dpkg has of a package's files; a package may have none."""
    try:
        return parse_md5sums(read(path))
    except FileNotFoundError:
        return {}


def _rpm(root: bytes, names: _Names, _with_digests: bool) -> t.Iterator[_Owned]:
    directory = rpm.directory(root)
    if directory is None:
        return
    run = databases.rpm_runner(root, directory)
    paths = sorted({path for asked in names.values() for path in asked})
    numbers: set[str] = set()
    for start in range(0, len(paths), _BATCH):
        batch = [os.fsdecode(path) for path in paths[start : start + _BATCH]]
        # A path of no package ends rpm with a status that is no failure; its sentence is no number.
        output, _problem = run(["-qf", "--queryformat", "%{DBINSTANCE}\\n", "--", *batch])
        numbers.update(line.decode("ascii") for line in output.split(b"\n") if line.isdigit())
    if not numbers:
        return
    query = ["-q", "--querybynumber", *sorted(numbers), "--queryformat"]
    output, problem = run([*query, rpm_query.PACKAGES_FORMAT])
    packages = {
        row.number: (Owner("rpm", row.name, row.arch), row.algorithm) for row in rpm_query.parse_packages(output)
    }
    output, further = run([*query, rpm_query.FILES_FORMAT])
    for number, files in rpm_query.parse_files(output):
        for file in files:
            if file.name in names and file.installed and number in packages:
                owner, algorithm = packages[number]
                digest = file.digest.decode("ascii")
                yield file.name, owner, {algorithm: digest} if algorithm and digest else {}
    if problem or further:
        raise OSError(problem or further)


def _apk(reopener: Reopener | None, root: bytes, names: _Names, _with_digests: bool) -> t.Iterator[_Owned]:
    """Read apk's ``installed``: P names a package, A its architecture, F a directory, R a file in that."""
    try:
        text = apk.read(root, reopener)
    except FileNotFoundError:
        return
    name = arch = ""
    directory = b"/"
    for line in text.split(b"\n"):
        field, value = line[:2], line[2:]
        if field == b"P:":
            name, arch = value.decode("utf-8", "surrogateescape"), ""
        elif field == b"A:":
            arch = value.decode("utf-8", "surrogateescape")
        elif field == b"F:":
            directory = b"/" + value + b"/" if value else b"/"
        elif field == b"R:" and directory + value in names:
            yield directory + value, Owner("apk", name, arch), {}
