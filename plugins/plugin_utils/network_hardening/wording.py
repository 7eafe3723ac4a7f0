# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommendations as text for people."""

from __future__ import annotations

import typing as t

_MOST_DENIED = 20


def counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def share(part: int, whole: int) -> str:
    """Return a share in percent that is never rounded to nothing."""
    percent = 100 * part / whole if whole else 0.0
    return "less than 0.1 %" if 0 < percent < 0.1 else f"{percent:.1f} %"


_DECIDED_BY = {
    "sign_ins": "decided by who signed in",
    "transfer": "decided by how regularly sources come and how much they transfer, as sign-ins are not known",
    "rhythm": "decided by how regularly sources come, as neither sign-ins nor what they transfer are known",
}


def decided_by(port: t.Mapping[str, t.Any]) -> str:
    """Return by what it was decided who is legitimate; nothing where nobody came."""
    return _DECIDED_BY.get(port.get("decided_by") or "", "")


def suspects(port: t.Mapping[str, t.Any]) -> list[str]:
    """Return who signed in although something speaks against it."""
    return [f"look at {_named(row)} first: {'; '.join(row['why'])}" for row in port.get("suspects") or ()]


def came(port: t.Mapping[str, t.Any], most: int) -> list[str]:
    """Return who came to a port that stays open, those who are most likely legitimate first."""
    rows = sorted(
        (row for row in port["sources"] if row["verdict"] != "hostile"),
        key=lambda row: (-row["probability"], -row["days"], -row["connections"], row["address"]),
    )
    found = [f"came: {_named(row)}: {_visits(row)}: {'; '.join(row['why'][:3])}" for row in rows[:most]]
    if len(rows) > most:
        found.append(f"and {len(rows) - most:,} more that may be legitimate")
    return found


def _named(row: t.Mapping[str, t.Any]) -> str:
    return f"{row['address']} ({row['name']})" if row["name"] else str(row["address"])


def _visits(row: t.Mapping[str, t.Any]) -> str:
    return f"{counted(row['connections'], 'connection')} on {counted(row['days'], 'day')}"


def lines(result: t.Mapping[str, t.Any]) -> list[str]:
    """Return what to do with each port, the prefixes, and who would have been denied, doubtful ones first."""
    found: list[str] = []
    for port in result["ports"]:
        found.append(f"{port['port']}/{port['protocol']}: {port['status'].replace('_', ' ')}: {port['reason']}")
        for prefix in port["prefixes"]:
            names = f" ({', '.join(prefix['names'])})" if prefix["names"] else ""
            found.append(
                f"  let in {prefix['prefix']}{names}: {counted(prefix['sources'], 'source')}, "
                f"{counted(prefix['connections'], 'connection')} on {counted(prefix['days'], 'day')}, "
                f"{prefix['confidence']:.0%} sure: {'; '.join(prefix['why'][:3])}"
            )
        doubtful = [row for row in port["denied"] if row["verdict"] != "hostile"]
        for row in doubtful[:_MOST_DENIED]:
            line = f"{_named(row)}: {_visits(row)}: {'; '.join(row['why'][:3])}"
            found.append(f"  would have denied {line}")
        if len(doubtful) > _MOST_DENIED:
            found.append(
                f"  and {len(doubtful) - _MOST_DENIED:,} more of which too little is known, or that never signed in"
            )
        hostile = len(port["denied"]) - len(doubtful)
        if hostile:
            found.append(f"  would have denied {counted(hostile, 'source')} that scanned, guessed or are known as bad")
        found += [f"  {text}" for text in suspects(port)]
        if port["status"] == "unclear":
            found += [f"  {text}" for text in came(port, _MOST_DENIED)]
        elif port["prefixes"] and decided_by(port):
            found.append(f"  {decided_by(port)}")
    return found
