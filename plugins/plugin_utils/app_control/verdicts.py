# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the entries of one list: what can be recommended, and what a person has to decide about, with the reasons."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import odd, steady
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.listed import Listed
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import (
    RecommendedRule,
    ReviewItem,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.risky import RiskyPrograms
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import (
    DAY,
    DIRECTORY,
    IMAGE,
    PACKAGE,
    Entry,
    Table,
    flags,
    members,
)

# What so many of the hosts of a list run is common.
_COMMON = 0.8
# Own software belongs to a role if so many of its hosts run it, and one file if nearly all have the same content.
_OWN = 0.7
_SAME_CONTENT = 0.9
_FEWEST_SAME = 5
# What so many of the hosts got within a week, long after they were first observed, was brought by somebody.
_TOGETHER = 0.6
_WEEK = 7 * DAY
_LATE = 3 * DAY
_WITHIN_WEEK = "ran it for the first time within a week"
_NEAR_FINDING = DAY
# What ran on so few days of so few hosts was tried out; it is counted and not listed. The share is for packages.
_TRIED_DAYS = 3
_TRIED_HOSTS = 2
_TRIED_SHARE = 0.05
_MOST_DIRECTORIES = 5
_REGULAR = 0.2


class Case:
    """What the judge goes by, for all lists. feature_of: by entry, the index of its feature.

    findings: those that are open, by host.
    """

    def __init__(
        self,
        table: Table,
        options: Options,
        risky: RiskyPrograms,
        findings: t.Iterable[OpenFinding],
        feature_of: t.Mapping[int, int],
        distributions: t.Mapping[str, int],
    ) -> None:
        self.table = table
        self.options = options
        self.risky = risky
        self.feature_of = feature_of
        self.odd = odd.find(table)
        self.findings: dict[str, list[OpenFinding]] = {}
        for finding in findings:
            self.findings.setdefault(finding.host, []).append(finding)
        self.distributions = tuple(distributions.values())
        self._programs = [_programs(table, hosts) for hosts in self.distributions]
        self._holders = _holders(table, self.odd)

    def held(self, use: _Use) -> dict[int, list[int]]:
        """Return the programs of an entry that hosts of a list ran, with those hosts, ascending.

        The hosts of a usual packaged program are not known; it is one that any host of the same distributions ran.
        """
        found: dict[int, list[int]] = {}
        for number in use.entry.programs:
            holders = self._holders.get(number)
            if holders is not None:
                hosts = [host for host in holders if use.flags[host : host + 1] == b"\1"]
                if hosts:
                    found[number] = hosts
            elif any(
                number in programs
                for programs, mask in zip(self._programs, self.distributions, strict=True)
                if use.mask & mask
            ):
                found[number] = []
        return found


def _programs(table: Table, hosts: int) -> set[int]:
    found: set[int] = set()
    for host in members(hosts):
        found.update(table.fleet.hosts[host].programs)
    return found


def _holders(table: Table, odd_programs: t.Container[int]) -> dict[int, list[int]]:
    """Return the hosts of each program that is not a usual packaged one."""
    special: dict[int, list[int]] = {
        number: []
        for number, program in enumerate(table.fleet.programs)
        if not program.package or program.verification != _program.VERIFIED or number in odd_programs
    }
    for index, host in enumerate(table.fleet.hosts):
        for number in special.keys() & host.programs:
            special[number].append(index)
    return special


@dataclasses.dataclass
class Judgement:
    """Of one list. review: items with how urgent they are, 0 the most. undecided: as in Role.

    software: features, a package of which is recommended.
    """

    rules: list[RecommendedRule] = dataclasses.field(default_factory=list)
    review: list[tuple[int, ReviewItem]] = dataclasses.field(default_factory=list)
    undecided: int = 0
    software: set[int] = dataclasses.field(default_factory=set)

    def folded(self) -> list[ReviewItem]:
        """Return the review items, the most urgent first; what came to the same hosts together is one item."""
        found: dict[tuple[t.Any, ...], ReviewItem] = {}
        ordered = sorted(self.review, key=lambda pair: (pair[0], -len(pair[1].hosts), pair[1].program.path))
        for number, (_urgency, item) in enumerate(ordered):
            key = _together(item) or (number,)
            if key in found:
                first = found[key]
                found[key] = dataclasses.replace(first, further=(*first.further, item.program))
            else:
                found[key] = item
        return list(found.values())


@dataclasses.dataclass
class _Use:
    """How the hosts of a list use one entry. mask, flags: all of them.

    hosts: those that were observed for long enough, with firsts and days; of: how many of these there are.
    programs: those that they ran, and the hosts as far as these are known.
    """

    number: int
    entry: Entry
    mask: int
    flags: bytes
    hosts: list[int]
    of: int
    firsts: list[float]
    days: list[int]
    held: dict[int, list[int]] = dataclasses.field(default_factory=dict)

    @property
    def programs(self) -> list[int]:
        return list(self.held)

    @property
    def share(self) -> float:
        return len(self.hosts) / self.of if self.of else 0.0


def _together(item: ReviewItem) -> tuple[t.Any, ...]:
    """Return what items have in common that are one matter, nothing for an item of its own."""
    if item.rule.sha256 and not item.program.package:
        return (item.hosts, item.program.path.rpartition("/")[0])
    if item.rule.package and len(item.hosts) > 1 and any(_WITHIN_WEEK in reason for reason in item.reasons):
        return (item.hosts,)
    return ()


def judge(case: Case, listed: Listed) -> Judgement:
    """Return what is recommended and what is not for one list."""
    result = Judgement()
    uses = [_use(case, listed, number) for number in listed.entries]
    # What few hosts have is judged last, because it may be what many hosts of another distribution have.
    for use in sorted(uses, key=lambda use: (bool(_rarity(case, use)), use.entry.key)):
        kind = use.entry.key.kind
        if kind == PACKAGE:
            _package(case, listed, use, result)
        elif kind == DIRECTORY:
            _directory(case, listed, use, result)
        elif kind == IMAGE:
            _image(case, listed, use, result)
        else:
            _path(case, listed, use, result)
    result.rules.sort(key=lambda one: (not one.rule.package, one.rule))
    return result


def _use(case: Case, listed: Listed, number: int) -> _Use:
    entry, mask = case.table.entries[number], listed.entries[number]
    learned = flags(mask & listed.learned).ljust(len(case.table.fleet.hosts), b"\0")
    chosen = bytes(map(learned.__getitem__, entry.hosts))
    use = _Use(
        number,
        entry,
        mask,
        flags(mask),
        list(itertools.compress(entry.hosts, chosen)),
        sum((listed.learned & hosts).bit_count() for hosts in case.distributions if hosts & mask),
        list(itertools.compress(entry.first, chosen)),
        list(itertools.compress(entry.days, chosen)),
    )
    use.held = case.held(use)
    return use


# Reasons


def _rarity(case: Case, use: _Use) -> list[str]:
    count = len(use.hosts)
    if use.mask.bit_count() == 1:
        return ["only one host runs it"]
    if count < case.options.minimum_hosts:
        return [f"only {count} hosts that were observed for long enough run it"]
    return []


def _brought(case: Case, use: _Use) -> list[str]:
    """Return that somebody brought it to some hosts within days, which an intruder does, and who installs something."""
    if use.share >= _COMMON:
        return []
    hosts = case.table.fleet.hosts
    late = sorted(
        first for number, first in zip(use.hosts, use.firsts, strict=True) if first - hosts[number].since > _LATE
    )
    most = max((bisect.bisect_right(late, first + _WEEK) - index for index, first in enumerate(late)), default=0)
    if most < 2 or most < _TOGETHER * len(use.hosts):
        return []
    return [f"{most} of {len(use.hosts)} hosts {_WITHIN_WEEK}, days after they were first observed"]


def _with_finding(case: Case, use: _Use) -> list[str]:
    hosts = case.table.fleet.hosts
    near = []
    for number, first in zip(use.hosts, use.firsts, strict=True):
        host = hosts[number]
        if first - host.since > DAY:
            near += [
                (host.name, found.title)
                for found in case.findings.get(host.name, ())
                if abs(found.time - first) <= _NEAR_FINDING
            ][:1]
    if near and 2 * len(near) >= len(use.hosts):
        host, title = near[0]
        return [f"it ran for the first time on {host} within a day of an open finding: {title}"]
    return []


def _danger(case: Case, use: _Use) -> tuple[str, bool]:
    """Return what an intruder would do with it, and whether most hosts need it anyway."""
    uses = {case.risky.use_of(case.table.fleet.programs[number]) for number in use.programs} - {""}
    if not uses:
        return "", True
    hosts = case.table.fleet.hosts
    regular = [
        days >= _REGULAR * hosts[number].days for number, days in zip(use.hosts, use.days, strict=True)
    ]  # fmt: skip
    return min(uses), use.share >= _COMMON and 2 * sum(regular) >= len(regular)


# Entries


def _package(case: Case, listed: Listed, use: _Use, result: Judgement) -> None:
    programs = case.table.fleet.programs
    key = use.entry.key
    good = [
        number
        for number in use.programs
        if programs[number].verification == _program.VERIFIED and number not in case.odd
    ]
    _wrong(case, listed, use, result)
    refused = tuple(sorted({programs[number].sha256 for number in use.programs if number in case.odd}))
    unrecorded = [number for number in use.programs if programs[number].verification == _program.NO_DIGEST]
    if unrecorded:
        rule = Rule(listed.name, key.name, key.manager, _origin(case, unrecorded), True, except_sha256=refused)
        hosts = sorted({host for number in unrecorded for host in use.held[number]})
        reasons = ["its package records no digest of it", *_rarity(case, use)]
        _review(case, result, 2, unrecorded[-1], hosts, reasons, rule)
    if not good:
        return
    origin = _origin(case, good)
    danger, is_needed = _danger(case, use)
    reasons = [*_rarity(case, use), *_brought(case, use), *_with_finding(case, use)]
    if key.manager == "rpm" and not origin:
        reasons.append("nobody signed its package")
    if danger and not is_needed:
        reasons.append(danger)
    rule = Rule(listed.name, key.name, key.manager, origin, except_sha256=refused)
    software = case.feature_of[use.number]
    if reasons and reasons == _rarity(case, use):
        if software in result.software:
            reason = f"{_summary(use, danger)}; it is the same software as on other distributions of this role"
            result.rules.append(RecommendedRule(rule, _files(case, good), use.mask.bit_count(), reason))
            return
        if use.of < case.options.minimum_hosts:
            result.undecided += 1
            return
    if reasons:
        shown = max(good, key=lambda number: (case.table.counts[number], -number))
        _review_use(case, result, use, shown, reasons, rule, bool(danger))
        return
    result.software.add(software)
    result.rules.append(RecommendedRule(rule, _files(case, good), use.mask.bit_count(), _summary(use, danger)))


def _wrong(case: Case, listed: Listed, use: _Use, result: Judgement) -> None:
    """Add an item for each file that is not what its package, or the fleet, has."""
    programs = case.table.fleet.programs
    files: dict[tuple[str, str], list[int]] = {}
    for number in use.programs:
        reason = case.odd.get(number, "")
        if not reason and programs[number].verification == _program.MODIFIED:
            reason = "it is not as its package says"
        if reason in odd.OF_THE_PRESENT and all(_is_past(case, use, host, number) for host in use.held[number]):
            continue
        if reason:
            files.setdefault((programs[number].path, reason), []).append(number)
    for (_path_, reason), numbers in files.items():
        shown = max(numbers, key=lambda number: (len(use.held[number]), -number))
        hosts = sorted({host for number in numbers for host in use.held[number]})
        _review(case, result, 0, shown, hosts, [reason], _hash(listed, programs[shown]))


def _is_past(case: Case, use: _Use, host: int, program: int) -> bool:
    """Return whether a host has run another version of a program since."""
    path = case.table.fleet.programs[program].path
    others = [number for number in use.programs if case.table.fleet.programs[number].path == path]
    rows = case.table.fleet.hosts[host]
    last = _last(case, host, program)
    return any(number in others and when > last for number, when in zip(rows.programs, rows.last, strict=True))


def _files(case: Case, numbers: t.Iterable[int]) -> int:
    programs = case.table.fleet.programs
    return len({steady.steady_path(programs[number].path) for number in numbers})


def _origin(case: Case, numbers: t.Sequence[int]) -> str:
    """Return the key that signed an RPM package on most hosts. dpkg keeps no signature of what is installed."""
    programs = case.table.fleet.programs
    if programs[numbers[0]].manager != "rpm":
        return ""
    counts: dict[str, int] = {}
    for number in numbers:
        counts[programs[number].origin] = counts.get(programs[number].origin, 0) + case.table.counts[number]
    return max(counts, key=lambda origin: (counts[origin], origin))


def _summary(use: _Use, danger: str = "") -> str:
    hosts = "all" if len(use.hosts) == use.of else f"{len(use.hosts)} of"
    text = f"{hosts} {use.of} hosts run it"
    return f"{text}; beware: {danger}" if danger else text


def _directory(case: Case, listed: Listed, use: _Use, result: Judgement) -> None:
    programs = case.table.fleet.programs
    directory = steady.common_directory([steady.steady_directory(programs[number].path) for number in use.programs])
    writers = sorted({writer for number in use.programs for writer in programs[number].writers})
    strange = _strange(case, use) if not writers and len(use.hosts) >= case.options.minimum_hosts else []
    usual = [number for number in use.programs if number not in strange]
    reasons = [*_rarity(case, use), *_brought(case, use), *_with_finding(case, use)]
    if not reasons and use.share < _OWN:
        reasons.append(f"only {len(use.hosts)} of {use.of} hosts run it")
    if writers:
        reasons.append(f"{', '.join(writers[:3])} can write there")
    for number in strange:
        why = ["no other host has it in this directory of own software"]
        _review(case, result, 1, number, use.held[number], why, _hash(listed, programs[number]))
    shown = max(usual, key=lambda number: (len(use.held[number]), -number))
    if reasons:
        rule = _hash(listed, programs[shown]) if writers else Rule(listed.name, directory=directory)
        _review_use(case, result, use, shown, ["no package has it", *reasons], rule)
        return
    refused = tuple(sorted({programs[number].sha256 for number in strange}))
    result.rules.append(
        RecommendedRule(
            Rule(listed.name, directory=directory, except_sha256=refused),
            _files(case, usual),
            use.mask.bit_count(),
            f"own software: {_summary(use)}, and root alone can write there",
        )
    )


def _strange(case: Case, use: _Use) -> list[int]:
    """Return the files of own software that one host alone has, while no other has one of that name."""
    programs = case.table.fleet.programs
    hosts: dict[str, set[int]] = {}
    for number in use.programs:
        hosts.setdefault(steady.steady_path(programs[number].path), set()).update(use.held[number])
    return [number for number in use.programs if len(hosts[steady.steady_path(programs[number].path)]) == 1]


def _path(case: Case, listed: Listed, use: _Use, result: Judgement) -> None:
    """Judge a file that no package has, which is known by its content alone: that which its hosts have now."""
    programs = case.table.fleet.programs
    newest: dict[int, tuple[float, int]] = {}
    for number in use.programs:
        for host in use.held[number]:
            newest[host] = max(newest.get(host, (0.0, 0)), (_last(case, host, number), number))
    digests: dict[str, set[int]] = {}
    for host, (_time, number) in newest.items():
        digests.setdefault(programs[number].sha256, set()).add(host)
    most = max(digests, key=lambda digest: (len(digests[digest]), digest))
    shown = max((n for n in use.programs if programs[n].sha256 == most), key=lambda n: (len(use.held[n]), -n))
    share = sum(listed.learned >> host & 1 for host in digests[most]) / use.of if use.of else 0.0
    writers = sorted({writer for number in use.programs for writer in programs[number].writers})
    reasons = [*_rarity(case, use), *_brought(case, use), *_with_finding(case, use)]
    if writers:
        reasons.append(f"{', '.join(writers[:3])} can write it")
    if share < _SAME_CONTENT and len(digests) > 1:
        reasons.append(f"its content differs: {len(digests)} digests on {use.mask.bit_count()} hosts")
    rule = _hash(listed, programs[shown])
    if reasons or share < _SAME_CONTENT or len(use.hosts) < _FEWEST_SAME:
        _review_use(case, result, use, shown, ["no package has it", *reasons], rule)
        return
    result.rules.append(
        RecommendedRule(rule, 1, use.mask.bit_count(), f"no package has it, but {_summary(use)} with the same content")
    )


def _last(case: Case, host: int, program: int) -> float:
    found = case.table.fleet.hosts[host]
    return found.last[found.programs.index(program)]


def _image(case: Case, listed: Listed, use: _Use, result: Judgement) -> None:
    image = case.table.fleet.programs[use.programs[-1]].image
    reasons = ["nothing verifies the programs of a container's image", *_rarity(case, use)]
    rule = Rule(listed.name, directory="/", image=image)
    _review_use(case, result, use, use.programs[-1], reasons, rule)


def _hash(listed: Listed, program: Program) -> Rule:
    return Rule(listed.name, sha256=program.sha256, path=program.path, image=program.image)


def _review_use(
    case: Case, result: Judgement, use: _Use, shown: int, reasons: list[str], rule: Rule, is_risky: bool = False
) -> None:
    """Add an item for an entry, unless it was only tried out."""
    is_suspicious = bool(_with_finding(case, use))
    few = max(_TRIED_HOSTS, _TRIED_SHARE * use.of if use.entry.key.kind == PACKAGE else 0)
    is_tried = use.mask.bit_count() <= few and max(use.days, default=0) <= _TRIED_DAYS
    if not use.hosts or (is_tried and not is_suspicious and not is_risky):
        result.undecided += 1
        return
    urgency = 1 if is_suspicious else 2 if is_risky or use.entry.key.kind != PACKAGE else 3
    _review(case, result, urgency, shown, members(use.mask), reasons, rule)


def _review(
    case: Case, result: Judgement, urgency: int, shown: int, hosts: t.Iterable[int], reasons: list[str], rule: Rule
) -> None:
    names = tuple(case.table.fleet.hosts[number].name for number in hosts)
    item = ReviewItem(case.table.fleet.programs[shown], names, tuple(reasons), rule)
    result.review.append((urgency, item))
