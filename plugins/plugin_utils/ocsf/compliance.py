# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a Compliance Finding that says which control of which standard it is about."""

from __future__ import annotations

import dataclasses
import typing as t

# OCSF's compliance.status_id (https://schema.ocsf.io/1.5.0/objects/compliance).
PASS: t.Mapping[str, t.Any] = {"status_id": 1, "status": "Pass"}
WARNING: t.Mapping[str, t.Any] = {"status_id": 2, "status": "Warning"}
FAIL: t.Mapping[str, t.Any] = {"status_id": 3, "status": "Fail"}
# The reason of a resolved finding begins with the status that the control has now. An exception has not passed.
_RESOLVED: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "passed": PASS,
    "excepted": {"status_id": 99, "status": "Excepted"},
    "not applicable": {"status_id": 99, "status": "Not applicable"},
    "manual": WARNING,
}
# A person resolved it, or its subject is gone: nobody saw the control pass.
_ENDED: t.Mapping[str, t.Any] = {"status_id": 99, "status": "Resolved"}


@dataclasses.dataclass(frozen=True)
class Compliance:
    """What the controller knows of a control.

    standard: with its edition, as ``CIS Docker Benchmark 1.8.0``. requirements: the numbers that it gives its controls.
    control: what is required. status: ``FAIL`` or ``WARNING``. detail: one sentence on the result. counts: numbers that
    OCSF has no place for.
    """

    standard: str
    requirements: tuple[str, ...]
    control: str
    status: t.Mapping[str, t.Any]
    detail: str
    counts: t.Mapping[str, int]

    def to_ocsf(self, description: str) -> dict[str, t.Any]:
        """Return the OCSF ``compliance``."""
        return {
            "standards": [self.standard],
            "requirements": list(self.requirements),
            "control": self.control,
            "desc": description,
            "status_details": [self.detail],
            **self.status,
        }


def end(status: str, reason: str) -> str:
    """Return why the finding of a control is resolved: the status that the control has now, and why."""
    return f"{status.replace('_', ' ')}: {reason}"


def resolved(reason: str | None) -> t.Mapping[str, t.Any]:
    """Return the status of a control whose finding is resolved for a reason, as ``end`` says it."""
    return _RESOLVED.get((reason or "").partition(":")[0], _ENDED)
