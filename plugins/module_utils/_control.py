# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module returns for each control of a benchmark: its status, and the evidence for it.

Plain dictionaries, as detections are. The controller adds what the benchmark says of the control
(plugin_utils/benchmarks.py), applies what people decided, and turns failed controls into findings.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

PASSED = "passed"
FAILED = "failed"
# Every item that would fail it is an exception that the operator made.
EXCEPTED = "excepted"
# A person has to decide, with the items as evidence.
MANUAL = "manual"
NOT_APPLICABLE = "not_applicable"
NOT_CHECKED = "not_checked"
STATUSES = (FAILED, MANUAL, NOT_CHECKED, EXCEPTED, PASSED, NOT_APPLICABLE)

# A host may have thousands of containers; the counts stay exact.
ITEMS_LIMIT = 100
_TEXT_LIMIT = 500


def item(kind: str, name: str, detail: str = "", note: str = "") -> dict[str, str]:
    """Return one piece of evidence.

    kind: ``container``, ``image``, ``file``, ``network``, ``service``, ``account``, ``setting``, ``rule`` or ``host``.
    name: printable, and the same in each run. detail: what decides about it. note: what changes by itself, such as an
    age; a decision does not depend on it.
    """
    return {"kind": kind, "name": shortened(name), "detail": shortened(detail), "note": note[:_TEXT_LIMIT]}


def shortened(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Return a text of at most so many characters that differs wherever the whole text differs."""
    if len(text) <= limit:
        return text
    mark = "... (%s)" % mark_of(text)
    return text[: limit - len(mark)] + mark


def mark_of(*texts: str) -> str:
    """Return a few digits that nobody finds other texts for: a decision about what is left out depends on them."""
    digest = hashlib.sha256(json.dumps(texts, ensure_ascii=True).encode("ascii"))
    return digest.hexdigest()[:32]


def control(
    benchmark: str,
    identifier: str,
    subject: str,
    status: str,
    reason: str,
    items: t.Sequence[t.Mapping[str, str]] = (),
    examined: int = 0,
    severity: str | None = None,
    excepted: t.Sequence[t.Mapping[str, str]] = (),
) -> dict[str, t.Any]:
    """Return the result of one control about one subject.

    benchmark, identifier: as in ``content/CAPABILITY/controls``; the identifier is that of the alert that a failure
    raises. subject: what was judged, printable and the same in each run, such as the address of an engine. reason: one
    sentence that says why it has this status. items: those that fail it, or that a person decides about, all of them.
    examined: of how many. severity: of this failure, None for the control's own. excepted: items that would fail it
    but for an exception of the operator, each with ``exception``, its reason, and ``until``, its last day or nothing.
    """
    if status not in STATUSES:
        raise ValueError("status '%s' is not one of %s" % (status, ", ".join(STATUSES)))
    ordered = sorted(items, key=_order)
    return {
        "benchmark": benchmark,
        "control": identifier,
        "subject": subject,
        "status": status,
        "reason": reason,
        "severity": severity,
        "examined": examined,
        "count": len(ordered),
        "evidences": [dict(each) for each in ordered[:ITEMS_LIMIT]],
        "excepted_count": len(excepted),
        "excepted": [dict(each) for each in sorted(excepted, key=_order)[:ITEMS_LIMIT]],
        "digest": digest(status, ordered),
    }


def _order(each: t.Mapping[str, str]) -> tuple[str, str, str]:
    return (each["kind"], each["name"], each["detail"])


def digest(status: str, ordered: t.Sequence[t.Mapping[str, str]]) -> str:
    """Return the SHA-256 of what a decision about the control depends on: all items, without their notes."""
    text = json.dumps([status, [_order(each) for each in ordered]], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
