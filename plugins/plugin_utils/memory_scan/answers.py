# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people say is to be done about which findings of a memory scan, and what is wrong with that."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes

CAPTURE, STOP, KILL = "capture", "stop", "kill"
# In this order: what is ended leaves no evidence.
ANSWERS = (CAPTURE, STOP, KILL)
_FIELDS = ("action", "classes", "subtypes", "dump")


def problems(answers: t.Any) -> list[str]:
    """Return what is wrong with the entries, each as one sentence without its end; nothing where all can be done."""
    if not isinstance(answers, list):
        return ["a list of entries is needed"]
    known = list(subtypes.load())
    return [
        f"entry {number}: {problem}" for number, entry in enumerate(answers, 1) for problem in _of_entry(entry, known)
    ]


def _of_entry(entry: t.Any, known: t.Sequence[str]) -> t.Iterator[str]:
    if not isinstance(entry, dict):
        yield "a mapping with 'action' and 'classes' or 'subtypes' is needed"
        return
    for name in entry:
        if name not in _FIELDS:
            yield f"there is no '{name}'; {_meant(str(name), _FIELDS)}"
    answer = entry.get("action")
    if answer not in ANSWERS:
        yield f"'action' is one of {', '.join(ANSWERS)}"
    elif entry.get("dump") and answer != CAPTURE:
        yield f"only action={CAPTURE} has 'dump'"
    lists = {name: entry.get(name) or [] for name in ("classes", "subtypes")}
    wrong = [name for name, given in lists.items() if not isinstance(given, list)]
    yield from (f"'{name}' is a list" for name in wrong)
    if wrong:
        return
    if not any(lists.values()):
        yield "say with 'classes' or 'subtypes' what it is about"
    for name in lists["classes"]:
        if name not in subtypes.CLASSES:
            yield f"there is no class '{name}'; {_meant(str(name), subtypes.CLASSES)}"
    for name in lists["subtypes"]:
        if name not in known:
            meant = spelling.likeliest(str(name), known, "")
            yield f"there is no subtype '{name}'; " + (
                f"{meant} is probably meant" if meant else "the guide on memory scans lists them"
            )


def _meant(name: str, known: t.Sequence[str]) -> str:
    meant = spelling.likeliest(name, known, "")
    return f"{meant} is probably meant" if meant else f"use {', '.join(known[:-1])} or {known[-1]}"
