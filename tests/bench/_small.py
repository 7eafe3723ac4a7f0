# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sixty days of connections to a small server that one to ten people use, the same for the same seed.

It shares no code and no numbers with what judges it. What is assumed, and what figures that come of it are worth:

- The server listens on 22 (SSH), which people use, and on 8080, which nobody needs. Both are open to the world.
- People: one to ten of them. Three in ten come on most working days, three in ten one to three days a week on any day,
  one in four about once a week or two, and the others about twice a month. One to six connections a visit; one in
  twenty signs in to nothing (a wrong key).
- Where they are: a fixed office, which people of one server may share; a fixed server of a data centre; at home, where
  the provider changes the address daily (one in seven), weekly (one in five) or hardly (every 60 to 400 days) within a
  pool of a /18 to a /22 of its own; two in five homes have IPv6, with a /64 of a /44 that changes as often and a new
  privacy address each visit, and half of these use nothing else, while the others use it for seven visits of ten.
- On one server in six, one or two people also come, or only come, through one mobile carrier: with a new address of its
  /20 each day, among four to twelve attackers that have theirs of it, too.
- One in ten people travels once, and comes from an address that nobody saw before on up to three days, which counts
  as denied.
- Half of the servers have a job that comes weekly from a fixed address, and one in five has one that comes daily. They
  count as people. One server in five has monitoring, which opens the port every few minutes and never signs in; it does
  not count as people.
- Attackers: scanners of many ports, sweepers of one port, brute force for a day or a week, and for a month from one
  address; slow guessers of one to four tries a day for a week or two, and patient ones that come each day, or each
  working day, for all sixty; a farm of a /24. One in six has an address of the block (/15) of a provider that people
  are with, but, other than with a mobile carrier, not in the pool that these get theirs from: nothing tells those apart
  by prefix.
- On one server in six a guesser signs in with a password, once or now and then.
- A threat list, which half of the servers have, knows a quarter of the attackers. Where sign-ins are known, so are nine
  in ten of those who failed 30 times or more.
- What connections transfer: people some 10 kB to 1 MB, jobs 5 kB to 100 MB, guessers a few kB, scanners next to
  nothing. People hold most of their connections longer than a minute, guessers one in a hundred.
- Nobody new comes in the second half, and nobody moves to another provider.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import ipaddress
import random
import typing as t

DAYS = 60
HALF = 30
START = 20_454  # days since the epoch: the first of January 2026
SSH, UNUSED = 22, 8080
LISTENING = (SSH, UNUSED)
_CLOSED = (*range(1, 22), 23, 25, 110, 111, 139, 445, 1433, 2222, 3306, 3389, 5060, 5432, 5900, 6379, 8443, 9200, 27017)
_SECONDS = 86_400


@dataclasses.dataclass
class Home:
    """Where somebody connects from; pools: the networks that its addresses are of, one for each version of IP."""

    kind: str
    pools: tuple[t.Any, ...]
    lease: tuple[int, int] = (1, 1)
    address: str = ""
    delegated: t.Any = None
    until: int = -1
    six: float = 0.0


@dataclasses.dataclass
class World:
    """entries: of the first half and of the second, as the recommender takes them. sign_ins: of the first half.

    visits: person (or job), day and source of each visit of the second half. monitors: sources of monitoring.
    """

    entries: tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]
    sign_ins: list[dict[str, t.Any]]
    visits: list[tuple[int, int, str]]
    people: set[str]
    monitors: set[str]
    attackers: set[str]
    threats: list[str]
    findings: list[str]

    def known(self, with_bytes: bool) -> list[dict[str, t.Any]]:
        """Return the first half, without what connections transferred and how long they took unless that is known."""
        if with_bytes:
            return self.entries[0]
        return [{**entry, "bytes": None, "seconds": None, "long_lived_count": None} for entry in self.entries[0]]


def world(seed: int) -> World:
    return _World(seed).made()


class _World:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"small {seed}")  # noqa: S311
        self._entries: tuple[dict[tuple[str, int], dict[str, t.Any]], ...] = ({}, {})
        self._accepted: dict[str, dict[str, t.Any]] = {}
        self._failed: collections.Counter[str] = collections.Counter()
        self._blocks: list[t.Any] = []
        self._pools: list[t.Any] = []
        self._mobile: list[t.Any] = []
        self._visits: list[tuple[int, int, str]] = []
        self._people: set[str] = set()
        self._monitors: set[str] = set()
        self._attackers: set[str] = set()

    def made(self) -> World:
        self._populate()
        self._jobs()
        self._attack()
        attackers = sorted(self._attackers)
        known = self._random.random() < 0.5
        threats = [source for source in attackers if self._random.random() < 0.25 and known]
        findings = [
            source for source in attackers if self._failed[source] >= 30 and self._random.random() < 0.9
        ]  # fmt: skip
        first, second = ([half[key] for key in sorted(half)] for half in self._entries)
        sign_ins = [self._accepted[source] for source in sorted(self._accepted)]
        return World(
            (first, second), sign_ins, self._visits, self._people, self._monitors, self._attackers, threats, findings
        )

    # Addresses

    def _block(self, length: int) -> t.Any:
        while True:
            network = ipaddress.IPv4Network((self._random.randrange(11, 223) << 24 | self._random.getrandbits(24), 32))
            block = network.supernet(new_prefix=length)
            if block.is_global and not any(block.overlaps(other) for other in self._blocks):
                self._blocks.append(block)
                return block

    def _block6(self) -> t.Any:
        return ipaddress.IPv6Network(((0x2A00 << 112) + (self._random.getrandbits(16) << 96), 32))

    def _pool(self, block: t.Any, length: int) -> t.Any:
        while True:
            pool = ipaddress.ip_network((int(block.network_address) + self._offset(block), block.max_prefixlen))
            pool = pool.supernet(new_prefix=length)
            if not any(pool.version == other.version and pool.overlaps(other) for other in self._pools):
                self._pools.append(pool)
                return pool

    def _offset(self, network: t.Any) -> int:
        size = network.num_addresses
        return self._random.randrange(1, size - 1) if size > 2 else 0

    def _of(self, network: t.Any) -> str:
        return str(network[self._offset(network)])

    def _stranger(self) -> str:
        """Return an address of an attacker, or of a hotel, that is in no pool of people."""
        near = self._random.random() < 1 / 6
        while True:
            if near:
                address = self._of(self._random.choice(self._blocks))
            else:
                address = str(ipaddress.IPv4Address(self._random.randrange(11 << 24, 223 << 24)))
            found = ipaddress.ip_address(address)
            if found.is_global and not any(found in pool for pool in self._pools if pool.version == 4):
                return address

    # People

    def _populate(self) -> None:
        providers = [(self._block(15), self._block6()) for _provider in range(3)]
        self._block(15)  # others are with it
        office = Home("fixed", (self._pool(providers[0][0], 32),))
        count = self._random.randint(1, 10)
        mobile: set[int] = set()
        if self._random.random() < 1 / 6:
            mobile = set(self._random.sample(range(count), min(count, self._random.randint(1, 2))))
            self._mobile.append(self._pool(self._block(15), 20))
        for person in range(count):
            where = self._random.random()
            homes = []
            if where < 0.25:
                homes.append(office if self._random.random() < 0.6 else self._fixed())
            elif where < 0.35:
                homes.append(self._fixed())
            else:
                homes.append(self._home(*self._random.choice(providers)))
            if person in mobile:
                homes = [*(homes if self._random.random() < 0.7 else []), Home("mobile", tuple(self._mobile))]
            self._live(person, homes)

    def _fixed(self) -> Home:
        return Home("fixed", (self._pool(self._block(16), 32),))

    def _home(self, block: t.Any, six: t.Any) -> Home:
        lease = self._random.choices(((1, 1), (5, 9), (60, 400)), (0.15, 0.2, 0.65))[0]
        pools = [self._pool(block, self._random.randint(18, 22))]
        if self._random.random() < 0.4:
            pools.append(self._pool(six, 44))
        return Home("home", tuple(pools), lease, six=self._random.choice((1.0, 0.7)))

    def _source(self, home: Home, day: int) -> str:
        if home.kind == "mobile":
            return self._of(home.pools[0])
        if day >= home.until:
            home.address = self._of(home.pools[0])
            if len(home.pools) > 1:
                found = ipaddress.IPv6Address(self._of(home.pools[1]))
                home.delegated = ipaddress.IPv6Network((int(found) >> 64 << 64, 64))
            # Of the first lease, some part has passed already.
            length = self._random.randint(*home.lease)
            home.until = day + (length if home.until >= 0 else self._random.randint(1, length))
        if home.delegated is not None and self._random.random() < home.six:
            return self._of(home.delegated)
        return home.address

    def _live(self, person: int, homes: list[Home]) -> None:
        trips = [self._random.randrange(DAYS)] if self._random.random() < 0.1 else []
        for day in self._rhythm():
            if any(0 <= day - trip < 3 for trip in trips):
                source = self._stranger()
            else:
                weights = [0.3 if home.kind == "mobile" and len(homes) > 1 else 1.0 for home in homes]
                source = self._source(self._random.choices(homes, weights)[0], day)
            count = self._random.randint(1, 6)
            accepted = sum(self._random.random() < 0.95 for _connection in range(count))
            size = 10 ** self._random.uniform(4, 6)
            self._visit(person, source, day, count, accepted, size, self._random.uniform(40, 2000))

    def _rhythm(self) -> list[int]:
        which = self._random.random()
        if which < 0.3:
            return [day for day in range(DAYS) if (START + day + 3) % 7 < 5 and self._random.random() < 0.8]
        if which < 0.6:
            share = self._random.uniform(1, 3) / 7
            return [day for day in range(DAYS) if self._random.random() < share]
        if which < 0.85:
            day, days = self._random.randrange(10), []
            while day < DAYS:
                days.append(day)
                day += self._random.randint(6, 14)
            return days
        halves = (range(HALF), range(HALF, DAYS))
        return [day for half in halves for day in sorted(self._random.sample(half, self._random.randint(1, 3)))]

    def _visit(
        self, person: int, source: str, day: int, count: int, accepted: int, size: float, seconds: float
    ) -> None:
        self._people.add(source)
        self._connect(source, SSH, day, count, size, seconds, min(count, round(count * seconds / 400)))
        self._sign_in(source, day, accepted)
        if day >= HALF:
            self._visits.append((person, day, source))

    def _jobs(self) -> None:
        for number, (share, every) in enumerate(((0.5, 7), (0.2, 1))):
            if self._random.random() < share:
                source, size = self._of(self._fixed().pools[0]), 10 ** self._random.uniform(3.7, 8)
                for day in range(self._random.randrange(every), DAYS, every):
                    self._visit(100 + number, source, day, 1, 1, size, self._random.uniform(5, 600))
        if self._random.random() < 0.2:
            source, often = self._of(self._fixed().pools[0]), self._random.choice((96, 288, 1440))
            self._monitors.add(source)
            for day in range(DAYS):
                self._connect(source, SSH, day, often - self._random.randrange(3), 1_500, 0.1, 0)

    # Attackers

    def _attack(self) -> None:
        for _scanner in range(30):
            ports = self._random.sample(_CLOSED + LISTENING * 4, self._random.randint(5, 30))
            source = self._new()
            for day in self._days(1, 4):
                for port in ports:
                    self._connect(source, port, day, 1, 120, 0.1, 0)
        for _sweeper in range(150):
            source, port = self._new(), self._random.choice((SSH, SSH, UNUSED))
            for day in self._days(1, 3):
                self._connect(source, port, day, self._random.randint(1, 2), 1_200, 1, 0)
        for number, least, most, span in (
            (40, 50, 2000, (1, 6)),
            (2, 100, 500, (20, 40)),
            (40, 1, 4, (3, 20)),
        ):
            for _guesser in range(number):
                source = self._new()
                self._guess(source, self._days(*span), least, most)
        for _patient in range(3):
            every_day = self._random.random() < 0.5
            days = [day for day in range(DAYS) if every_day or (START + day + 3) % 7 < 5]
            self._guess(self._new(), days, 1, self._random.randint(1, 4))
        for pool in self._mobile:
            for _attacker in range(self._random.randint(4, 12)):
                self._guess(self._of(pool), self._days(1, 10), 1, self._random.choice((3, 300)))
        self._farm()
        self._break_in()

    def _farm(self) -> None:
        network: t.Any = ipaddress.ip_network(f"{self._new()}/24", strict=False)
        if not any(network.overlaps(pool) for pool in self._pools if pool.version == 4):
            for _address in range(30):
                self._guess(self._of(network), self._days(1, 8), 1, 2)

    def _guess(self, source: str, days: list[int], least: int, most: int) -> None:
        if source in self._people:
            return
        self._attackers.add(source)
        for day in days:
            count = self._random.randint(least, most)
            held = sum(self._random.random() < 0.01 for _connection in range(min(count, 100)))
            self._connect(source, SSH, day, count, self._random.uniform(2_500, 5_500), 6, held)
            if day < HALF:
                self._failed[source] += count

    def _break_in(self) -> None:
        """Have a guesser of the first half sign in: once, or now and then from that day on."""
        if self._random.random() >= 1 / 6:
            return
        guessers = [source for source in sorted(self._attackers) if self._failed[source] > 5]
        source = self._random.choice(guessers)
        days = sorted(self._entries[0][source, SSH]["days"])
        first = dt.date.fromisoformat(self._random.choice(days)).toordinal() - 719_163 - START
        again = self._random.random() < 0.4
        for day in [first, *([day for day in range(first + 1, DAYS) if self._random.random() < 0.2] if again else [])]:
            self._connect(source, SSH, day, 1, 20_000, 200, 1)
            self._sign_in(source, day, 1)

    def _new(self) -> str:
        while True:
            source = self._stranger()
            if source not in self._people and source not in self._attackers:
                self._attackers.add(source)
                return source

    def _days(self, least: int, most: int) -> list[int]:
        count = self._random.randint(least, most)
        span = min(DAYS, count + self._random.randrange(1 + count))
        start = self._random.randrange(DAYS - span + 1)
        return sorted(self._random.sample(range(start, start + span), count))

    # What is seen

    def _connect(self, source: str, port: int, day: int, count: int, size: float, seconds: float, held: int) -> None:
        """Note connections on a day of the sixty. size, seconds: of one of them, held: how many took over a minute."""
        moments = sorted((START + day) * _SECONDS + self._random.randrange(_SECONDS) for _time in (1, 2))
        entry = self._entries[day >= HALF].setdefault(
            (source, port),
            {
                "source": source, "port": port, "protocol": "tcp", "direction": "in", "first_seen": float(moments[0]),
                "last_seen": 0.0, "count": 0, "answered": 0, "refused": 0, "bytes": 0, "seconds": 0,
                "long_lived_count": 0, "days": {},
            },
        )  # fmt: skip
        entry["first_seen"] = min(entry["first_seen"], float(moments[0]))
        entry["last_seen"] = max(entry["last_seen"], float(moments[1]))
        entry["count"] += count
        entry["answered" if port in LISTENING else "refused"] += count
        entry["bytes"] += int(count * size * self._random.lognormvariate(0, 0.3))
        entry["seconds"] += int(count * seconds)
        entry["long_lived_count"] += held
        date = _date(day)
        entry["days"][date] = entry["days"].get(date, 0) + count

    def _sign_in(self, source: str, day: int, count: int) -> None:
        if day >= HALF or not count:
            return
        when = float((START + day) * _SECONDS + _SECONDS // 2)
        entry = self._accepted.setdefault(
            source,
            {
                "source": source, "count": 0, "users": 1, "days": {}, "first": when, "last": when, "service": "sshd",
                "port": SSH,
            },
        )  # fmt: skip
        entry["count"] += count
        entry["first"], entry["last"] = min(entry["first"], when), max(entry["last"], when)
        entry["days"][_date(day)] = entry["days"].get(_date(day), 0) + count


def _date(day: int) -> str:
    return dt.date.fromordinal(START + day + 719_163).isoformat()
