# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packaged files that are not what their package has on other hosts, whatever the databases of their hosts say.

An intruder who replaces a file edits the recorded digest, too, or builds a package of the same name. The fleet has the
same file of the same version elsewhere.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import VERIFIED
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import DAY, Table
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import HostPrograms

DIFFERS = "other hosts have another file at the same version of the package"
CHANGED = "the file changed while the version of the package did not"
UNCLEAR = "hosts have different files at the same version of the package, and it is unclear which is right"
UNSIGNED = "no signed repository has this version of the package, and only one host has it"
UNCOMPARED = "too few hosts have this version of the package to compare it, and they had it from the start"
# What hosts had before an upgrade is not allowed again, and nobody has to decide about it.
OF_THE_PRESENT = (UNSIGNED, UNCOMPARED)

# Hosts that differ in so many files were built for another processor, or from another repository.
_OTHER_BUILD = 0.2
_FEWEST_COMMON = 20
_MOST_BUILDS = 6
# So many times as many hosts have the right file.
_CLEAR = 3
_FEWEST_HOLDERS = 3
# A host with more such programs has a processor, or a set of versions, that no other host has.
_MOST_UNCOMPARED = 10
_CURRENT = 3 * DAY

_File = tuple[str, str, str, str, str]


def find(table: Table) -> dict[int, str]:
    """Return the programs that differ, by their index, and why each counts as one."""
    return {**_uncompared(table), **_unsigned(table), **_differing(table)}


def _differing(table: Table) -> dict[int, str]:
    programs = table.fleet.programs
    files: dict[_File, int] = {}
    digests: list[set[str]] = []
    file_of: list[int] = []
    for program in programs:
        if not program.package or program.image or not program.sha256:
            file_of.append(-1)
            continue
        key = (program.manager, program.package, program.version, program.kind, program.path)
        file = files.setdefault(key, len(files))
        if file == len(digests):
            digests.append(set())
        digests[file].add(program.sha256)
        file_of.append(file)
    disputed = {number for number, file in enumerate(file_of) if file >= 0 and len(digests[file]) > 1}
    if not disputed:
        return {}
    reasons: dict[int, str] = {}
    for hosts in _builds(table, file_of, disputed):
        reasons |= _within_build(table, hosts, file_of, disputed)
    return reasons


def _builds(table: Table, file_of: t.Sequence[int], disputed: set[int]) -> t.Iterator[list[HostPrograms]]:
    """Yield the hosts by what their packages were built for: those that have the same files at the same versions."""
    programs = table.fleet.programs
    by_distribution: dict[str, list[HostPrograms]] = {}
    for host in table.fleet.hosts:
        by_distribution.setdefault(host.distribution, []).append(host)
    for hosts in by_distribution.values():
        for _build in range(_MOST_BUILDS):
            reference = max(hosts, key=lambda host: len(host.programs))
            files = {file_of[number] for number in reference.programs}
            theirs = {
                (file_of[number], programs[number].sha256) for number in disputed.intersection(reference.programs)
            }
            disputed_files = {file for file, _digest in theirs}
            same: list[HostPrograms] = []
            others: list[HostPrograms] = []
            for host in hosts:
                common = files.intersection(map(file_of.__getitem__, host.programs))
                differing: set[int] = set()
                agreeing: set[int] = set()
                for number in disputed.intersection(host.programs):
                    file = file_of[number]
                    if file in disputed_files:
                        (agreeing if (file, programs[number].sha256) in theirs else differing).add(file)
                is_other = len(common) >= _FEWEST_COMMON and len(differing - agreeing) >= _OTHER_BUILD * len(common)
                (others if is_other else same).append(host)
            yield same
            hosts = others
            if not hosts:
                break
        else:
            yield hosts


def _within_build(
    table: Table, hosts: t.Sequence[HostPrograms], file_of: t.Sequence[int], disputed: set[int]
) -> dict[int, str]:
    programs = table.fleet.programs
    holders: dict[int, dict[str, int]] = {}  # by file: how many hosts have each digest
    later: dict[int, set[str]] = {}  # by file: digests that came to a host after another one
    earlier: dict[int, set[str]] = {}  # by file: digests that some host had first
    numbers: dict[tuple[int, str], set[int]] = {}
    for host in hosts:
        first: dict[int, dict[str, float]] = {}
        if disputed.isdisjoint(host.programs):
            continue
        for number, begin in zip(host.programs, host.first, strict=True):
            if number in disputed:
                digest = programs[number].sha256
                times = first.setdefault(file_of[number], {})
                times[digest] = min(begin, times.get(digest, begin))
                numbers.setdefault((file_of[number], digest), set()).add(number)
        for file, times in first.items():
            count = holders.setdefault(file, {})
            for digest, begin in times.items():
                count[digest] = count.get(digest, 0) + 1
                is_later = begin > min(times.values())
                (later if is_later else earlier).setdefault(file, set()).add(digest)
    reasons = {}
    for file, count in holders.items():
        if len(count) > 1:
            # One host alone can't make what others had first the wrong one.
            for digest, reason in _judge(count, later.get(file, set()) - earlier[file]):
                reasons.update(dict.fromkeys(numbers[file, digest], reason))
    return reasons


def _judge(count: t.Mapping[str, int], later: set[str]) -> t.Iterator[tuple[str, str]]:
    """Yield the digests that are not right, and why."""
    first, second, *_rest = sorted(count.values(), reverse=True)
    most = max(count, key=lambda digest: (count[digest], digest))
    if first >= _CLEAR * second:
        yield from ((digest, DIFFERS) for digest in count if digest != most)
    elif later and len(later) < len(count):
        yield from ((digest, CHANGED) for digest in later)
        rest = [digest for digest in count if digest not in later]
        if len(rest) > 1:
            yield from ((digest, UNCLEAR) for digest in rest)
    else:
        yield from ((digest, UNCLEAR) for digest in count)


def _unsigned(table: Table) -> dict[int, str]:
    """Return programs of packages that nobody signed, as far as one host alone has them and others have signed ones."""
    signed: set[tuple[str, str, str]] = set()
    signed_packages: set[tuple[str, str]] = set()
    doubtful: dict[tuple[str, str, str], list[int]] = {}
    for number, program in enumerate(table.fleet.programs):
        if program.package and not program.image and program.verification == VERIFIED:
            version = (program.manager, program.package, program.version)
            if program.origin:
                signed.add(version)
                signed_packages.add(version[:2])
            else:
                doubtful.setdefault(version, []).append(number)
    reasons = {}
    for version, numbers in doubtful.items():
        is_alone = max(table.counts[number] for number in numbers) == 1
        if is_alone and version not in signed and version[:2] in signed_packages:
            reasons.update(dict.fromkeys(numbers, UNSIGNED))
    return reasons


def _uncompared(table: Table) -> dict[int, str]:
    """Return programs of dpkg that few hosts have, all of them since they were first observed, unlike other versions.

    A digest that was edited before that would have to be compared with another host. RPM signs the digests.
    """
    programs = table.fleet.programs
    holders: dict[tuple[str, str, str, str], int] = {}
    most: dict[tuple[str, str], int] = {}
    for number, program in enumerate(programs):
        if program.manager == "dpkg" and not program.image and program.verification == VERIFIED:
            content = (program.package, program.version, program.path, program.sha256)
            holders[content] = max(holders.get(content, 0), table.counts[number])
            most[content[0], content[2]] = max(most.get((content[0], content[2]), 0), table.counts[number])
    few = {content for content, count in holders.items() if count < _FEWEST_HOLDERS}
    numbers = {
        number
        for number, program in enumerate(programs)
        if (program.package, program.version, program.path, program.sha256) in few
        and most[program.package, program.path] >= _FEWEST_HOLDERS
    }
    exempt: set[int] = set()
    for host in table.fleet.hosts:
        if not numbers.isdisjoint(host.programs):
            rows = [row for row in zip(host.programs, host.first, host.last, strict=True) if row[0] in numbers]
            exempt.update(number for number, first, _last in rows if first - host.since > DAY)
            current = [number for number, _first, last in rows if host.until - last < _CURRENT]
            if len(current) > _MOST_UNCOMPARED:
                exempt.update(current)
    return dict.fromkeys(sorted(numbers - exempt), UNCOMPARED)
