# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elastic Agent and Elastic Defend: ``elastic-agent status --output json``.

The states are those of the control protocol: 0 starting, 1 configuring, 2 healthy, 3 degraded, 4 failed, 5 stopping, 6
stopped, 7 upgrading, 8 rollback. Defend is the component with the name "endpoint".
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    json_object,
    text,
)

_STATES = ("starting", "configuring", "healthy", "degraded", "failed", "stopping", "stopped", "upgrading", "rollback")
_HEALTHY = 2
_WORKS = (_HEALTHY, 3)
_BROKEN = (4, 5, 6)
_DEFEND = "endpoint"


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    health = Health(product="elastic_agent")
    if "status" not in outputs:
        return health
    status = json_object(outputs, "status", "elastic-agent status")
    info = status.get("info")
    if not isinstance(info, dict) or _number(status.get("state")) is None:
        raise UnreadableError("status", "elastic-agent status has no info and state")
    listed = status.get("components")
    components = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    defend = [_number(each.get("state")) for each in components if each.get("name") == _DEFEND]
    managed = info.get("is_managed") if isinstance(info.get("is_managed"), bool) else None
    fleet = _number(status.get("FleetState", status.get("fleet_state")))
    problems = [_problem("the agent", status)] if status["state"] != _HEALTHY else []
    problems += [
        _problem(str(each.get("id"))[:100], each) for each in components[:100] if _number(each.get("state")) in (3, 4)
    ]
    return health._replace(
        version=text(info.get("version")),
        onboarded=managed,
        real_time=_works(defend[0]) if defend else None,
        # An agent without Fleet has no connection to it that could fail.
        cloud=_works(fleet) if managed is not False else None,
        problems=problems,
        details={"agent_id": text(info.get("id")), "defend": bool(defend)},
    )


def _number(value: t.Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(_STATES):
        return None
    return value


def _works(state: int | None) -> bool | None:
    """Return whether a component works; None while it starts or changes."""
    return True if state in _WORKS else False if state in _BROKEN else None


def _problem(name: str, component: t.Mapping[str, t.Any]) -> str:
    return "%s is %s: %s" % (name, _STATES[component["state"]], text(component.get("message")) or "no message")
