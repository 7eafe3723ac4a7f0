# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the entries of one list: what can be recommended, and what a person has to decide about, with the reasons."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import odd, steady
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.judgement import Judgement
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.listed import Listed
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.reasons import (
    brought,
    danger,
    rarity,
    summary,
    with_finding,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import (
    DIRECTORY,
    IMAGE,
    PACKAGE,
    PATH,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.uses import Case, Use, use_of

# Own software belongs to a role if so many of its hosts run it, and one file if nearly all have the same content.
_OWN = 0.7
_SAME_CONTENT = 0.9
_FEWEST_SAME = 5
# Directories of own software that a list has at most; further ones are reviewed.
_MOST_DIRECTORIES = 5


def judge(case: Case, listed: Listed) -> Judgement:
    """Return what is recommended and what is not for one list."""
    result = Judgement(case, listed)
    uses = [use_of(case, listed, number) for number in listed.entries]
    # What few hosts have is judged last, because it may be what many hosts of another distribution have.
    for use in sorted(uses, key=lambda use: (bool(rarity(case, use)), -len(use.hosts), use.entry.key)):
        if use.programs:
            _KINDS[use.entry.key.kind](result, use)
    return result


def _package(result: Judgement, use: Use) -> None:
    case, programs = result.case, result.programs
    _wrong(result, use)
    refused = tuple(sorted({programs[number].sha256 for number in use.programs if number in case.odd}))
    unrecorded = [number for number in use.programs if programs[number].verification == _program.NO_DIGEST]
    if unrecorded:
        rule = result.package(use, _origin(case, unrecorded), refused, unverified=True)
        hosts = sorted({host for number in unrecorded for host in use.held[number]})
        result.review(2, unrecorded[-1], hosts, ["its package records no digest of it", *rarity(case, use)], rule)
    good = [
        number
        for number in use.programs
        if programs[number].verification == _program.VERIFIED and number not in case.odd
    ]
    if not good:
        return
    origin = _origin(case, good)
    harm, is_needed = danger(case, use)
    reasons = [*rarity(case, use), *brought(case, use), *with_finding(case, use), *_writable(result, good)]
    if use.entry.key.manager == "rpm" and not origin:
        reasons.append("nobody signed its package")
    is_only_rare = bool(reasons) and reasons == rarity(case, use) and (not harm or is_needed)
    if harm and (reasons or not is_needed):
        reasons.append(harm)
    rule = result.package(use, origin, refused)
    software = case.feature_of[use.number]
    if not reasons:
        result.software.add(software)
        result.recommend(use, rule, good, summary(use, harm))
    elif is_only_rare and software in result.software:
        reason = f"{summary(use, harm)}; it is the same software as on other distributions of this role"
        result.recommend(use, rule, good, reason)
    elif is_only_rare and use.of < case.options.minimum_hosts:
        result.undecided += 1
    else:
        shown = max(good, key=lambda number: (case.table.counts[number], -number))
        result.decide(use, shown, reasons, rule, bool(harm))


def _wrong(result: Judgement, use: Use) -> None:
    """Add an item for each file that is not what its package, or the fleet, has."""
    case, programs = result.case, result.programs
    files: dict[tuple[str, str], list[int]] = {}
    for number in use.programs:
        reason = case.odd.get(number, "")
        if not reason and programs[number].verification == _program.MODIFIED:
            reason = "it is not as its package says"
        if reason in odd.OF_THE_PRESENT and all(_is_past(case, use, host, number) for host in use.held[number]):
            continue
        if reason:
            files.setdefault((programs[number].path, reason), []).append(number)
    for (_file, reason), numbers in files.items():
        shown = max(numbers, key=lambda number: (len(use.held[number]), -number))
        hosts = sorted({host for number in numbers for host in use.held[number]})
        result.review(0, shown, hosts, [reason], result.content(programs[shown]))


def _is_past(case: Case, use: Use, host: int, program: int) -> bool:
    """Return whether a host has run another version of a program since."""
    path = case.table.fleet.programs[program].path
    others = [number for number in use.programs if case.table.fleet.programs[number].path == path]
    rows = case.table.fleet.hosts[host]
    last = _last(case, host, program)
    return any(number in others and when > last for number, when in zip(rows.programs, rows.last, strict=True))


def _last(case: Case, host: int, program: int) -> float:
    columns = case.table.fleet.hosts[host]
    return columns.last[columns.programs.index(program)]


def _origin(case: Case, numbers: t.Sequence[int]) -> str:
    """Return the key that signed an RPM package on most hosts. dpkg keeps no signature of what is installed."""
    programs = case.table.fleet.programs
    if programs[numbers[0]].manager != "rpm":
        return ""
    counts: dict[str, int] = {}
    for number in numbers:
        counts[programs[number].origin] = counts.get(programs[number].origin, 0) + case.table.counts[number]
    return max(counts, key=lambda origin: (counts[origin], origin))


def _writable(result: Judgement, numbers: t.Iterable[int]) -> list[str]:
    writers = sorted({writer for number in numbers for writer in result.programs[number].writers})
    return [f"{', '.join(writers[:3])} can write there"] if writers else []


def _directory(result: Judgement, use: Use) -> None:
    """Judge a directory of own software."""
    case, programs = result.case, result.programs
    writable = _writable(result, use.programs)
    strange = _strange(result, use) if not writable and len(use.hosts) >= case.options.minimum_hosts else []
    for number in strange:
        reasons = ["no other host has it in this directory of own software"]
        result.review(1, number, use.held[number], reasons, result.content(programs[number]))
    usual = [number for number in use.programs if number not in strange]
    if not usual:
        return
    reasons = [*rarity(case, use), *brought(case, use), *with_finding(case, use), *writable]
    if not reasons and use.share < _OWN:
        reasons.append(f"only {len(use.hosts)} of {use.of} hosts run it")
    if sum(bool(each.rule.directory) for each in result.rules) >= _MOST_DIRECTORIES:
        reasons.append(f"there are {_MOST_DIRECTORIES} directories of own software already")
    directory = steady.common_directory([steady.steady_directory(programs[number].path) for number in usual])
    refused = tuple(sorted({programs[number].sha256 for number in strange}))
    rule = Rule(result.listed.name, directory=directory, except_sha256=refused)
    if reasons:
        shown = max(usual, key=lambda number: (len(use.held[number]), -number))
        rule = result.content(programs[shown]) if writable else rule
        result.decide(use, shown, ["no package has it", *reasons], rule)
    else:
        result.recommend(use, rule, usual, f"own software: {summary(use)}, and root alone can write there")


def _strange(result: Judgement, use: Use) -> list[int]:
    """Return the files of own software that one host alone has, while no other has one of that name."""
    hosts: dict[str, set[int]] = {}
    for number in use.programs:
        hosts.setdefault(steady.steady_path(result.programs[number].path), set()).update(use.held[number])
    return [number for number in use.programs if len(hosts[steady.steady_path(result.programs[number].path)]) == 1]


def _path(result: Judgement, use: Use) -> None:
    """Judge a file that no package has, which is known by its content alone: that which its hosts have now."""
    case, programs = result.case, result.programs
    newest: dict[int, tuple[float, int]] = {}
    for number in use.programs:
        for host in use.held[number]:
            newest[host] = max(newest.get(host, (0.0, 0)), (_last(case, host, number), number))
    digests: dict[str, set[int]] = {}
    for host, (_time, number) in newest.items():
        digests.setdefault(programs[number].sha256, set()).add(host)
    most = max(digests, key=lambda digest: (len(digests[digest]), digest))
    shown = max((n for n in use.programs if programs[n].sha256 == most), key=lambda n: (len(use.held[n]), -n))
    share = sum(result.listed.learned >> host & 1 for host in digests[most]) / use.of if use.of else 0.0
    reasons = [*rarity(case, use), *brought(case, use), *with_finding(case, use), *_writable(result, use.programs)]
    if share < _SAME_CONTENT and len(digests) > 1:
        reasons.append(f"its content differs: {len(digests)} digests on {use.mask.bit_count()} hosts")
    rule = result.content(programs[shown])
    if reasons or share < _SAME_CONTENT or len(use.hosts) < _FEWEST_SAME:
        result.decide(use, shown, ["no package has it", *reasons], rule)
    else:
        result.recommend(use, rule, [shown], f"no package has it, but {summary(use)} with the same content")


def _image(result: Judgement, use: Use) -> None:
    """Have a person decide about the programs of a container's image, by directories at its top."""
    tops: dict[tuple[str, str], list[int]] = {}
    for number in use.programs:
        program = result.programs[number]
        tops.setdefault((program.image, program.path.split("/")[1]), []).append(number)
    for (image, _top), numbers in tops.items():
        shown = max(numbers, key=lambda number: (len(use.held[number]), -number))
        paths = [steady.steady_directory(result.programs[number].path) for number in numbers]
        directory = steady.common_directory(paths)
        rule = Rule(result.listed.name, directory=directory, image=image)
        # A directory "/" would allow every program, also those that an intruder brings.
        rule = rule if directory else result.content(result.programs[shown])
        reasons = ["nothing verifies the programs of a container's image", *rarity(result.case, use)]
        result.decide(use, shown, reasons, rule)


_KINDS: t.Mapping[str, t.Callable[[Judgement, Use], None]] = {
    PACKAGE: _package,
    DIRECTORY: _directory,
    IMAGE: _image,
    PATH: _path,
}
