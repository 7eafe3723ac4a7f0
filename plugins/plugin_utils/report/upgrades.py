# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades that fix findings: which to do first over all hosts, and how much there is to do on each host.

A finding says in ``unmapped.upgrade`` of its event what fixes it, whichever capability made it.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, key, listed, visible

PACKAGE_LIMIT = 50
HOST_LIMIT = 100
_HOSTS_SHOWN = 4
_IDS_SHOWN = 4
_FIRST_SHOWN = 5
# From the most severe; ``report.model``, which has them too, needs this module.
_SEVERITIES = tuple(reversed(_finding.SEVERITIES))


@dataclasses.dataclass(frozen=True)
class Upgrade:
    """An upgrade or restart that fixes an active finding of a host.

    to: the version, "" for a restart of the host. ends: how many vulnerabilities. exploited: ids of those that are
    exploited.
    """

    host: str
    alert: str
    subject: str
    severity: str
    package: str
    to: str
    manager: str
    ends: int
    exploited: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class PackageRow:
    """An upgrade on all its hosts. hosts, exploited, to: in words. number: of the hosts. ends: on all of them."""

    package: str
    manager: str
    severity: str
    alert: str
    subject: str
    number: int
    hosts: str
    to: str
    ends: int
    exploited: str
    exploited_number: int


@dataclasses.dataclass(frozen=True)
class HostRow:
    """A host's upgrades. exploited: how many exploited vulnerabilities they fix. first: the most urgent, in words."""

    host: str
    severity: str
    upgrades: int
    exploited: int
    ends: int
    first: str


def read(event: t.Mapping[str, t.Any], host: str) -> Upgrade | None:
    """Return what an event says, None for one that says nothing or nothing that can be read."""
    about = event.get("unmapped") or {}
    fields = about.get("upgrade")
    if not isinstance(fields, dict) or not isinstance(fields.get("ends"), int):
        return None
    exploited = fields.get("exploited")
    severity = str(event.get("severity")).lower()
    return Upgrade(
        host=host,
        alert=key(str(about.get("alert"))),
        subject=str(about.get("subject")),
        severity=severity if severity in _SEVERITIES else _SEVERITIES[-1],
        package=str(fields.get("package") or ""),
        to=str(fields.get("to") or ""),
        manager=str(fields.get("manager") or ""),
        ends=fields["ends"],
        exploited=tuple(map(str, exploited)) if isinstance(exploited, list) else (),
    )


def context(upgrades: t.Sequence[Upgrade]) -> dict[str, t.Any]:
    """Return the names that the template uses."""
    packages, hosts = package_rows(upgrades), host_rows(upgrades)
    return {
        "upgrades": {
            "summary": _summary(packages, hosts),
            "packages": packages[:PACKAGE_LIMIT],
            "more_packages": max(0, len(packages) - PACKAGE_LIMIT),
            "hosts": hosts[:HOST_LIMIT],
            "more_hosts": max(0, len(hosts) - HOST_LIMIT),
        }
    }


def package_rows(upgrades: t.Iterable[Upgrade]) -> list[PackageRow]:
    """Return what to upgrade, first what fixes exploited vulnerabilities on most hosts."""
    groups: dict[tuple[str, str], list[Upgrade]] = collections.defaultdict(list)
    for upgrade in upgrades:
        groups[upgrade.manager, upgrade.package].append(upgrade)
    return [_package_row(group) for group in sorted(groups.values(), key=_urgency)]


def host_rows(upgrades: t.Iterable[Upgrade]) -> list[HostRow]:
    """Return the hosts with upgrades, the most urgent first."""
    groups: dict[str, list[Upgrade]] = collections.defaultdict(list)
    for upgrade in upgrades:
        groups[upgrade.host].append(upgrade)
    return [
        HostRow(
            host=same[0].host,
            severity=_worst(same),
            upgrades=len({(each.manager, each.package) for each in same}),
            exploited=len({name for each in same for name in each.exploited}),
            ends=sum(each.ends for each in same),
            first=listed(
                list(
                    dict.fromkeys(visible(each.package, 80) for each in sorted(same, key=lambda one: _urgency([one])))
                ),
                3,
            ),
        )
        for same in sorted(groups.values(), key=_urgency)
    ]


def first_line(upgrades: t.Iterable[Upgrade]) -> str:
    """Return what to upgrade first, "" for nothing: ``Upgrade first: openssl (3 hosts, 2 exploited).``"""
    rows = package_rows(upgrades)
    if not rows:
        return ""
    words = ", ".join(f"{visible(row.package, 60)} ({_scale(row)})" for row in rows[:_FIRST_SHOWN])
    more = f" and {len(rows) - _FIRST_SHOWN:,} more" if len(rows) > _FIRST_SHOWN else ""
    return f"Upgrade first: {words}{more}."


def _scale(row: PackageRow) -> str:
    exploited = f"{row.exploited_number:,} exploited" if row.exploited_number else ""
    return ", ".join(filter(None, (counted(row.number, "host"), exploited)))


def _urgency(group: t.Sequence[Upgrade]) -> tuple[t.Any, ...]:
    exploited = sum(len(each.exploited) for each in group)
    hosts = len({each.host for each in group})
    worst = _SEVERITIES.index(_worst(group))
    return not exploited, worst, -exploited, -hosts, -sum(each.ends for each in group), group[0].package, group[0].host


def _worst(group: t.Iterable[Upgrade]) -> str:
    return min((each.severity for each in group), key=_SEVERITIES.index)


def _package_row(group: t.Sequence[Upgrade]) -> PackageRow:
    hosts = sorted({each.host for each in group})
    exploited = sorted({name for each in group for name in each.exploited})
    versions = list(dict.fromkeys(each.to or "a reboot" for each in group))
    first = min(group, key=lambda each: _SEVERITIES.index(each.severity))
    return PackageRow(
        package=first.package,
        manager=first.manager,
        severity=_worst(group),
        alert=first.alert,
        subject=first.subject,
        number=len(hosts),
        hosts=alike.hosts([visible(host, 80) for host in hosts], _HOSTS_SHOWN),
        to=visible(versions[0], 100) if len(versions) == 1 else counted(len(versions), "version"),
        ends=max(each.ends for each in group),
        exploited=listed([visible(name, 80) for name in exploited], _IDS_SHOWN),
        exploited_number=len(exploited),
    )


def _summary(packages: t.Sequence[PackageRow], hosts: t.Sequence[HostRow]) -> str:
    """Return in a sentence what to begin with, or nothing: ``openssl on 41 hosts fixes 3 vulnerabilities``."""
    if not packages:
        return ""
    words = f"{counted(len(packages), 'upgrade')} on {counted(len(hosts), 'host')} would fix vulnerabilities."
    first = packages[0]
    what = first.exploited or counted(first.ends, "vulnerability", "vulnerabilities")
    return f"{words} First: {visible(first.package, 100)} on {counted(first.number, 'host')} fixes {what}."
