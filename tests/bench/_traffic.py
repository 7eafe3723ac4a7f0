# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sixty days of connections to a server that the internet reaches, the same for the same seed, with who was who.

What is assumed, and what figures that come of it are worth:

- The server listens on 22, 5432 and 9100, all open to the world, and on 8080, which nobody needs; on IPv4 and IPv6.
- Legitimate: offices behind addresses that their provider changes every one to seven days within a pool (/22, IPv6: a
  /56 of a /44) and one with an own /29; the users of a VPN (a /26); monitoring (fixed addresses, every few minutes,
  little data); CI runners, each with a new address of one prefix of a cloud (/19, IPv6 /44); partners (fixed, once a
  week); a backup (fixed, one day in thirty); home workers in three regional pools (/20, IPv6 /44), whose addresses
  change daily, weekly or hardly; application servers of a private network. People work five days a week. One day in
  fifty a home worker is elsewhere, at an address nobody saw before: that is denied, and counted as denied.
- Nobody new comes from a provider that was not seen in the first half, and nobody moves there.
- Attackers: broad scanners (20 to 200 ports), slow ones (a port every few days), farms of addresses that share the work
  out (one port each), sweepers of one port that an open port answers, brute forcers (fast on 22 and 5432, slow on 22).
  One in seven is in the same provider's block (/14, IPv6 /32) as legitimate sources, but not in the pool that those get
  their addresses from: **who is in the pool can't be told apart by prefix** and is let in. ``inside`` puts a share of
  the attackers there, to see what that costs.
- A threat list knows a quarter of the attackers. Who failed to sign in by SSH 30 times or more in the first half has an
  open finding, in nineteen of twenty cases. PostgreSQL's log is looked at by nobody.
- ``with_bytes``: whether the records say how much was transferred; the kernel's recorder need not.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
import itertools
import random
import typing as t

DAYS = 60
HALF = 30
START = 20_454  # days since the epoch: Thursday, the first of January 2026
UNUSED = 8080
LISTENING = (22, 5432, UNUSED, 9100)
_SECONDS = 86_400
_PORTS = tuple(port for port in range(1, 1024) if port not in LISTENING) + (3306, 3389, 5900, 6379, 8443, 9200, 27017)


@dataclasses.dataclass
class World:
    """entries: what was seen in each half, as the recommender takes it. legitimate: kind of a source; others attack.

    allies: for each half who is who by (source, port). threats, findings: what the controller knows after the first.
    """

    entries: tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]
    kinds: dict[str, str]
    threats: list[str]
    findings: list[str]

    def is_legitimate(self, source: str) -> bool:
        return not self.kinds[source].startswith("attack")


def world(seed: int, inside: float = 0.0, with_bytes: bool = True) -> World:
    return _World(seed, inside, with_bytes).made()


class _World:
    def __init__(self, seed: int, inside: float, with_bytes: bool) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._inside = inside
        self._with_bytes = with_bytes
        self._seen: tuple[dict[tuple[str, int], dict[str, t.Any]], ...] = ({}, {})
        self._kinds: dict[str, str] = {}
        self._blocks: dict[int, list[t.Any]] = {4: [], 6: []}
        self._pools: dict[int, list[t.Any]] = {4: [], 6: []}
        self._failures: dict[str, int] = {}

    def made(self) -> World:
        self._blocks = {
            4: self._apart(0x0B000000, 0xDF000000, 32, 14, 7),
            6: self._apart(0x2A00 << 112, 0x2B00 << 112, 128, 32, 4),
        }
        self._legitimate()
        self._attackers()
        attackers = sorted(source for source, kind in self._kinds.items() if kind.startswith("attack"))
        entries = tuple([half[key] for key in sorted(half)] for half in self._seen)
        seen_first = {entry["source"] for entry in entries[0]}
        return World(
            (entries[0], entries[1]),
            self._kinds,
            [source for source in attackers if self._random.random() < 0.25],
            [
                source
                for source in attackers
                if source in seen_first and self._failures.get(source, 0) >= 30 and self._random.random() < 0.95
            ],
        )

    # Addresses

    def _apart(self, low: int, high: int, bits: int, length: int, count: int) -> list[t.Any]:
        """Return so many networks of one length between two addresses, none of them twice."""
        chosen: set[int] = set()
        while len(chosen) < count:
            address = self._random.randrange(low, high) >> (bits - length)
            if bits == 128 or not ipaddress.ip_address(address << (bits - length)).is_private:
                chosen.add(address)
        kind: t.Any = ipaddress.IPv4Network if bits == 32 else ipaddress.IPv6Network
        return [
            kind((address << (bits - length), length))
            for address in sorted(chosen, key=lambda _: self._random.random())
        ]

    def _pool(self, block: t.Any, length: int) -> t.Any:
        """Return a network of a provider's block that no other pool overlaps."""
        while True:
            address = int(block.network_address) + (
                self._random.randrange(2 ** (length - block.prefixlen)) << (block.max_prefixlen - length)
            )
            pool = type(block)((address, length))
            if not any(pool.overlaps(other) for other in self._pools[block.version]):
                self._pools[block.version].append(pool)
                return pool

    def _address(self, network: t.Any) -> str:
        size = network.num_addresses
        return str(network[self._random.randrange(1, size - 1) if size > 2 else 0])

    def _stranger(self, version: int) -> str:
        """Return an address of an attacker."""
        if self._random.random() < self._inside:
            return self._address(self._random.choice(self._pools[version]))
        near = self._random.random() < (1 / 7 if version == 4 else 0.5)
        while True:
            if near:
                address = self._address(self._random.choice(self._blocks[version]))
            elif version == 4:
                address = str(ipaddress.IPv4Address(self._random.randrange(0x0B000000, 0xDF000000)))
            else:
                address = str(ipaddress.IPv6Address((0x2A00 << 112) + self._random.randrange(1 << 120)))
            found = ipaddress.ip_address(address)
            if found.is_global and not any(found in pool for pool in self._pools[version]):
                return address

    # Connections

    def _connect(self, kind: str, source: str, port: int, day: int, count: int, size: float) -> None:
        """Note connections on a day of the sixty; size: the usual number of bytes of one."""
        if count < 1 or not 0 <= day < DAYS:
            return
        self._kinds[source] = kind
        first = (START + day) * _SECONDS + self._random.randrange(_SECONDS // 2)
        last = first + (self._random.randrange(_SECONDS // 2) if count > 1 else 0)
        half = self._seen[day >= HALF]
        entry = half.get((source, port))
        if entry is None:
            entry = half[source, port] = {
                "source": source, "port": port, "protocol": "tcp", "direction": "in", "first_seen": float(first),
                "last_seen": float(last), "count": 0, "answered": 0, "refused": 0, "days": {},
            }  # fmt: skip
            if self._with_bytes:
                entry["bytes"] = 0
        entry["first_seen"] = min(entry["first_seen"], float(first))
        entry["last_seen"] = max(entry["last_seen"], float(last))
        entry["count"] += count
        entry["answered" if port in LISTENING else "refused"] += count
        if self._with_bytes:
            entry["bytes"] += int(count * size * self._random.lognormvariate(0, 0.6))
        date = _date(day)
        entry["days"][date] = entry["days"].get(date, 0) + count

    def _legitimate(self) -> None:
        blocks, sixes = self._blocks[4], self._blocks[6]
        working = [day for day in range(DAYS) if (START + day + 3) % 7 < 5]
        for number in (0, 1):
            self._office(blocks[number], sixes[0] if number else None, working)
        own = self._pool(blocks[2], 29)
        vpn = self._pool(blocks[3], 26)
        for day in working:
            self._connect("office", self._address(own), 22, day, self._random.randint(20, 60), 30_000)
            for _user in range(self._random.randint(5, 15)):
                self._connect("vpn", self._address(vpn), 22, day, self._random.randint(1, 5), 30_000)
        self._runners(blocks[4], sixes[1], working)
        self._machines(blocks)
        self._home_workers(blocks, sixes, working)

    def _office(self, block: t.Any, six: t.Any, working: list[int]) -> None:
        pool, pool6 = self._pool(block, 22), self._pool(six, 44) if six else None
        change = 0
        for day in range(DAYS):
            if day >= change:
                address, change = self._address(pool), day + self._random.randint(1, 7)
                delegated = self._delegated(pool6) if pool6 else None
            if day not in working:
                continue
            self._connect("office", address, 22, day, self._random.randint(20, 60), 30_000)
            self._connect("office", address, 5432, day, self._random.randint(3, 15), 20_000)
            if delegated:
                for _client in range(3):
                    self._connect("office", self._address(delegated), 22, day, self._random.randint(1, 9), 30_000)

    def _delegated(self, pool: t.Any) -> t.Any:
        return ipaddress.IPv6Network((int(ipaddress.IPv6Address(self._address(pool))) >> 72 << 72, 56))

    def _runners(self, block: t.Any, six: t.Any, working: list[int]) -> None:
        cloud, cloud6 = self._pool(block, 19), self._pool(six, 44)
        for day in range(DAYS):
            for _run in range(self._random.randint(15, 40) if day in working else self._random.randint(0, 6)):
                network = cloud6 if self._random.random() < 0.3 else cloud
                self._connect("runner", self._address(network), 22, day, self._random.randint(1, 3), 60_000)

    def _machines(self, blocks: list[t.Any]) -> None:
        for _number in range(2):
            address = self._address(self._pool(blocks[5], 32))
            for day in range(DAYS):
                self._connect("monitoring", address, 22, day, self._random.randint(140, 144), 1_500)
                self._connect("monitoring", address, 9100, day, self._random.randint(1430, 1440), 40_000)
        six = self._address(self._pool(self._blocks[6][2], 64))
        for day in range(DAYS):
            self._connect("monitoring", six, 22, day, self._random.randint(140, 144), 1_500)
        for number in range(4):
            for day in range(DAYS):
                self._connect(
                    "application", f"10.20.30.{10 + number}", 5432, day, self._random.randint(100, 400), 20_000
                )
        for _partner in range(3):
            address, weekday = self._address(self._pool(self._random.choice(blocks), 32)), self._random.randrange(5)
            for day in range(weekday, DAYS, 7):
                self._connect("partner", address, 22, day, self._random.randint(1, 4), 200_000)
        backup, monthly = self._address(self._pool(self._random.choice(blocks), 32)), self._random.randrange(30)
        for day in range(monthly, DAYS, 30):
            self._connect("backup", backup, 22, day, self._random.randint(3, 8), 5e8)

    def _home_workers(self, blocks: list[t.Any], sixes: list[t.Any], working: list[int]) -> None:
        pools = [self._pool(block, 20) for block in self._random.sample(blocks, 3)]
        pool6 = self._pool(sixes[3], 44)
        for number in range(self._random.randint(8, 14)):
            pool = pools[number % 3]
            with_six = number % 4 == 0
            least, most = ((1, 1), (5, 9), (20, 80))[number % 3 if number < 9 else self._random.randrange(3)]
            change = 0
            for day in range(DAYS):
                if day >= change:
                    address, delegated = self._address(pool), self._delegated(pool6)
                    change = day + self._random.randint(least, most)
                if day not in working or self._random.random() < 0.3:
                    continue
                source = self._address(delegated) if with_six and self._random.random() < 0.7 else address
                if self._random.random() < 0.02:
                    source = self._stranger(4)
                self._connect("home", source, 22, day, self._random.randint(1, 6), 30_000)

    def _attackers(self) -> None:
        for _broad in range(150):
            self._broad()
        for _slow in range(60):
            source = self._new()
            for day in range(self._random.randrange(10), DAYS, self._random.randint(2, 6)):
                self._connect("attack_slow", source, self._random.choice(_PORTS + LISTENING * 60), day, 1, 150)
        for _farm in range(6):
            self._farm()
        for _sweeper in range(300):
            source, port = self._new(), self._random.choice((22, 22, 22, 5432, 8080, 9100))
            for day in self._days(1, 3):
                self._connect("attack_sweep", source, port, day, self._random.randint(1, 2), 1_200)
        self._guessers()
        for _six in range(40):
            source, ports = self._stranger(6), self._random.sample(_PORTS + LISTENING * 60, self._random.randint(1, 12))
            for day, port in itertools.product(self._days(1, 6), ports):
                self._connect("attack_six", source, port, day, 1, 200)

    def _broad(self) -> None:
        source = self._new()
        ports = self._random.sample(_PORTS + LISTENING * 30, self._random.randint(20, 200))
        for day in self._days(1, 5):
            for port in ports[:: self._random.randint(1, 3)]:
                self._connect("attack_broad", source, port, day, self._random.randint(1, 2), 120)

    def _farm(self) -> None:
        network: t.Any = ipaddress.ip_network(f"{self._new()}/24", strict=False)
        if any(network.overlaps(pool) for pool in self._pools[4]):
            return
        for _address in range(40):
            source = self._address(network)
            for day in self._days(1, 8):
                self._connect("attack_farm", source, self._random.choice(_PORTS + LISTENING * 100), day, 1, 150)

    def _guessers(self) -> None:
        for port, number, least, most, days in (
            (22, 120, 50, 2000, (1, 6)),
            (22, 80, 1, 4, (3, 20)),
            (5432, 30, 20, 500, (1, 6)),
        ):
            for _guesser in range(number):
                source = self._new()
                for day in self._days(*days):
                    count = self._random.randint(least, most)
                    self._connect("attack_guess", source, port, day, count, 4_000)
                    if port == 22 and day < HALF:
                        self._failures[source] = self._failures.get(source, 0) + count

    def _new(self) -> str:
        while True:
            source = self._stranger(4)
            if source not in self._kinds:
                return source

    def _days(self, least: int, most: int) -> list[int]:
        """Return some days in a row or nearly, anywhere in the sixty."""
        count = self._random.randint(least, most)
        span = min(DAYS, count + self._random.randrange(1 + count * 2))
        start = self._random.randrange(DAYS - span + 1)
        return sorted(self._random.sample(range(start, start + span), count))


def _date(day: int) -> str:
    return dt.datetime.fromtimestamp((START + day) * _SECONDS, dt.UTC).strftime("%Y-%m-%d")
