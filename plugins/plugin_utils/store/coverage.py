# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage as a host reported it, made fit to be kept, and what it allows to conclude."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import (
    CHECKED,
    NOT_CHECKED,
    PARTIAL,
    SKIPPED_LIMIT,
    not_checked,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

# A coverage entry belongs to a watch, a log, a container: what a person configures, so hundreds at most.
_ENTRIES_LIMIT = 1_000
_TEXT_LIMIT = 2_000
# Of one result. A distribution's upgrade touches fewer packages; whoever controls a host may send any number.
_EXPLAINED_LIMIT = 2_000
# It is searched for, and an index holds no more: a third of PostgreSQL's page of 8,192 bytes.
_BY_LIMIT = 300
_EXAMPLES_LIMIT = 3
# What comes between a directory and its content, on Linux and on Windows (whose paths are shown with single
# backslashes, other texts with doubled ones), and between an archive or an image and what is in it.
_SEPARATORS = ("/", "\\", "!")

Entry = dict[str, t.Any]


def checked(entries: t.Any, capability: str, asked: t.Sequence[str] = ()) -> list[Entry]:
    """Return a module's coverage entries, each plain and bounded; what can't be read counts as not checked.

    asked: scopes that the module was to look at. Those of which it says nothing are not checked either.
    """
    if not isinstance(entries, (list, tuple)) or not entries:
        return [refused(capability, "the module returned no coverage")]
    room = _EXPLAINED_LIMIT
    fitting = []
    for entry in entries[:_ENTRIES_LIMIT]:
        fitting.append(_checked(entry, capability, room))
        room -= len(fitting[-1]["explained"])
    if len(entries) > _ENTRIES_LIMIT:
        fitting.append(refused(capability, f"{len(entries) - _ENTRIES_LIMIT} more coverage entries are not kept"))
    return fitting + _unanswered(fitting, capability, asked)


def _unanswered(entries: t.Sequence[Entry], capability: str, asked: t.Sequence[str]) -> list[Entry]:
    reported_scopes = {entry["scope"] for entry in entries}
    if reported_scopes == {capability} and summary(entries) == NOT_CHECKED:
        # Nothing was looked at, which says it of each of them.
        return []
    reason = "the module was asked to look at it, and its answer says nothing of it"
    return [refused(scope, reason) for scope in dict.fromkeys(asked) if scope not in reported_scopes]


def refused(scope: str, reason: str) -> Entry:
    """Return the entry of a scope whose result cannot be used."""
    return {**not_checked(scope, reason), "explained_count": 0, "explained": [], "note": None}


def _checked(entry: t.Any, capability: str, room: int) -> Entry:
    scope = capability
    try:
        fields = evidence.mapping(entry)
        scope = evidence.name(fields.get("scope"))
        skipped = evidence.sequence(fields.get("skipped", ()))
        explained = [
            _explained(evidence.mapping(item)) for item in evidence.sequence(fields.get("explained", ()))[:room]
        ]
        return {
            "scope": scope,
            "status": evidence.choice(fields.get("status"), (CHECKED, PARTIAL, NOT_CHECKED)),
            "reason": None if fields.get("reason") is None else evidence.line(fields["reason"], _TEXT_LIMIT),
            "examined": evidence.integer(fields.get("examined", 0), 63),
            "skipped": [_skipped(evidence.mapping(item)) for item in skipped[:SKIPPED_LIMIT]],
            "skipped_count": max(evidence.integer(fields.get("skipped_count", 0), 63), len(skipped)),
            "explained_count": _explained_count(fields.get("explained_count", 0), explained),
            "explained": explained,
            "note": None if fields.get("note") is None else evidence.line(fields["note"], _TEXT_LIMIT),
        }
    except evidence.UnfitError as error:
        return refused(scope, f"the module returned a coverage entry that cannot be read: {error}")


def _skipped(item: t.Mapping[t.Any, t.Any]) -> dict[str, str]:
    return {"subject": evidence.name(item.get("subject")), "reason": evidence.line(item.get("reason"), _TEXT_LIMIT)}


def _explained(item: t.Mapping[t.Any, t.Any]) -> dict[str, t.Any]:
    examples = evidence.sequence(item.get("examples", ()))[:_EXAMPLES_LIMIT]
    return {
        "by": evidence.text(item.get("by"), _BY_LIMIT),
        "count": _count(item.get("count")),
        "examples": [evidence.text(example, _TEXT_LIMIT) for example in examples],
    }


def _explained_count(reported: t.Any, explained: t.Sequence[Entry]) -> int:
    """Return how many changes are explained: what the host says, and no less than it lists."""
    listed: int = sum(item["count"] for item in explained)
    return min(max(_count(reported), listed), 2**63 - 1)


def _count(value: t.Any) -> int:
    number = evidence.integer(value, 63)
    if number < 0:
        raise evidence.UnfitError("a number of 0 or more is needed")
    return number


def merged(before: t.Sequence[t.Mapping[str, t.Any]], now: t.Sequence[Entry]) -> list[t.Mapping[str, t.Any]]:
    """Return the entries of a result before and one now, of the same run; a scope in both is as it is now."""
    scopes = {entry["scope"] for entry in now}
    return [entry for entry in before if entry["scope"] not in scopes] + list(now)


def summary(entries: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Return the one status of all entries: checked or not checked when all are, otherwise partial."""
    statuses = {entry["status"] for entry in entries}
    return statuses.pop() if len(statuses) == 1 else PARTIAL


def shows_gone(entries: t.Sequence[Entry], scope: str, subject: str) -> bool:
    """Return whether a subject that the module didn't report is really not there any more.

    Only when its scope was looked at, and neither the subject nor anything above it was skipped. A list of skipped
    subjects that was cut short may have held it, and so may what was skipped under the name of the scope itself.
    """
    concerned = [entry for entry in entries if entry["scope"] == scope]
    return bool(concerned) and all(_looked_at(entry, subject) for entry in concerned)


def _looked_at(entry: Entry, subject: str) -> bool:
    if entry["status"] == NOT_CHECKED or entry["skipped_count"] != len(entry["skipped"]):
        return False
    return not any(
        skipped["subject"] == entry["scope"] or _contains(skipped["subject"], subject) for skipped in entry["skipped"]
    )


def _contains(above: str, subject: str) -> bool:
    if above == subject:
        return True
    return any(
        subject.startswith(above if above.endswith(separator) else above + separator) for separator in _SEPARATORS
    )
