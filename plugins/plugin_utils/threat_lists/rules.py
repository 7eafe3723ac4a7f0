# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat lists as compiled rules: one for each kind of entry in a list, and each source where such a thing is seen."""

from __future__ import annotations

import collections
import datetime as dt
import hashlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet import for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import Problem, UnusableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.regex_literals import clauses
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, WINDOWS
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists import stix, text
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.entries import Entry, EntryError
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.options import ThreatList

# Where an entry of a kind can be seen: source -> fields.
_SEEN: dict[str, dict[str, tuple[str, ...]]] = {
    "address": {
        "network_connection": ("DestinationIp", "SourceIp"),
        "process_creation": ("CommandLine",),
        "sign_in": ("SourceIp",),
        "audit_record": ("Address",),
    },
    "domain": {
        "process_creation": ("CommandLine",),
        # The view of a sign-in has the host's name there if the log has no address.
        "sign_in": ("SourceIp",),
    },
    "hash": {"process_creation": ("CommandLine",)},
    "name": {"process_creation": ("Image", "CommandLine"), "file_event": ("TargetFilename",)},
    "pattern": {"process_creation": ("Image",), "file_event": ("TargetFilename",)},
}
# The same for Windows, where that differs.
_SEEN_ON_WINDOWS: dict[str, dict[str, tuple[str, ...]]] = {
    "address": {source: fields for source, fields in _SEEN["address"].items() if source != "audit_record"},
    "domain": {
        **_SEEN["domain"],
        "dns_query": ("QueryName",),
        "network_connection": ("DestinationHostname",),
        "Microsoft-Windows-DNS-Client/Operational": ("QueryName",),
    },
    "hash": {"process_creation": ("CommandLine", "Hashes"), "image_load": ("Hashes",), "driver_load": ("Hashes",)},
}
ALERTS = {
    "address": "threat_list_address",
    "domain": "threat_list_domain",
    "hash": "threat_list_hash",
    "name": "threat_list_name",
    "pattern": "threat_list_name",
}
# All of them go to every host.
MOST_ENTRIES = 100_000
_MOST_BYTES = 64 << 20
_NAMED_LINES = 5
# Of patterns: Windows ignores case in names.
_WINDOWS_FLAGS = "is"


class Compiled(t.NamedTuple):
    """Lists for the compiled form (``lists``), the rules that look them up, and what is not used."""

    lists: list[dict[str, t.Any]]
    rules: list[dict[str, t.Any]]
    problems: list[Problem]
    entries: int


def compile_lists(threat_lists: t.Sequence[ThreatList], now: dt.datetime, platform: str = LINUX) -> Compiled:
    """Read and compile threat lists for the hosts of a platform. Raises ContentError for a file that can't be read."""
    seen = {**_SEEN, **_SEEN_ON_WINDOWS} if platform == WINDOWS else _SEEN
    compiled = Compiled([], [], [], 0)
    total = 0
    for threat_list in threat_lists:
        entries, problems = _read(threat_list, now, platform)
        if platform == WINDOWS:
            entries, refused = _for_dotnet(entries, str(threat_list.path))
            problems = [*problems, *refused]
        compiled.problems.extend(problems)
        room = max(0, MOST_ENTRIES - total)
        if len(entries) > room:
            left_out = len(entries) - room
            compiled.problems.append(
                Problem(str(threat_list.path), None, f"{left_out} entries are left out: {MOST_ENTRIES} is the most")
            )
            entries = entries[:room]
        total += len(entries)
        _add(threat_list, entries, compiled, seen, platform)
    return compiled._replace(entries=total)


def _read(threat_list: ThreatList, now: dt.datetime, platform: str) -> tuple[list[Entry], list[Problem]]:
    path = str(threat_list.path)
    where = f"threat_lists, '{threat_list.name}': {path}"
    try:
        if threat_list.path.stat().st_size > _MOST_BYTES:
            raise ContentError(f"{where} has more than {_MOST_BYTES >> 20} MiB; give a shorter list")
        content = threat_list.path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    except OSError as error:
        raise ContentError(f"{where} cannot be read: {error.strerror}") from error
    try:
        if threat_list.format == "stix":
            entries, named = stix.read(content, now, threat_list.kind, platform)
            problems = [Problem(path, None, f"{name}: {reason}") for name, reason in named]
            foreign = 0
        else:
            if threat_list.format == "csv":
                found = text.read_csv(content, threat_list.kind, threat_list.column, platform)
            else:
                found = text.read_text(content, threat_list.kind, platform)
            entries, foreign = found.entries, found.foreign
            problems = [Problem(path, line, reason) for line, reason in found.wrong]
    except EntryError as error:
        raise ContentError(f"{where}: {error}") from error
    # A list of names of another system is for other hosts of the same inventory.
    if not entries and (problems or not foreign):
        raise ContentError(f"{where} has no entry that can be used{_why(problems)}; correct it or leave it out")
    if len(problems) > _NAMED_LINES:
        more = len(problems) - _NAMED_LINES
        problems = [*problems[:_NAMED_LINES], Problem(path, None, f"{more} more entries that can't be used")]
    if foreign:
        problems.append(Problem(path, None, f"{foreign} entries are names of other systems, and not used"))
    return entries, problems


def _for_dotnet(entries: t.Iterable[Entry], path: str) -> tuple[list[Entry], list[Problem]]:
    """Return entries with patterns as .NET reads them, and why some cannot be."""
    usable: list[Entry] = []
    problems: list[Problem] = []
    for entry in entries:
        try:
            value = for_dotnet(entry.value, _WINDOWS_FLAGS) if entry.kind == "pattern" else entry.value
        except UnusableError as error:
            problems.append(Problem(path, None, f"the pattern {entry.value}: {error}"))
        else:
            usable.append(entry._replace(value=value))
    return usable, problems


def _why(problems: t.Sequence[Problem]) -> str:
    if not problems:
        return ""
    first = problems[0]
    return f" ({f'line {first.line}: ' if first.line else ''}{first.reason})"


def _add(
    threat_list: ThreatList,
    entries: t.Iterable[Entry],
    compiled: Compiled,
    seen: t.Mapping[str, t.Mapping[str, t.Sequence[str]]],
    platform: str,
) -> None:
    by_kind: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for each in entries:
        by_kind[each.kind].setdefault(each.value, each.note)
    for kind, values in by_kind.items():
        place = len(compiled.lists)
        compiled.lists.append(
            {"kind": kind, "name": threat_list.name, "entries": values, **_extra(kind, values, platform)}
        )
        compiled.rules.extend(_rule(threat_list, kind, source, fields, place) for source, fields in seen[kind].items())


def _extra(kind: str, values: t.Iterable[str], platform: str) -> dict[str, t.Any]:
    """Return what patterns can't match without, in their order, and whose names these are."""
    extra: dict[str, t.Any] = {"windows": True} if platform == WINDOWS and kind in ("name", "pattern") else {}
    if kind == "pattern":
        flags = _WINDOWS_FLAGS if platform == WINDOWS else ""
        extra["needed"] = [[sorted(clause) for clause in clauses(value, flags)] for value in values]
    return extra


def _rule(threat_list: ThreatList, kind: str, source: str, fields: t.Sequence[str], place: int) -> dict[str, t.Any]:
    identity = hashlib.sha256(f"{threat_list.name}\0{kind}\0{source}".encode()).hexdigest()[:16]
    return {
        "id": f"threat-list-{identity}",
        "alert": ALERTS[kind],
        "title": f"{kind.capitalize()} of the threat list {threat_list.name}",
        "subject": ["Indicator"],
        "message": f"{{Indicator}} is on the threat list {threat_list.name}",
        "source": source,
        "condition": ["listed", place, list(fields)],
    }
