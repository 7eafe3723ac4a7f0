# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host in an attacker's hands returns in place of the module ``host_scan``."""

from __future__ import annotations

import base64
import json
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity.content import load_watches

PLATFORM: t.Final[t.Mapping[str, t.Any]] = {"ansible_system": "Linux", "ansible_distribution": "Debian"}
_DONE = {"done": True}


def answer(
    looks: t.Mapping[str, t.Any], platform: t.Any = PLATFORM, more: t.Sequence[t.Any] = (_DONE,), **fields: t.Any
) -> str:
    """Return the result of a module that ran these looks.

    more: lines that follow them; without the last one of a true answer it counts as cut off. fields: of the result,
    beyond or in place of those that it has.
    """
    lines = [{"ready": True}, {"look": "", "result": platform}]
    lines += [{"look": look, "result": result} for look, result in looks.items()]
    result = {
        "changed": False,
        "account": "0-00000000",
        "pin": "0-00000000/cpython-313",
        "problem": "",
        "lines": packed("".join(f"{json.dumps(line)}\n" for line in (*lines, *more))),
        "missing": [],
        "tampered": [],
        "refused": None,
    }
    return json.dumps({**result, **fields})


def packed(text: str | bytes) -> str:
    """Return lines as the module sends them."""
    return base64.b64encode(zlib.compress(text.encode("utf-8") if isinstance(text, str) else text)).decode("ascii")


def detection(**fields: t.Any) -> dict[str, t.Any]:
    return {"alert": "fim_file_created", "subject": "/x", "scope": "s", "severity": "high", "evidences": [], **fields}


def baseline(**fields: t.Any) -> dict[str, t.Any]:
    """Return what file_integrity would answer when it has made a first baseline, with other fields."""
    checked: dict[str, t.Any] = {
        "status": "checked",
        "reason": None,
        "examined": 1,
        "skipped": [],
        "skipped_count": 0,
    }
    coverage = [{**checked, "scope": scope} for scope in ("s", *(watch["name"] for watch in load_watches()))]
    exists = {"exists": True, "digest": "0" * 64}
    return {"changed": True, "created": True, "detections": [], "coverage": coverage, "baseline": exists, **fields}
