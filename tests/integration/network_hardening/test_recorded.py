# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recommender on traffic that the kernel recorded: learned from the first half, held against the second.

Attackers are those of two logs of real servers, with the addresses, ports, days and numbers of connections that these
have: six weeks of a server with SSH and FTP, and one morning of another, which nobody had seen before, in the second
half. Of a name without an address in it none is made up. Who is legitimate is in no such log: a small company does what
the test says, 15 people at home and in a VPN, an office whose provider changes its address, runners in a cloud,
monitoring, databases and a partner, on IPv4 and IPv6. Each connection is a real one through the kernel; a day takes a
second.

What it shows: that what the recorder counts is what there was; that the recommender, with no threat list and no finding
to help it, keeps out attackers nobody made up, on the days they came, from recorded counts alone. What it can't show:
how people at other companies connect, and what comes of an attacker who is in the same pool as they are.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import datetime as dt
import ipaddress
import math
import pathlib
import random
import re
import socket
import time
import typing as t
import unittest.mock

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import apply, collect, options
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import model, recommend, sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import options as hardening

from tests.integration.jit_access._jit import defaults
from tests.support import network, paths

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "data:loghub"),
    pytest.mark.xdist_group("network_recorded"),
]

FIRST = dt.date(2005, 6, 14)
DAYS = 44
HALF = 22
SSH, FTP, DATABASE = 22, 21, 5432
PORTS = (FTP, SSH, DATABASE)
# Of the day in the second half on which those of the other log come.
MORNING = 30

Connections = t.Counter[tuple[int, str, int]]  # day, source, port


def attackers() -> Connections:
    """Return who tried to get in, of two logs of real servers."""
    found: Connections = collections.Counter()
    for row in _rows("Linux/Linux_2k.log_structured.csv"):
        there = re.search(r"rhost=(\S+)|connection from (\S+)", row["Content"])
        address = _address(there.group(1) or there.group(2)) if there else None
        if address:
            day = dt.date(2005, {"Jun": 6, "Jul": 7}[row["Month"]], int(row["Date"])) - FIRST
            found[day.days, address, SSH if row["Component"].startswith("sshd") else FTP] += 1
    for row in _rows("OpenSSH/OpenSSH_2k.log_structured.csv"):
        there = re.search(r"(?:Failed|Invalid|Did not receive|Received disconnect)\b.*? from (\S+)", row["Content"])
        address = _address(there.group(1).rstrip(":")) if there else None
        if address:
            found[MORNING, address, SSH] += 1
    return found


def _rows(name: str) -> list[dict[str, str]]:
    with (paths.data("loghub") / name).open(encoding="utf-8", errors="replace", newline="") as stream:
        return list(csv.DictReader(stream))


def _address(text: str) -> str | None:
    """Return an address, or the one that the name of a provider's customer has in it."""
    there = re.search(r"(?:^|\D)(\d{1,3})[-.](\d{1,3})[-.](\d{1,3})[-.](\d{1,3})(?:\D|$)", text)
    try:
        found = ipaddress.IPv4Address(".".join(there.groups())) if there else None
    except ValueError:
        return None
    return str(found) if found and found.is_global else None


def company(seed: int) -> Connections:
    """Return who has something to do on the server."""
    chance = random.Random(seed)  # noqa: S311
    found: Connections = collections.Counter()

    def of(prefix: str) -> str:
        block = ipaddress.ip_network(prefix)
        return str(block[chance.randrange(1, block.num_addresses - 1)])

    # Eight people at home, whose provider changes addresses after so many days.
    homes = {number: of("91.12.64.0/20") for number in range(8)}
    lasting = [chance.choice((1, 7, 60)) for _number in homes]
    office, office6 = of("84.130.8.0/22"), of("2a02:810:4c00:10::/64")
    partner, databases = "193.99.144.80", [f"10.20.30.{number}" for number in (10, 11, 12)]
    for day in range(DAYS):
        for machine in ("185.22.40.7", "185.22.40.8", "2a02:810:4c00:99::7"):
            found[day, machine, SSH] += 6
        for machine in databases:
            found[day, machine, DATABASE] += chance.randint(5, 20)
        for _run in range(chance.randint(4, 12)):
            found[day, of("20.51.32.0/19"), SSH] += 1
        if (FIRST + dt.timedelta(day)).weekday() > 4:
            continue
        if day % 5 == 0:
            office = of("84.130.8.0/22")
        found[day, office, SSH] += chance.randint(5, 12)
        found[day, office, FTP] += chance.randint(1, 3)
        found[day, office6, SSH] += chance.randint(1, 6)
        for _user in range(7):
            found[day, of("62.157.3.64/26"), SSH] += chance.randint(1, 3)
        for number, days in enumerate(lasting):
            if day % days == 0:
                homes[number] = of("91.12.64.0/20")
            found[day, homes[number], SSH] += chance.randint(0, 3)
        if day % 7 == 2:
            found[day, partner, FTP] += 2
    return +found


class World:
    """A server, and an internet with all addresses that somebody comes from."""

    def __init__(self, server: network.Namespace, internet: network.Namespace, directory: pathlib.Path) -> None:
        self._server, self._internet, self._state = server, internet, directory / "state"
        self._listeners = [server.listen(port, version) for port in PORTS for version in (4, 6)]
        for listener in self._listeners:
            listener.setblocking(False)

    def settle(self, addresses: t.Iterable[str]) -> None:
        """Let all who connect live in the internet, and let the server know the way there."""
        commands = "".join(f"address add {address} dev lo\n" for address in sorted(addresses))
        self._internet.run("ip", "-batch", "-", given=commands)
        for version in (4, 6):
            gateway = self._internet.address[version]
            self._server.run("ip", f"-{version}", "route", "add", "default", "via", gateway)
            # The kernel first sees that its own address of IPv6 is used by nobody else.
            assert any(self._internet.connects(self._server, SSH, version) for _try in range(10))
        self._serve()

    def connect(self, source: str, port: int) -> bool:
        version = ipaddress.ip_address(source).version
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM) as client:
            client.settimeout(1)
            client.bind((source, 0))
            try:
                client.connect((self._server.address[version], port))
            except OSError:
                return False
        return True

    def day(self, connections: t.Mapping[tuple[str, int], int]) -> None:
        with self._internet.entered():
            for (source, port), count in connections.items():
                for _time in range(count):
                    assert self.connect(source, port), (source, port)
                self._serve()

    def _serve(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()

    def record(self) -> None:
        params = {**defaults(options.apply_spec()), "state_dir": str(self._state)}
        with self._server.entered(), _at(0, 0):
            apply.apply(params, False)

    def read(self, day: int) -> list[dict[str, t.Any]]:
        """Read the recorder in the evening of a day."""
        params = {**defaults(options.collect_spec()), "state_dir": str(self._state)}
        with self._server.entered(), _at(day, 20):
            result = collect.collect(params, False)
        assert [entry["status"] for entry in result["coverage"]] == ["checked", "checked"], result["coverage"]
        return t.cast("list[dict[str, t.Any]]", result["traffic"])

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()


def _at(day: int, hour: int) -> contextlib.AbstractContextManager[t.Any]:
    """Have it be then, as far as the calendar goes; time between two moments goes on as it does."""
    moment = dt.datetime.combine(FIRST, dt.time(hour), dt.UTC) + dt.timedelta(day)
    return unittest.mock.patch.object(time, "time", return_value=moment.timestamp())


def recommended(traffic: list[dict[str, t.Any]]) -> dict[int, list[t.Any]]:
    """Return the prefixes of each port, from what was recorded and nothing else."""
    asked = hardening.read(
        [{"port": port, "protocol": "tcp"} for port in PORTS],
        trusted=[],
        threats=[],
        findings=[],
        names={},
        public_ports=hardening.PUBLIC_PORTS,
        minimum_days=hardening.MINIMUM_DAYS,
        max_prefixes=hardening.MAX_PREFIXES,
    )
    result = recommend.recommend(sources.read(traffic), asked, model.load())
    # Of what a partner does on FTP once a week nothing is known but that it comes, as attackers do: it stays open.
    assert {port["port"]: port["status"] for port in result["ports"]} == {
        FTP: "unclear",
        SSH: "narrow",
        DATABASE: "narrow",
    }
    return {
        port["port"]: [ipaddress.ip_network(prefix["prefix"]) for prefix in port["prefixes"]]
        for port in result["ports"]
        if port["status"] == "narrow"
    }


def test_who_attacked_real_servers_is_kept_out_and_who_works_there_is_not(tmp_path: pathlib.Path) -> None:
    bad, good = attackers(), company(seed=7)
    assert len({source for _day, source, _port in bad}) > 60
    assert {source for _day, source, _port in bad}.isdisjoint(source for _day, source, _port in good)
    everything = bad + good
    with network.hosts("server", "internet") as (server, internet):
        world = World(server, internet, tmp_path)
        world.settle({source for _day, source, _port in everything})
        world.record()
        for day in range(DAYS):
            world.day({key[1:]: count for key, count in everything.items() if key[0] == day})
            traffic = world.read(day)
            if day == HALF - 1:
                rules = recommended(traffic)
        world.close()
    # What the recorder has is what there was, of each source, port and day.
    recorded: Connections = collections.Counter()
    for entry in traffic:
        for date, count in entry["days"].items():
            recorded[(dt.date.fromisoformat(date) - FIRST).days, entry["source"], entry["port"]] += count
    assert +recorded == everything

    denied, allowed = 0, set()
    second = {key: count for key, count in recorded.items() if key[0] >= HALF}
    for (_day, source, port), count in second.items():
        if port not in rules:
            continue
        welcome = any(ipaddress.ip_address(source) in prefix for prefix in rules[port])
        if (_day, source, port) in bad:
            allowed |= {source} if welcome else set()
        else:
            denied += 0 if welcome else count
    legitimate = sum(count for key, count in second.items() if key not in bad and key[2] in rules)
    figures = {
        "legitimate_denied": round(denied / legitimate, 5),
        "attackers_allowed": sorted(allowed),
        "reduction": math.floor(min(_reduction(found, version) for found in rules.values() for version in (4, 6))),
        "prefixes_max": max(map(len, rules.values())),
    }
    assert figures["legitimate_denied"] <= 0.01, (figures, rules)
    assert figures["attackers_allowed"] == [], (figures, rules)
    assert figures["reduction"] >= 1000, (figures, rules)
    assert figures["prefixes_max"] <= 16, (figures, rules)


def _reduction(found: t.Sequence[t.Any], version: int) -> float:
    open_to = sum(prefix.num_addresses for prefix in found if prefix.version == version)
    return 2.0 ** (32 if version == 4 else 128) / open_to if open_to else 1e30
