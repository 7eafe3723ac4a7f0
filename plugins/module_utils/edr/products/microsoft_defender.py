# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Defender for Endpoint: ``mdatp health --output json`` and ``mdatp exclusion list``.

https://learn.microsoft.com/defender-endpoint/health-status has the meaning of each key. ``healthy`` only says that
nothing has failed: a product in passive mode is healthy.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import BLOCK, PASSIVE, Exclusion, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    flag,
    json_object,
    text,
    unread,
)

_ON = ("enabled", "block", "true")
_OFF = ("disabled", "false", "stopped", "off")
_UP_TO_DATE = {"uptodate": True, "outofdate": False, "unknown": None, "updating": None}
_KINDS = {
    "folder": "path",
    "file": "path",
    "extension": "extension",
    "file extension": "extension",
    "process": "process",
}
_EXCLUDED = re.compile(r"Excluded (folder|file extension|file|extension|process)\Z", re.IGNORECASE)
# Lines between exclusions, and the attributes of an exclusion besides its value.
_NO_EXCLUSION = re.compile(r"(?:[=-]*|(?:Scope|Status|Type): .*|(?:There are )?no exclusions\W*)\Z", re.IGNORECASE)
_MOST_LINES = 5_000
_VALUE = re.compile(r'(?:Path|Extension|Process(?: name)?|Name): *"?([^"]+?)"?\Z', re.IGNORECASE)


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError if the output is none of ``mdatp health``."""
    health = Health(product="microsoft_defender")
    if "health" not in outputs:
        return health
    state = json_object(outputs, "health", "mdatp health")
    if "appVersion" not in state or "healthy" not in state:
        raise UnreadableError("health", "mdatp health has neither appVersion nor healthy")
    passive = flag(_value(state, "passiveModeEnabled"), _ON, _OFF)
    # In audit mode, it reports who tampers and lets them.
    tampering = flag(_value(state, "tamperProtection"), ("block",), ("disabled", "audit"))
    cloud = flag(_value(state, "cloudEnabled"), _ON, _OFF)
    flags = {
        "realTimeProtectionEnabled": _real_time(state),
        "passiveModeEnabled": passive,
        "tamperProtection": tampering,
        "cloudEnabled": cloud,
    }
    issues = state.get("healthIssues")
    conflicts = state.get("conflictingApplications")
    status = state.get("definitionsStatus")
    word = status.get("$type") if isinstance(status, dict) else None
    exclusions, unread_exclusions = _exclusions(outputs["exclusions"]) if "exclusions" in outputs else (None, [])
    license_problem = ["it has no licence"] if state.get("licensed") is False else []
    return health._replace(
        version=text(state["appVersion"]),
        onboarded=_onboarded(state),
        tenant=text(state.get("orgId")),
        real_time=_real_time(state),
        mode=None if passive is None else PASSIVE if passive else BLOCK,
        engine=text(state.get("engineVersion")),
        content=text(state.get("definitionsVersion")),
        content_time=_seconds(state.get("definitionsUpdated")),
        up_to_date=_UP_TO_DATE.get(word.lower()) if isinstance(word, str) else None,
        tamper_protection=tampering,
        cloud=cloud,
        expires=_seconds(state.get("productExpiration")),
        exclusions=exclusions,
        conflicts=[str(name)[:200] for name in conflicts[:20]] if isinstance(conflicts, list) else [],
        problems=[*license_problem, *([str(issue)[:200] for issue in issues[:20]] if isinstance(issues, list) else [])],
        unread=[*unread("mdatp health", flags, state), *unread_exclusions],
        details={
            "healthy": state["healthy"] if isinstance(state["healthy"], bool) else None,
            "machine_id": text(state.get("edrMachineId")),
            "release_ring": text(state.get("releaseRing")),
            "behavior_monitoring": text(_value(state, "behaviorMonitoring")),
            "network_protection": text(state.get("networkProtectionStatus")),
        },
    )


def _value(state: t.Mapping[str, t.Any], name: str) -> t.Any:
    """Return a setting, which is a value or, as most are, ``{displayValue, isManaged, value}``."""
    value = state.get(name)
    return value.get("value") if isinstance(value, dict) else value


def _onboarded(state: t.Mapping[str, t.Any]) -> bool | None:
    """Return whether it reports to a tenant: without one, orgId is empty or "unavailable"."""
    if "orgId" not in state:
        return None
    organisation = text(state["orgId"])
    return organisation is not None and organisation.lower() not in ("unavailable", "none")


def _real_time(state: t.Mapping[str, t.Any]) -> bool | None:
    """Return whether real-time protection is on, and the kernel allows it."""
    enabled = flag(_value(state, "realTimeProtectionEnabled"), _ON, _OFF)
    available = flag(_value(state, "realTimeProtectionAvailable"), _ON, _OFF)
    return False if available is False else enabled


def _seconds(value: t.Any) -> float | None:
    """Return a time, which is a text with milliseconds since the epoch."""
    if isinstance(value, (str, int)) and not isinstance(value, bool) and re.fullmatch(r"\d{9,15}", str(value)):
        return int(value) / 1000
    return None


def _exclusions(output: str) -> tuple[list[Exclusion] | None, list[str]]:
    """Return the exclusions of the list that people read, and a sentence if a part of it is in another form.

    The exclusions are None if nothing of it is in a known form.
    """
    exclusions: list[Exclusion] = []
    kind, unknown = "", 0
    lines = [line.strip() for line in output.splitlines()]
    for line in lines[:_MOST_LINES]:
        heading, value = _EXCLUDED.match(line), _VALUE.match(line)
        if heading:
            unknown += bool(kind)
            kind = _KINDS[heading.group(1).lower()]
        elif value and kind:
            exclusions.append(Exclusion(kind, value.group(1)[:4096]))
            kind = ""
        elif not _NO_EXCLUSION.match(line):
            unknown += 1
    unknown += bool(kind) + max(0, len(lines) - _MOST_LINES)
    if not unknown:
        return exclusions, []
    return exclusions or None, ["%d lines of mdatp exclusion list are in an unknown form" % unknown]
