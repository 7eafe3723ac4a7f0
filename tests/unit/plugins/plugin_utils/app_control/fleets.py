# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small fleets to learn from."""

from __future__ import annotations

import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils._program import UNPACKAGED, VERIFIED, Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms

DAY = 86_400.0
UNTIL = 20_514 * DAY
DEBIAN, ROCKY = "debian 12", "rocky 9"


class Seen(t.NamedTuple):
    """A program and when it ran: from day ``first`` before the end, on so many days, until ``last`` days before."""

    program: Program
    first: int = 60
    days: int = 60
    last: int = 0


def packaged(name: str, path: str = "", distribution: str = DEBIAN, version: str = "1.0", **more: t.Any) -> Program:
    """Return a program of a package; its content is that of its version."""
    path = path or f"/usr/sbin/{name}"
    facts: dict[str, t.Any] = {
        "sha256": f"{distribution} {path} {version}",
        "manager": "rpm" if distribution == ROCKY else "dpkg",
        "package": name,
        "version": version,
        "verification": VERIFIED,
        "origin": "6d745a60" if distribution == ROCKY else "signed",
        "owner": "root",
    }
    return Program("program", path, **{**facts, **more})


def unpackaged(path: str, sha256: str = "", **more: t.Any) -> Program:
    return Program("program", path, sha256=sha256 or path, verification=UNPACKAGED, owner="root", **more)


class Builder:
    """Hosts with their programs, of which those of the base are added."""

    def __init__(self) -> None:
        self._hosts: dict[str, tuple[str, int, tuple[str, ...], list[Seen]]] = {}

    def host(
        self,
        name: str,
        *programs: Program | Seen,
        distribution: str = DEBIAN,
        days: int = 60,
        groups: tuple[str, ...] = (),
        version: str = "1.0",
    ) -> None:
        base = [packaged(f"base{'abcdefgh'[n]}", distribution=distribution, version=version) for n in range(8)]
        rows = [one if isinstance(one, Seen) else Seen(one, days, days) for one in (*base, *programs)]
        self._hosts[name] = (distribution, days, groups, rows)

    def add(self, name: str, *programs: Program | Seen) -> None:
        days = self._hosts[name][1]
        self._hosts[name][3].extend(one if isinstance(one, Seen) else Seen(one, days, days) for one in programs)

    def fleet(self) -> Fleet:
        numbers: dict[Program, int] = {}
        hosts = []
        for name, (distribution, days, groups, rows) in self._hosts.items():
            hosts.append(
                HostPrograms(
                    name,
                    distribution,
                    UNTIL - days * DAY,
                    UNTIL,
                    days,
                    array("I", [numbers.setdefault(row.program, len(numbers)) for row in rows]),
                    array("d", [UNTIL - row.first * DAY for row in rows]),
                    array("d", [UNTIL - row.last * DAY for row in rows]),
                    array("H", [row.days for row in rows]),
                    array("Q", [row.days * 3 for row in rows]),
                    groups,
                )
            )
        return Fleet(list(numbers), hosts)


def web(distribution: str = DEBIAN, version: str = "1.0") -> list[Program]:
    """Return the programs of web servers; two of three packages have another name on Rocky."""
    names = ("nginx", "httpd-tools", "php-server") if distribution == ROCKY else ("nginx", "apache2-utils", "php")
    paths = ("/usr/sbin/nginx", "/usr/bin/rotatelogs", "/usr/sbin/phpserve")
    return [packaged(name, path, distribution, version) for name, path in zip(names, paths, strict=True)]


def database(distribution: str = DEBIAN, version: str = "1.0") -> list[Program]:
    names = ("postgresql-server", "wal", "pgpool") if distribution == ROCKY else ("postgresql-15", "wal-g", "pgpool2")
    paths = ("/usr/lib/postgresql/15/bin/postgres", "/usr/bin/wal-g", "/usr/sbin/pgpool")
    return [packaged(name, path, distribution, version) for name, path in zip(names, paths, strict=True)]


def two_roles() -> Builder:
    """Return eight web servers and six databases, of two distributions; one host is both."""
    built = Builder()
    for number in range(8):
        distribution = ROCKY if number % 2 else DEBIAN
        built.host(f"web{number}", *web(distribution), distribution=distribution)
    for number in range(6):
        distribution = ROCKY if number % 2 else DEBIAN
        built.host(f"db{number}", *database(distribution), distribution=distribution)
    built.host("both", *web(), *database())
    return built
