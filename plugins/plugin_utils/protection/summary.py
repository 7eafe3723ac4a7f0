# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Summarize what was deployed on many hosts, hosts with the same result in one line."""

from __future__ import annotations

import difflib
import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, visible

# A rule set may have hundreds of lines; the first ones say what it is for.
_LINES_SHOWN = 4
_KINDS = (("Protected", "protected"), ("Taken back", "taken_back"), ("Not protected", "unprotected"))


def lines(results: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Return ``HOSTS: Protected: SENTENCES`` and its like, hosts with the same sentences together.

    results: by host, with lists of sentences as ``protected``, ``taken_back`` and ``unprotected``.
    """
    text = []
    for title, key in _KINDS:
        groups = alike.by_hosts((host, " ".join(result.get(key) or [])) for host, result in results.items())
        text += [f"{hosts}: {title}: {visible(sentences)}" for sentences, hosts in groups if sentences]
    return text


def difference(results: t.Mapping[str, t.Mapping[str, t.Any]], *, is_full: bool) -> str:
    """Return what changed as text, hosts with the same difference together; empty if nothing did.

    results: by host, with ``differences``, each with ``before``, ``after`` and ``after_header``. is_full: show every
    line that changed, and not only the first ones.
    """
    groups = alike.by_hosts(
        (host, (_title(each), _changes(each)))
        for host, result in results.items()
        for each in result.get("differences") or []
    )
    text = []
    for (title, changes), hosts in groups:
        added = sum(line.startswith("+") for line in changes)
        is_cut = len(changes) > _LINES_SHOWN and not is_full
        more = f"; the first {_LINES_SHOWN} are below, and -v shows all" if is_cut else ""
        text.append(f"{hosts}: {title}: {counted(added, 'line')} added, {len(changes) - added:,} removed{more}")
        text += changes[:_LINES_SHOWN] if is_cut else changes
    return "".join(f"{visible(line)}\n" for line in text)


def _title(part: t.Mapping[str, str]) -> str:
    return part.get("after_header") or part.get("before_header") or "changes"


def _changes(part: t.Mapping[str, str]) -> tuple[str, ...]:
    """Return the lines that differ, with ``-`` and ``+`` before them.

    If as many lines were added as were removed, each is below the line that it replaces: the first ones of a policy
    then show what becomes of some settings, and not only what they are.
    """
    before, after = (part.get(side, "").splitlines() for side in ("before", "after"))
    changes: list[str] = []
    for kind, first, end, new_first, new_end in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if kind == "equal":
            continue
        removed = [f"-{line}" for line in before[first:end]]
        added = [f"+{line}" for line in after[new_first:new_end]]
        changes += itertools.chain(*zip(removed, added, strict=True)) if len(removed) == len(added) else removed + added
    return tuple(changes)
