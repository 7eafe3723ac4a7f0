# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that people review: what is in it is used as it is, and what hosts say can't become a part of that."""

from __future__ import annotations

import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import policy
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    blocking,
    draft,
    model,
    options,
    recommend,
    sources,
)

START = 1_767_225_600  # the first of January 2026
DAY = 86_400


def seen(
    source: str, port: int = 22, days: t.Iterable[int] = range(30), each: int = 5, **more: t.Any
) -> dict[str, t.Any]:
    when = list(days)
    count = each * len(when)
    dates = {yaml.safe_load(f"2026-01-{day + 1:02}").isoformat(): each for day in when}
    return {
        "source": source,
        "port": port,
        "protocol": "tcp",
        "direction": "in",
        "first_seen": START + when[0] * DAY,
        "last_seen": START + when[-1] * DAY + 3600,
        "count": count,
        "answered": count,
        "refused": 0,
        "bytes": 20_000 * count,
        "days": dates,
        **more,
    }


def result(traffic: list[dict[str, t.Any]], listening: t.Sequence[int] = (22,), **asked: t.Any) -> dict[str, t.Any]:
    given: dict[str, t.Any] = {"trusted": None, "threats": None, "findings": None, "names": None, **asked}
    ports = [{"port": port} for port in listening]
    read = options.read(
        ports,
        given["trusted"],
        given["threats"],
        given["findings"],
        given["names"],
        options.PUBLIC_PORTS,
        14,
        16,
    )
    return recommend.recommend(sources.read(traffic), read, model.load())


def about(**changes: t.Any) -> draft.About:
    return draft.About(**{"host": "web1", "file": "/srv/web1.yml", "written": "2026-01-31", **changes})


OFFICE = [seen(f"198.51.100.{number}") for number in range(8, 14)]
SCANNER = [
    seen("203.0.113.9", port, [3], 1, answered=int(port == 22), refused=int(port != 22), bytes=100)
    for port in range(20, 220)
]


def used(text: str) -> policy.Policy:
    found = yaml.safe_load(text)
    rules = [{**rule, "port": str(rule["port"])} for rule in found["network_hardening_rules"]]
    mode, blocked = found["network_hardening_mode"], found["network_hardening_blocked"]
    return policy.parse({"mode": mode, "rules": rules, "blocked": blocked, "always_allow": [], "log": False})


def test_what_is_recommended_is_what_the_rules_take() -> None:
    text = draft.text(result([*OFFICE, *SCANNER], names={"198.51.100.0/24": "office"}), about())
    found = used(text)
    assert found.mode == "audit"
    (rule,) = found.rules
    assert str(rule) == "22 (tcp)"
    assert [str(one) for one in rule.prefixes] == ["198.51.100.8/29"]
    assert [str(one) for one in found.blocked] == ["203.0.113.9/32"]
    assert "# office: 6 sources, 900 connections on 30 days" in text
    assert "ansible-playbook bulwark.servers.protect -l 'web1' -e '@/srv/web1.yml'" in text
    assert "everybody by IPv6 is denied" in text


def test_who_is_let_in_anywhere_or_trusted_is_not_blocked() -> None:
    found = result([*OFFICE, *SCANNER], trusted=["203.0.113.0/24"])
    assert blocking.blocked(found) == []
    found = result([*OFFICE, *SCANNER], threats=["198.51.100.8"])
    assert {one.prefix for one in blocking.blocked(found)} >= {"198.51.100.8", "203.0.113.9"}
    assert "blocked: []" in draft.text(found, about(most_blocked=0)).splitlines()[-2]


def test_of_ipv6_the_network_is_blocked() -> None:
    (one, *_others) = blocking.blocked(result([*OFFICE, seen("2001:db8::7", each=1)], threats=["2001:db8::/32"]))
    assert one.prefix == "2001:db8::/64"


def test_what_nobody_needs_is_closed_by_people_alone() -> None:
    text = draft.text(result([*OFFICE, *SCANNER], (22, 25, 80, 100)), about())
    assert len(used(text).rules) == 1
    assert "# 100/tcp: close: nobody but scanners and attackers connected to it within 30 days" in text
    closed = text.replace("#   - port: 100", "  - port: 100").replace("#     protocol: tcp", "    protocol: tcp")
    (_ssh, hundred) = used(closed.replace("#     closed: true", "    closed: true")).rules
    assert hundred.prefixes == ()
    assert "# 80/tcp: public: " in text


def test_locked_ports_are_left_to_just_in_time_access() -> None:
    text = draft.text(result(OFFICE), about(locked=[{"port": "20-25", "protocol": "both"}]))
    assert yaml.safe_load(text)["network_hardening_rules"] == []
    assert "# 22/tcp: locked until somebody is let in (jit_access_ports)" in text
    assert len(used(draft.text(result(OFFICE), about(locked=[{"port": "22", "protocol": "udp"}]))).rules) == 1


def test_a_name_can_t_become_a_part_of_the_file() -> None:
    evil = "x\nnetwork_hardening_mode: enforce\u2028network_hardening_rules: []\x85y: z"
    text = draft.text(result(OFFICE, names={"198.51.100.0/24": evil}), about(host=evil, notes=[evil]))
    assert used(text).mode == "audit"
    assert len(used(text).rules) == 1


def test_two_files_say_the_same_when_they_let_in_and_block_the_same() -> None:
    text = draft.text(result(OFFICE), about())
    assert draft.variables(text) == draft.variables(draft.text(result(OFFICE), about(written="2026-02-28")))
    assert draft.variables(text) != draft.variables(draft.text(result([*OFFICE, *SCANNER]), about()))
    assert draft.variables("a: [") is None
    assert draft.variables("other: 1") is None


def test_two_files_are_the_same_however_their_prefixes_are_written() -> None:
    one = f'{draft.RULES}:\n  - {{port: 22, protocol: tcp, prefixes: ["198.51.100.0/25", "198.51.100.128/25"]}}\n'
    other = f'{draft.RULES}:\n  - {{port: 22, protocol: tcp, prefixes: ["198.51.100.0/24"]}}\n'
    assert draft.is_same(one, other)
    assert draft.differences(one, other) == []
    assert not draft.is_same(one, other.replace("port: 22", "port: 23"))
    assert not draft.is_same(one, f"{other}{draft.BLOCKED}: [192.0.2.7]\n")
    assert not draft.is_same("text", other)


def test_what_people_wrote_is_compared_port_by_port() -> None:
    written = (
        f'{draft.RULES}:\n  - {{port: 22, prefixes: ["198.51.100.8", "10.0.0.0/8"]}}\n{draft.BLOCKED}: [203.0.113.9]\n'
    )
    text = draft.text(result([*OFFICE, *SCANNER]), about())
    assert draft.differences(written, text) == [
        "22/tcp: the new one lets in 198.51.100.9, 198.51.100.10/31, 198.51.100.12/30 and no longer lets in 10.0.0.0/8"
    ]
