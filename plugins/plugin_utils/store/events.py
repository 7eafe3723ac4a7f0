# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings on their way in: an OCSF event read into what the store keeps of it, and refused when it can't be one."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from collections.abc import Mapping

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import KINDS, LIFECYCLES
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events, evidence, observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

# ocsf.finding stays far below this.
_BYTES_LIMIT = 524_288
# A finding's own depth, and that of its evidences.
_DEPTH_LIMIT = 40


@dataclasses.dataclass(frozen=True)
class Observation:
    """One finding as a run saw it. observed: the keys of its observables (see ``observed_keys``).

    began, occurred: its first and its last event, in seconds since the epoch. simulation: the id of the simulation that
    the host says it is of.
    """

    uid: str
    host: str
    capability: str
    alert: str
    kind: str
    lifecycle: str
    scope: str
    subject: str
    severity_id: int
    occurred: float
    event: str
    observed: str
    began: float = 0.0
    simulation: str | None = None


def read(event: t.Any, host: str, capability: str) -> Observation:
    """Return what a finding says; raise StoreError unless it is one that ``ocsf.finding`` made of this host.

    Findings pass through playbooks, and what a compromised host answers must not change another host's findings.
    """
    try:
        observation = _observation(evidence.plain(_without_observables(event), _DEPTH_LIMIT), host, capability)
    except (evidence.UnfitError, KeyError, TypeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise StoreError(f"a finding of {host} is not of this collection: {reason}") from error
    if observation.uid != events.finding_uid(host, observation.alert, observation.subject):
        raise StoreError(f"the finding {observation.uid} is not about {host}: record each host's findings as its own")
    if len(observation.event) > _BYTES_LIMIT:
        raise StoreError(f"the finding {observation.uid} of {host} has more than {_BYTES_LIMIT} bytes")
    return observation


def _observation(event: t.Any, host: str, capability: str) -> Observation:
    about = event["unmapped"]
    if event["class_uid"] not in events.CLASS_UIDS or event["severity_id"] not in events.SEVERITIES_BY_ID:
        raise evidence.UnfitError("its class or severity is unknown")
    # Whatever these need, the finding must have: it is shown with its title in each of its statuses.
    events.with_status(event, "new", "create", 0)
    evidence.text(event["finding_info"]["title"])
    return Observation(
        uid=evidence.name(event["finding_info"]["uid"]),
        host=host,
        capability=evidence.choice(about["capability"], (capability,)),
        alert=evidence.name(about["alert"]),
        kind=evidence.choice(about["kind"], KINDS),
        lifecycle=evidence.choice(about["lifecycle"], LIFECYCLES),
        scope=evidence.name(about["scope"]),
        subject=evidence.name(about["subject"]),
        severity_id=event["severity_id"],
        occurred=event["end_time"] / 1000,
        event=json.dumps(event, ensure_ascii=False, separators=(",", ":")),
        observed=observed_keys(event),
        began=event["start_time"] / 1000,
        simulation=evidence.name(about["simulation"]) if "simulation" in about else None,
    )


def observed_keys(event: t.Mapping[str, t.Any]) -> str:
    """Return the keys of the observables that connect an event with others, as numbers with blanks between them."""
    return " ".join(map(str, observables.linking_keys(event)))


def _without_observables(event: t.Any) -> t.Any:
    """Return an event without what follows from its evidences, and so is made anew whenever it is read."""
    if not isinstance(event, Mapping) or "observables" not in event:
        return event
    return {name: value for name, value in event.items() if name != "observables"}
