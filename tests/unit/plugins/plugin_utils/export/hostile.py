# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events with hostile values in every field that a host, or a person, can fill."""

from __future__ import annotations

import typing as t
import uuid

from tests.support import hostile_events

# Numbers of OCSF, which only this collection chooses.
_IDS = ("category_uid", "type_uid", "activity_id", "severity_id", "status_id", "action_id", "disposition_id")


def exported() -> list[dict[str, t.Any]]:
    """Return 2,000 events of all classes as the outbox has them, with ids of its own making."""
    return [_with_ids(event, number) for number, event in enumerate(hostile_events.many())]


def _with_ids(event: t.Mapping[str, t.Any], number: int) -> dict[str, t.Any]:
    ids = {name: number % 7 for name in _IDS if name in event}
    return {**event, **ids, "metadata": {**event["metadata"], "uid": str(uuid.UUID(int=number))}}
