# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make verdicts: the alert of a watch with its severity, or an explanation."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify.facts import Facts
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import (
    LIBRARY,
    LOCAL_PROGRAM,
    PERSISTENCE,
    PROGRAM,
    STATE,
)

CREATED_ALERT = "fim_file_created"
DIRECTORY_ALERT = "fim_directory_created"
MODIFIED_ALERT = "fim_file_modified"
DELETED_ALERT = "fim_file_deleted"
GENERIC_ALERTS = frozenset((CREATED_ALERT, DIRECTORY_ALERT, MODIFIED_ALERT, DELETED_ALERT))

# Severity of what nothing explains where the watch names no alert of its own: created, modified, deleted.
_GENERIC: t.Mapping[str, tuple[str, str, str]] = {
    PROGRAM: ("high", "high", "high"),
    LIBRARY: ("medium", "high", "medium"),
    LOCAL_PROGRAM: ("medium", "medium", "medium"),
    STATE: ("low", "low", "low"),
}
_OTHER = ("low", "medium", "medium")
_COLUMNS = {CREATED_ALERT: 0, MODIFIED_ALERT: 1, DELETED_ALERT: 2}


def rank(severity: str | None) -> int:
    """Return how severe it is, as a number to compare."""
    return _finding.SEVERITIES.index(severity or "medium")


def raised(severity: str, steps: int = 1) -> str:
    """Return a severity some steps up, or down when negative, within the scale."""
    position = rank(severity) + steps
    return _finding.SEVERITIES[max(0, min(position, len(_finding.SEVERITIES) - 1))]


def detected(facts: Facts, alert: str, severity: str, message: str, techniques: t.Sequence[str] = ()) -> model.Verdict:
    """Return the verdict that raises an alert. The techniques of the watch are added."""
    of_watch = (facts.watch.techniques if facts.watch else None) or ()
    combined = tuple(dict.fromkeys([*techniques, *of_watch]))
    return model.Verdict(message=message, alert=alert, severity=severity, techniques=combined)


def explained_by(owned: model.Owned) -> model.Verdict:
    """Return the verdict that the installed package explains the change."""
    return model.Verdict(message="explained by " + owned.label, package=owned.package, version=owned.version)


def unexplained(facts: Facts, generic: str, message: str) -> model.Verdict:
    """Return the verdict for content that nothing explains: the watch's own alert, or the generic one.

    Where additions are what matters (persistence) a deletion raises the generic alert and is less severe.
    """
    own = _own_alert(facts)
    if own is None:
        return detected(facts, generic, _GENERIC.get(facts.category, _OTHER)[_COLUMNS[generic]], message)
    if generic == DELETED_ALERT and facts.category == PERSISTENCE:
        return detected(facts, generic, raised(own[1], -1), message)
    return detected(facts, *own, message)


def _own_alert(facts: Facts) -> tuple[str, str] | None:
    """Return id and severity of the watch's alert. The controller sends both; a watch given by hand has only the id."""
    alert = facts.watch.alert if facts.watch else None
    if isinstance(alert, str):
        return alert, "medium"
    return (alert["id"], alert["severity"]) if alert else None
