# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a host has open with what was approved: two books, of which an intruder on the host has one."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import host
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests as jit_requests
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitRequest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import MAYBE_OPEN

SCOPE = "requests"
UNRECORDED, ALTERED = "jit_unrecorded_grant", "jit_altered_grant"
# What was open without a request, and has ended, is shown for so long.
_ENDED_SHOWN = 7 * 86_400
# From noting that a host is asked until it has opened, and what clocks differ by.
_SLACK = 900
# Seconds from when a look began until what was closed meanwhile is noted.
_SETTLING = 60
_NO_REQUEST = "the store has no request for it"
_SAME = ("ports", "protocol", "sources", "requested_for", "requested_by")


def compare(result: host.Result, requests: t.Mapping[str, JitRequest], now: float) -> list[dict[str, t.Any]]:
    """Return a detection for each opening of a look that no request covers, or that differs from its request.

    requests: of that host, by id. now: in seconds since the epoch.
    """
    # A request is for one opening: noted under another id, it covers none under its own.
    by_grant = {found.grant: found for found in requests.values() if found.grant}
    by_grant.update((found.id, found) for found in requests.values() if found.grant in (None, found.id))
    found = []
    for grant in host.grants(result):
        request = by_grant.get(grant["id"])
        reason = _uncovered(request, now) or _opened_as(requests.get(grant["id"]), grant["id"])
        if request is None or reason is not None:
            found.append(_unrecorded(grant, reason or _NO_REQUEST, is_open=True))
            continue
        differences = list(_differences(grant, request, now))
        if differences:
            found.append(_altered(grant, request, differences))
    for grant in host.ended_grants(result):
        request = by_grant.get(grant["id"])
        ended = host.number(grant.get("ended"))
        if ended is not None and ended < now - _ENDED_SHOWN:
            continue
        if request is None:
            reason = _opened_as(requests.get(grant["id"]), grant["id"]) or _NO_REQUEST
            found.append(_unrecorded(grant, reason, is_open=False))
        elif request.opened_at is None:
            found.append(_unrecorded(grant, f"its request is {request.state}, and was never opened", is_open=False))
        else:
            differences = list(_changed(grant, request))
            if differences:
                found.append(_altered(grant, request, differences))
    return found


def _uncovered(request: JitRequest | None, now: float) -> str | None:
    """Return why a request does not cover what is open; None where it does."""
    if request is None or request.state in MAYBE_OPEN:
        return None
    if request.state == "expired" and request.until is not None and now < request.until + _SLACK:
        return None  # The host opened it a little later than it was asked, or its clock is another.
    # A controller with a clock far ahead of this one must not excuse what is open until then.
    is_just_ended = request.ended_at is not None and now - _SETTLING < request.ended_at < now + _SLACK
    if is_just_ended and request.state != "expired":
        return None  # It was closed while this looked.
    return f"its request is {request.state}"


def _opened_as(request: JitRequest | None, grant: str) -> str | None:
    """Return why a request does not cover an opening of its own id; None where it was not opened as another."""
    if request is None or request.grant in (None, grant):
        return None
    return f"its request was opened as {_listed(request.grant)}"


def _differences(grant: t.Mapping[str, t.Any], request: JitRequest, now: float) -> t.Iterator[str]:
    yield from _changed(grant, request)
    left = host.number(grant.get("seconds_left"))
    allowed = None if request.opened_at is None else request.opened_at + request.duration + _SLACK
    if left is None or left > request.duration or (allowed is not None and now + left > allowed):
        yield f"it is open for {grant.get('seconds_left')!s} more seconds, and {request.duration} in all were approved"


def _changed(grant: t.Mapping[str, t.Any], request: JitRequest) -> t.Iterator[str]:
    for name in _SAME:
        approved, there = _plain(getattr(request, name)), _plain(grant.get(name))
        if approved != there:
            yield f"{name} is {_listed(there)}, and {_listed(approved)} was approved"
    duration = host.number(grant.get("duration"))
    if duration is None or duration > request.duration:
        yield f"duration is {_listed(grant.get('duration'))}, and {request.duration} was approved"
    digest = grant.get("digest")
    if digest is not None and digest != jit_requests.digest(request):
        yield "the digest of its request is another"


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, (list, tuple)):
        return sorted(map(str, value))
    return None if value is None else str(value)


def _listed(value: t.Any) -> str:
    return evidence.line(", ".join(map(str, value)) if isinstance(value, list) else str(value), 300)


def _unrecorded(grant: t.Mapping[str, t.Any], reason: str, is_open: bool) -> dict[str, t.Any]:
    whom = _listed(grant.get("requested_for"))
    verb = "are open" if is_open else "were open"
    message = f"{host.shown(grant).capitalize()} ({whom}) {verb}, and {reason}."
    return detection(
        UNRECORDED, _name(grant), SCOPE, [{"data": {"grant": _evidence(grant), "why": reason}}], message=message
    )


def _altered(grant: t.Mapping[str, t.Any], request: JitRequest, differences: t.Sequence[str]) -> dict[str, t.Any]:
    message = f"The opening {_name(grant)} is not as it was approved: {'; '.join(differences)}."
    data = {
        "grant": _evidence(grant),
        "differences": list(differences),
        "approved_by": request.decided_by,
        "digest": jit_requests.digest(request),
    }
    return detection(ALTERED, _name(grant), SCOPE, [{"data": data}], message=message)


def _name(grant: t.Mapping[str, t.Any]) -> str:
    return evidence.text(grant["id"], 256)


def _evidence(grant: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {key: value for key, value in grant.items() if key not in ("seconds_left", "used")}
