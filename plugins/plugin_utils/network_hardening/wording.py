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
            name = f" ({row['name']})" if row["name"] else ""
            found.append(
                f"  would have denied {row['address']}{name}: {counted(row['connections'], 'connection')} on "
                f"{counted(row['days'], 'day')}: {'; '.join(row['why'][:3])}"
            )
        if len(doubtful) > _MOST_DENIED:
            found.append(f"  and {len(doubtful) - _MOST_DENIED:,} more of which too little is known")
        hostile = len(port["denied"]) - len(doubtful)
        if hostile:
            found.append(f"  would have denied {counted(hostile, 'source')} that scanned, guessed or are known as bad")
    return found
