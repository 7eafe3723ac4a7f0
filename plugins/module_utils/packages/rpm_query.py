# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask rpm(8) for its database in a form that any file name survives, and parse the answer.

Names are quoted by rpm's own ``shescape`` format (rpm-queryformat(7)) and records are matched one after the other from
the first byte, so that a name with a newline, a quote or a made-up record in it stays a name.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

_QUOTED = rb"'([^']*(?:'\\''[^']*)*)'"
_ESCAPED_QUOTE = rb"'\''"

# %{DBINSTANCE} is the header's number in the database, which --querybynumber takes.
PACKAGES_FORMAT = (
    "%{DBINSTANCE} %{FILEDIGESTALGO} %{EPOCHNUM} %{NAME:shescape} %{VERSION:shescape} %{RELEASE:shescape} "
    "%{ARCH:shescape}\\n"
)
_PACKAGE = re.compile(
    rb"(\d+) (\d+|\(none\)) (\d+) "
    + _QUOTED
    + rb" "
    + _QUOTED
    + rb" "
    + _QUOTED
    + rb" (?:"
    + _QUOTED
    + rb"|\(none\))\n"
)

TIMES_FORMAT = "%{INSTALLTIME} " + PACKAGES_FORMAT
_TIME = re.compile(rb"(\d{1,12}) ")

# Tags that an old rpm does not know (MODULARITYLABEL: before 4.14) make it refuse the whole format.
_DETAILS_FORMAT = (
    "%%{EPOCHNUM} %%{NAME:shescape} %%{VERSION:shescape} %%{RELEASE:shescape} %%{ARCH:shescape} "
    "%%{SOURCERPM:shescape} %%{VENDOR:shescape} %s\\n"
)
DETAILS_FORMAT = _DETAILS_FORMAT % "%{MODULARITYLABEL:shescape}"
OLD_DETAILS_FORMAT = _DETAILS_FORMAT % "''"
_OPTIONAL = rb"(?:" + _QUOTED + rb"|\(none\))"
_DETAILS = re.compile(rb"(\d+) " + rb" ".join([_QUOTED] * 3) + rb" " + rb" ".join([_OPTIONAL] * 4) + rb"\n")
_SOURCE_RPM = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm\Z", re.DOTALL)

DEPENDENCIES_FORMAT = "N %{NAME:shescape}\\n[P %{PROVIDENAME:shescape}\\n][R %{REQUIRENAME:shescape}\\n]"
_DEPENDENCY = re.compile(rb"([NPR]) " + _QUOTED + rb"\n")

# The state comes last: it belongs to the host (another package replaced the file), the rest to the package.
FILES_FORMAT = (
    "P %{DBINSTANCE}\\n"
    "[F %{FILENAMES:shescape} %{FILELINKTOS:shescape} %{FILEUSERNAME:shescape} %{FILEGROUPNAME:shescape} "
    "%|FILECAPS?{%{FILECAPS:shescape}}:{''}| .%{FILEDIGESTS} %{FILEMODES} %{FILEFLAGS} %{FILEVERIFYFLAGS} "
    "%{FILESTATES}\\n]"
)
_HEADER = re.compile(rb"P (\d+)\n")
_FILE = re.compile(
    rb"(F " + _QUOTED + rb" " + _QUOTED + rb" " + _QUOTED + rb" " + _QUOTED + rb" " + _QUOTED + rb" "
    rb"\.([0-9a-f]*) (\d+) (\d+) (\d+)) (-?\d+|\(none\))\n"
)

# PGPHASHALGO_* of rpm's rpmpgp.h (the hash ids of RFC 4880, 9.4) by hashlib's names.
_ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}


class AnswerError(OSError):
    """rpm answered with something that is no answer to the query; the message says where."""


@dataclasses.dataclass(frozen=True)
class PackageRow:
    """One installed package. number: of its header in the database. algorithm: of its file digests, None if unknown."""

    number: int
    algorithm: str | None
    name: str
    version: str
    arch: str


@dataclasses.dataclass(frozen=True)
class DetailsRow:
    """One installed package in full, each field as the header has it, "" where it has none.

    version: with the epoch unless that is 0. source, source_version: of SOURCERPM, which names no epoch: it has the
    package's own where both have the same version and release. module: the label of its module.
    """

    name: str
    version: str
    arch: str
    source: str
    source_version: str
    module: str
    vendor: str


@dataclasses.dataclass(frozen=True)
class FileRow:
    """One file of a package, as rpm-queryformat(7) names the tags. record: the bytes that belong to the package."""

    record: bytes
    name: bytes
    link_target: bytes
    user: str
    group: str
    capabilities: str
    digest: bytes
    mode: int
    flags: int
    verify_flags: int
    installed: bool


def parse_packages(output: bytes) -> list[PackageRow]:
    """Return the packages that ``PACKAGES_FORMAT`` listed; raise AnswerError when a part is none."""
    packages = []
    position = 0
    while position < len(output):
        row, position = _package(output, position)
        packages.append(row)
    return packages


def parse_details(output: bytes) -> list[DetailsRow]:
    """Return the packages that ``DETAILS_FORMAT`` listed; raise AnswerError when a part is none."""
    rows = []
    position = 0
    while position < len(output):
        match = _DETAILS.match(output, position)
        if match is None:
            raise AnswerError("rpm's package list is not understood at byte %d" % position)
        position = match.end()
        rows.append(_details(int(match.group(1)), [_text(value or b"") for value in match.groups()[1:]]))
    return rows


def _details(epoch: int, texts: t.Sequence[str]) -> DetailsRow:
    name, number, release, arch, source_rpm, vendor, module = texts
    plain = "%s-%s" % (number, release)
    prefix = "%d:" % epoch if epoch else ""
    source = _SOURCE_RPM.match(source_rpm)
    source_name, source_version = source.groups() if source else (name, plain)
    return DetailsRow(
        name=name,
        version=prefix + plain,
        arch=arch,
        source=source_name,
        source_version=prefix + plain if source_version == plain else source_version,
        module=module,
        vendor=vendor,
    )


def parse_times(output: bytes) -> list[tuple[int, PackageRow]]:
    """Return when the packages that ``TIMES_FORMAT`` listed were installed; raise AnswerError when a part is none."""
    packages = []
    position = 0
    while position < len(output):
        installed = _TIME.match(output, position)
        if installed is None:
            raise AnswerError("rpm's package list is not understood at byte %d" % position)
        row, position = _package(output, installed.end())
        packages.append((int(installed.group(1)), row))
    return packages


def parse_dependencies(output: bytes, owners: t.Callable[[str], t.Iterable[str]]) -> dict[str, set[str]]:
    """Return packages by name with the names of those that they require; raise AnswerError when a part is none.

    owners: the names of packages that own a path.
    """
    providers: dict[str, set[str]] = {}
    required: dict[str, set[str]] = {}
    name = ""
    position = 0
    while position < len(output):
        match = _DEPENDENCY.match(output, position)
        if match is None:
            raise AnswerError("rpm's list of dependencies is not understood at byte %d" % position)
        position = match.end()
        kind, text = match.group(1), _text(match.group(2))
        if kind == b"N":
            name = text
            required.setdefault(name, set())
        elif kind == b"P":
            providers.setdefault(text, set()).add(name)
        else:
            required[name].add(text)
    return {
        package: {
            each
            for want in wants
            for each in (*providers.get(want, ()), *(owners(want) if want.startswith("/") else ()))
        }
        for package, wants in required.items()
    }


def _package(output: bytes, position: int) -> tuple[PackageRow, int]:
    """Return the package that is listed at a position, and where it ends."""
    match = _PACKAGE.match(output, position)
    if match is None:
        raise AnswerError("rpm's package list is not understood at byte %d" % position)
    number, algorithm, epoch, name, version, release, arch = match.groups()
    full = "%s-%s" % (_text(version), _text(release))
    row = PackageRow(
        number=int(number),
        # Packages from before rpm 4.6 have no such tag and are MD5.
        algorithm=_ALGORITHMS.get(int(algorithm)) if algorithm.isdigit() else "md5",
        name=_text(name),
        version="%d:%s" % (int(epoch), full) if int(epoch) else full,
        # A key that was imported is listed as a package, gpg-pubkey, and has none.
        arch=_text(arch or b""),
    )
    return row, match.end()


def parse_files(output: bytes) -> t.Iterator[tuple[int, list[FileRow]]]:
    """Yield (header number, files) of each package that ``FILES_FORMAT`` listed; raise AnswerError for what is none."""
    position = 0
    while position < len(output):
        header = _HEADER.match(output, position)
        if header is None:
            raise AnswerError("rpm's file list is not understood at byte %d" % position)
        rows = []
        position = header.end()
        match = _FILE.match(output, position)
        while match is not None:
            rows.append(_file(match))
            position = match.end()
            match = _FILE.match(output, position)
        yield int(header.group(1)), rows


def _file(match: t.Match[bytes]) -> FileRow:
    record, name, link, user, group, capabilities, digest, mode, flags, verify_flags, state = match.groups()
    return FileRow(
        record=record,
        name=_unquoted(name),
        link_target=_unquoted(link),
        user=_text(user),
        group=_text(group),
        capabilities=_text(capabilities),
        digest=digest,
        mode=int(mode),
        flags=int(flags),
        verify_flags=int(verify_flags),
        # RPMFILE_STATE_NORMAL; else it was replaced, left out (no documentation, other word size) or is on a network.
        installed=state in (b"0", b"(none)"),
    )


def _unquoted(value: bytes) -> bytes:
    return value.replace(_ESCAPED_QUOTE, b"'")


def _text(value: bytes) -> str:
    return _unquoted(value).decode("utf-8", "surrogateescape")
