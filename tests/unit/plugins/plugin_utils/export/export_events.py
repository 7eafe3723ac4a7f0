# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as the outbox has them, small, for tests of receivers."""

from __future__ import annotations

import typing as t
import uuid


def event(number: int = 0, **members: t.Any) -> dict[str, t.Any]:
    """Return the event of a change. members: replace or add members of the event."""
    uid = str(uuid.UUID(int=number))
    whole: dict[str, t.Any] = {
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "time": 1_796_000_000_123 + number,
        "severity_id": 4,
        "severity": "High",
        "count": 3,
        "message": f"Executable changed: /usr/bin/tool{number}",
        "finding_info": {
            "uid": f"finding-{number}",
            "title": "Executable changed",
            "desc": "A file that a package owns is not as the package brought it.",
            "first_seen_time": 1_795_000_000_000,
            "last_seen_time": 1_796_000_000_000,
            "types": ["file_integrity"],
        },
        "device": {
            "hostname": f"web{number % 7}.example",
            "name": f"web{number % 7}.example",
            "os": {"name": "Debian"},
        },
        "evidences": [{"file": {"path": f"/usr/bin/tool{number}", "name": f"tool{number}"}}],
        "remediation": {"desc": "Reinstall the package."},
        "metadata": {"uid": uid, "event_code": "file_changed", "version": "1.5.0"},
        "unmapped": {
            "alert": "file_changed",
            "capability": "file_integrity",
            "subject": f"/usr/bin/tool{number}",
            "status": "new",
            "change": "new",
        },
    }
    return {**whole, **members}


def key(event: t.Mapping[str, t.Any]) -> str:
    """Return the finding that an event is about."""
    return str(event["finding_info"]["uid"])
