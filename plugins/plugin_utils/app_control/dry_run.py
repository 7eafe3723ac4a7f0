# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay all that was seen against allowlists: what would be an alert, and which hosts have no list. Pure."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Verdict
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Lists
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms

# Who ran programs on each host; only asked for programs that an exception for some accounts covers.
Users = t.Callable[[t.Sequence[Program]], t.Mapping[tuple[str, Program], t.Sequence[str]]]


@dataclasses.dataclass
class WouldAlert:
    """A program that would be a finding on some hosts. reason: why it is not allowed. newest: in seconds.

    roles: names of the allowlists of these hosts.
    """

    program: Program
    alert: str
    reason: str
    hosts: list[str] = dataclasses.field(default_factory=list)
    roles: set[str] = dataclasses.field(default_factory=set)
    executions: int = 0
    newest: float = 0.0


@dataclasses.dataclass(frozen=True)
class Replay:
    """alerts: those on most hosts first. judged: hosts with an allowlist; without: hosts that have none."""

    alerts: tuple[WouldAlert, ...]
    judged: tuple[str, ...]
    without: tuple[str, ...]


def replay(fleet: Fleet, lists: Lists, users: Users, now: float) -> Replay:
    """Judge every program of every host by the allowlists that are for the host."""
    judges = _Judges(lists, now)
    of_hosts = [(host, judges.of_host(host)) for host in fleet.hosts]
    who = users(_limited_to_accounts(fleet, of_hosts))
    alerts: dict[tuple[int, Verdict], WouldAlert] = {}
    for host, judging in of_hosts:
        if judging is None:
            continue
        for position, index in enumerate(host.programs):
            program = fleet.programs[index]
            verdict = judging.verdict(index, program, who.get((host.name, program), ()))
            if not verdict.allowed:
                alert = alerts.setdefault((index, verdict), WouldAlert(program, verdict.alert, verdict.by))
                _add(alert, host, position, judging.roles)
    return Replay(
        alerts=tuple(sorted(alerts.values(), key=lambda each: (-len(each.hosts), each.program, each.reason))),
        judged=tuple(host.name for host, judging in of_hosts if judging),
        without=tuple(host.name for host, judging in of_hosts if not judging),
    )


def roles_of(lists: Lists, host: HostPrograms) -> tuple[str, ...]:
    """Return the names of the lists of a host that ``lists`` has: those that name it, and those of its newest look."""
    return tuple(each.name for each in lists.roles if host.name in each.hosts or each.name in host.roles)


def _add(alert: WouldAlert, host: HostPrograms, position: int, roles: t.Iterable[str]) -> None:
    alert.hosts.append(host.name)
    alert.roles.update(roles)
    alert.executions += host.executions[position]
    alert.newest = max(alert.newest, host.last[position])


def _limited_to_accounts(fleet: Fleet, of_hosts: t.Iterable[tuple[HostPrograms, _Judge | None]]) -> list[Program]:
    """Return the programs that are allowed on some host if certain accounts, and no others, ran them."""
    indexes: dict[int, _Judge] = {}
    seen: dict[_Judge, set[int]] = collections.defaultdict(set)
    for host, judging in of_hosts:
        if judging and judging.accounts:
            seen[judging].update(host.programs)
    for judging, programs in seen.items():
        indexes.update((index, judging) for index in programs if judging.depends_on_accounts(fleet.programs[index]))
    return [fleet.programs[index] for index in sorted(indexes)]


class _Judge:
    """Judges the programs of all hosts that have the same lists; each program once."""

    def __init__(self, allowlist: Allowlist, now: float) -> None:
        self.roles = allowlist.roles
        self.accounts = tuple({each.user for each in allowlist.exemptions if each.user})
        self._judge = judge.Judge(allowlist, now)
        self._verdicts: dict[int, Verdict] = {}

    def verdict(self, index: int, program: Program, users: t.Sequence[str]) -> Verdict:
        if users:
            return self._judge.judge(program, users)
        if index not in self._verdicts:
            self._verdicts[index] = self._judge.judge(program, ())
        return self._verdicts[index]

    def depends_on_accounts(self, program: Program) -> bool:
        is_allowed = self._judge.judge(program, ()).allowed
        return not is_allowed and self._judge.judge(program, self.accounts).allowed


class _Judges:
    """One judge for all hosts that have the same lists."""

    def __init__(self, lists: Lists, now: float) -> None:
        self._lists, self._now = lists, now
        self._limited = [each for each in lists.exemptions if each.hosts]
        self._known: dict[t.Any, _Judge | None] = {}

    def of_host(self, host: HostPrograms) -> _Judge | None:
        roles = roles_of(self._lists, host)
        exemptions = tuple(host.name in each.hosts for each in self._limited)
        key = (roles, exemptions, host.distribution)
        if key not in self._known:
            allowlist = allowlist_files.compiled(self._lists, host.name, roles, host.distribution)
            self._known[key] = None if allowlist is None else _Judge(allowlist, self._now)
        return self._known[key]
