# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that own some paths, asked for together: one pass over a database and no index of all its files."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases, dpkg, rpm, rpm_query
from ansible_collections.bulwark.servers.plugins.module_utils.packages.aliases import MergedDirectories
from ansible_collections.bulwark.servers.plugins.module_utils.packages.dpkg_files import parse_diversions
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

APK_INSTALLED = b"lib/apk/db/installed"
# Paths in one call of rpm(8): far below what the kernel takes as arguments.
_BATCH = 500


class Owner(t.NamedTuple):
    """A package. arch: "" where dpkg's name of the list does not say it."""

    manager: str
    name: str
    arch: str


class Owners(t.NamedTuple):
    """by_path: the owner of each path that has one. problems: one sentence for each database that can't be asked."""

    by_path: t.Mapping[bytes, Owner]
    problems: t.Sequence[str]


# For each name that a path can be listed under, the path.
_Names = t.Mapping[bytes, bytes]
_Search = t.Callable[[bytes, _Names], t.Iterator[t.Tuple[bytes, Owner]]]


def find_owners(root: bytes, paths: t.Iterable[bytes]) -> Owners:
    """Return the installed packages that own these paths, absolute within ``root``, whether they exist or not."""
    merged = MergedDirectories(root)
    names = {name: path for path in paths for name in merged.names(path)}
    owners: dict[bytes, Owner] = {}
    problems: list[str] = []
    for search in (_dpkg, _rpm, _apk):
        problem = _search(search, root, names, owners)
        if problem is not None:
            problems.append(problem)
    return Owners(owners, problems)


def _search(search: _Search, root: bytes, names: _Names, owners: dict[bytes, Owner]) -> str | None:
    """Add what one database knows to ``owners``; return what is wrong with it."""
    try:
        for path, owner in search(root, names):
            owners.setdefault(path, owner)
    except OSError as error:
        return "the %s database can't be read: %s" % (search.__name__.strip("_"), error.strerror or error)
    return None


def _dpkg(root: bytes, names: _Names) -> t.Iterator[tuple[bytes, Owner]]:
    if not dpkg.present(root):
        return
    directory = os.path.join(root, dpkg.DIRECTORY)
    try:
        diversions = parse_diversions(read_state(os.path.join(directory, b"diversions")))
    except FileNotFoundError:
        diversions = []
    diverters = {diversion.contested: diversion.by for diversion in diversions}
    diverted = {each.contested: names[each.altered] for each in diversions if each.altered in names}
    wanted = names.keys() | diverted.keys()
    info = os.path.join(directory, b"info")
    for file in sorted(os.listdir(info)):
        if not file.endswith(b".list"):
            continue
        listed = wanted.intersection(read_state(os.path.join(info, file)).split(b"\n"))
        name, _colon, arch = file[: -len(b".list")].decode("utf-8", "surrogateescape").partition(":")
        for path in listed:
            if path not in diverters or diverters[path] == name:
                if path in names:
                    yield names[path], Owner("dpkg", name, arch)
            elif path in diverted:
                yield diverted[path], Owner("dpkg", name, arch)


def _rpm(root: bytes, names: _Names) -> t.Iterator[tuple[bytes, Owner]]:
    directory = rpm.directory(root)
    if directory is None:
        return
    run = databases.rpm_runner(root, directory)
    paths = sorted(set(names.values()))
    numbers: set[str] = set()
    for start in range(0, len(paths), _BATCH):
        asked = [os.fsdecode(path) for path in paths[start : start + _BATCH]]
        # A path of no package ends rpm with a status that is no failure; its sentence is no number.
        output, _problem = run(["-qf", "--queryformat", "%{DBINSTANCE}\\n", "--", *asked])
        numbers.update(line.decode("ascii") for line in output.split(b"\n") if line.isdigit())
    if not numbers:
        return
    query = ["-q", "--querybynumber", *sorted(numbers), "--queryformat"]
    output, problem = run([*query, rpm_query.PACKAGES_FORMAT])
    packages = {row.number: Owner("rpm", row.name, row.arch) for row in rpm_query.parse_packages(output)}
    output, further = run([*query, rpm_query.FILES_FORMAT])
    for number, files in rpm_query.parse_files(output):
        for file in files:
            if file.name in names and file.installed and number in packages:
                yield names[file.name], packages[number]
    if problem or further:
        raise OSError(problem or further)


def _apk(root: bytes, names: _Names) -> t.Iterator[tuple[bytes, Owner]]:
    """Read apk's ``installed``: P names a package, A its architecture, F a directory, R a file in that."""
    try:
        text = read_state(os.path.join(root, APK_INSTALLED))
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
            yield names[directory + value], Owner("apk", name, arch)
