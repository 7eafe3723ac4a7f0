# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the installed packages of a root in full, whichever of dpkg, rpm and apk it has."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import Reopener
from ansible_collections.bulwark.servers.plugins.module_utils.packages import apk, dpkg, dpkg_files, rpm, rpm_query
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import rpm_runner
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

# deb-control(5): "Source: name (version)"; the version is left out where it is the package's.
_SOURCE = re.compile(r"\s*([^\s(]+)\s*(?:\(\s*([^\s)]+)\s*\))?\s*\Z")
_STATUS_D = os.path.join(dpkg.DIRECTORY, b"status.d")
_INSTALLED = b"install ok installed"
_MOST_FILES = 20_000
# Each package has several files there.
_MOST_INFO = 500_000
_DIGESTS = b".md5sums"
_REMOVED = ("config-files", "not-installed")
_ENTRY = re.compile(rb"^package:", re.MULTILINE | re.IGNORECASE)
# A key that was imported is listed as a package.
_KEY = "gpg-pubkey"
HELD = "held"


class Details(t.NamedTuple):
    """One installed package; no text is None. version, source_version: as the manager writes them, with the epoch.

    manager: dpkg, rpm or apk. source: the source package's name; a package without one is its own. module: the label of
    an RPM module. repository: where it is known. state: ``HELD`` if dpkg holds it, else "".
    """

    manager: str
    name: str
    version: str
    arch: str
    source: str
    source_version: str
    module: str = ""
    vendor: str = ""
    repository: str = ""
    state: str = ""


class Listing(t.NamedTuple):
    """The packages; (subject, reason) of what is missing among them; sentences on what was left out on purpose.

    managers: those that have a database here, also an unreadable one. rpm_seconds: what rpm(8) took, None if it was not
    asked.
    """

    packages: list[Details]
    problems: list[tuple[str, str]]
    notes: list[str]
    managers: list[str]
    rpm_seconds: float | None = None


def list_installed(root: bytes, timeout: float | None, reopener: Reopener | None = None) -> Listing:
    """Return every package of a root. What fails is a problem, and the rest goes on.

    timeout: seconds for rpm(8); None if no program may run, so that RPM packages are missing. reopener: as in
    ``read_state``.
    """
    listing = Listing([], [], [], [])
    if dpkg.present(root) or os.path.isdir(os.path.join(root, _STATUS_D)):
        _add(listing, "dpkg", lambda: _dpkg(root, listing, reopener))
    directory = rpm.directory(root)
    if directory is not None and timeout is None:
        listing.managers.append("rpm")
    elif directory is not None and timeout is not None:
        begun = time.monotonic()
        runner = rpm_runner(root, directory, timeout)
        _add(listing, "rpm", lambda: _rpm(runner, listing))
        listing = listing._replace(rpm_seconds=time.monotonic() - begun)
    if apk.path(root) is not None:
        _add(listing, "apk", lambda: _apk(root, listing, reopener))
    return listing


def _add(listing: Listing, manager: str, packages: t.Callable[[], t.Iterable[Details]]) -> None:
    listing.managers.append(manager)
    subject = "%s database" % manager
    try:
        for package in packages():
            if package.name and package.version:
                listing.packages.append(package)
            else:
                name = printable(package.name) or "an entry"
                listing.problems.append((subject, "%s has no name or no version" % name))
    except OSError as error:
        listing.problems.append((subject, "it can't be read: %s" % (error.strerror or error)))


def _dpkg(root: bytes, listing: Listing, reopener: Reopener | None) -> t.Iterator[Details]:
    stanzas: dict[tuple[str, str], dpkg_files.Stanza] = {}
    if dpkg.present(root):
        data = read_state(os.path.join(root, dpkg.DIRECTORY, b"status"), reopener)
        stanzas = dpkg_files.parse_status(data)
        # Two without an empty line between them look like one.
        entries = max(sum(1 for text in data.split(b"\n\n") if text.strip()), len(_ENTRY.findall(data)))
        if entries > len(stanzas):
            reason = "%d of its %d entries have no name, no status or the name of another" % (
                entries - len(stanzas),
                entries,
            )
            listing.problems.append(("dpkg database", reason))
        stanzas.update(_journal(root, listing, reopener))
    stanzas.update(_status_d(root, listing, reopener))
    _add_unlisted(root, stanzas, listing)
    removed = 0
    for _key, stanza in sorted(stanzas.items()):
        if stanza.complete:
            yield _of_stanza(stanza)
        elif stanza.state in _REMOVED:
            removed += stanza.state == "config-files"
        else:
            listing.problems.append(
                (printable(stanza.name), "it is %s, which is not installed" % printable(stanza.state))
            )
    if removed:
        listing.notes.append("%d removed packages have left configuration, which is not installed software." % removed)


def _add_unlisted(root: bytes, stanzas: t.Mapping[tuple[str, str], dpkg_files.Stanza], listing: Listing) -> None:
    """Note packages that dpkg has digests of and that are not installed: it removes these together with the files."""
    # Other states have a reason of their own.
    known = {stanza.name for stanza in stanzas.values() if stanza.complete or stanza.state not in _REMOVED}
    names = _names(os.path.join(root, dpkg.DIRECTORY, b"info"), listing, _MOST_INFO)
    stems = {os.fsdecode(name[: -len(_DIGESTS)]).partition(":")[0] for name in names if name.endswith(_DIGESTS)}
    for name in sorted(stems - known):
        reason = "dpkg has the digests of its files, and its status says that it is not installed"
        listing.problems.append((printable(name), reason))


def _journal(root: bytes, listing: Listing, reopener: Reopener | None) -> dict[tuple[str, str], dpkg_files.Stanza]:
    """Return what a killed dpkg has not yet written to the status file."""
    stanzas: dict[tuple[str, str], dpkg_files.Stanza] = {}
    for name in _names(os.path.join(root, dpkg.DIRECTORY, b"updates"), listing):
        if name.isdigit():
            path = os.path.join(root, dpkg.DIRECTORY, b"updates", name)
            stanzas.update(dpkg_files.parse_status(read_state(path, reopener)))
    return stanzas


def _status_d(root: bytes, listing: Listing, reopener: Reopener | None) -> dict[tuple[str, str], dpkg_files.Stanza]:
    """Return the packages of an image that was made without dpkg: a file for each, without a status."""
    stanzas: dict[tuple[str, str], dpkg_files.Stanza] = {}
    for name in _names(os.path.join(root, _STATUS_D), listing):
        if not name.endswith(b".md5sums"):
            stanzas.update(
                dpkg_files.parse_status(read_state(os.path.join(root, _STATUS_D, name), reopener), _INSTALLED)
            )
    return stanzas


def _names(directory: bytes, listing: Listing, most: int = _MOST_FILES) -> list[bytes]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    if len(names) > most:
        listing.problems.append((printable(directory), "it holds %d files; %d were read" % (len(names), most)))
    return names[:most]


def _of_stanza(stanza: dpkg_files.Stanza) -> Details:
    match = _SOURCE.match(stanza.source)
    source, version = match.groups() if match else (None, None)
    return Details(
        manager="dpkg",
        name=stanza.name,
        version=stanza.version,
        arch=stanza.arch,
        source=source or stanza.name,
        source_version=version or stanza.version,
        vendor=stanza.origin,
        state=HELD if stanza.want == "hold" else "",
    )


def _rpm(run: rpm.Runner, listing: Listing) -> t.Iterator[Details]:
    output, problem = run(["-qa", "--queryformat", rpm_query.DETAILS_FORMAT])
    if problem is not None and not output:
        output, problem = run(["-qa", "--queryformat", rpm_query.OLD_DETAILS_FORMAT])
    if problem is not None:
        listing.problems.append(("rpm database", printable(problem)))
    for row in rpm_query.parse_details(output):
        if row.name != _KEY:
            yield Details(
                "rpm", row.name, row.version, row.arch, row.source, row.source_version, row.module, row.vendor
            )


def _apk(root: bytes, listing: Listing, reopener: Reopener | None) -> t.Iterator[Details]:
    for package in apk.parse(apk.read(root, reopener)):
        origin = package.origin or package.name
        if package.broken:
            listing.problems.append(
                (printable(package.name), "apk marks it as broken (%s)" % printable(package.broken))
            )
        yield Details(
            "apk", package.name, package.version, package.arch, origin, package.version, repository=package.tag
        )
