# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A large fleet for figures of time and memory; run as a program, it prints those of the recommender as JSON.

Ten thousand hosts with some six hundred programs each: four distributions with a base of 260 packages, 40 roles of 25
packages on one or two distributions each, a fifth of the hosts with a second role. Every package has three versions, of
which a host has run one or two. Each host has five programs that no other one has.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import typing as t
from array import array

from tests.support import paths

HOSTS, PROGRAMS = 10_000, 600
DISTRIBUTIONS, ROLES = 4, 40
_BASE, _ROLE, _FILES, _ODD = 260, 25, 2, 5
_DAY = 86_400.0
_UNTIL = 20_514 * _DAY


def fleet(hosts: int, seed: int = 1) -> tuple[t.Any, list[frozenset[int]]]:
    """Return a fleet, and the roles of its hosts."""
    from ansible_collections.bulwark.servers.plugins.module_utils._program import UNPACKAGED, VERIFIED, Program
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms

    chance = random.Random(f"large {seed}")  # noqa: S311
    programs: list[t.Any] = []

    rates: dict[int, float] = {}

    def package(distribution: int, name: str) -> list[list[int]]:
        manager, origin = (("dpkg", "signed"), ("rpm", "6d745a60"))[distribution % 2]
        versions = []
        for version in range(3):
            versions.append([len(programs) + file for file in range(_FILES)])
            programs.extend(
                Program(
                    "program", f"/usr/bin/{name}-f{'abc'[file]}", sha256=f"{distribution}{name}{version}{file}",
                    manager=manager, package=name, version=f"{version}", verification=VERIFIED, origin=origin,
                )
                for file in range(_FILES)
            )  # fmt: skip
        return versions

    letters = "abcdefghijklmnopqrstuvwxyz"
    bases = [
        [package(kind, f"base-{letters[n // 26]}{letters[n % 26]}-{letters[kind]}") for n in range(_BASE)]
        for kind in range(DISTRIBUTIONS)
    ]
    roles = [
        [
            [package(kind, f"role-{letters[role // 26]}{letters[role % 26]}-{letters[n]}") for n in range(_ROLE)]
            for kind in range(DISTRIBUTIONS)
        ]
        for role in range(ROLES)
    ]
    found, truth = [], []
    for number in range(hosts):
        kind = number % DISTRIBUTIONS
        kinds = frozenset({chance.randrange(ROLES), *([chance.randrange(ROLES)] if chance.random() < 0.2 else [])})
        rows: list[tuple[int, float, float, int, int]] = []
        since = _UNTIL - chance.randint(3, 60) * _DAY
        days = int((_UNTIL - since) / _DAY)
        for software in [*bases[kind], *(one for role in sorted(kinds) for one in roles[role][kind])]:
            rate = rates.setdefault(software[0][0], chance.random())
            seen = days if rate < 0.6 else max(1, int(days * rate / 10))
            if chance.random() > 0.97:
                continue
            version = chance.randrange(3)
            rows += [(file, since, _UNTIL, seen, seen * 3) for file in software[version]]
        for odd in range(_ODD):
            rows.append((len(programs), _UNTIL - _DAY, _UNTIL, 1, 1))
            programs.append(
                Program(
                    "script", f"/root/h{number}/{odd}.sh", sha256=f"odd{number}{odd}", verification=UNPACKAGED
                )
            )  # fmt: skip
        columns = zip(*rows, strict=True)
        arrays = [array(code, column) for code, column in zip("IddHQ", columns, strict=True)]
        found.append(HostPrograms(f"h{number}", f"linux {kind}", since, _UNTIL, days, *arrays))
        truth.append(kinds)
    return Fleet(programs, found), truth


def main(hosts: int) -> dict[str, t.Any]:
    """Return what the recommender takes for a large fleet."""
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import recommend

    made, truth = fleet(hosts)
    before = time.process_time()
    result = recommend.recommend(made)
    seconds = time.process_time() - before
    roles = [role for role in result.roles if not role.distribution]
    return {
        "large_hosts": hosts,
        "large_programs_per_host": round(sum(len(host.programs) for host in made.hosts) / hosts),
        "large_s": round(seconds, 2),
        "large_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1),
        "large_roles": len(roles),
        "large_misgrouped": sum(
            len(result.hosts[host.name]) - 1 != len(kinds) for host, kinds in zip(made.hosts, truth, strict=True)
        ),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
