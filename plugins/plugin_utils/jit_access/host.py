# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host to open and close ports, and read what it says: the result of a module is the host's word, and may be any.

``run`` runs a module on the host and returns its result; it raises AnsibleError where none came back.
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible.errors import AnsibleError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import CHECKED, PARTIAL
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.detect import POLICY_SCOPE
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitRequest, JitSeen, JitUse

Run = t.Callable[[str, dict[str, t.Any]], dict[str, t.Any]]
Result = t.Mapping[str, t.Any]

# The host keeps so many openings that ended.
HISTORY = 1000
_LONGEST_REASON = 900
_ENDS = ("closed", "expired", "replaced", "rebooted")


@dataclasses.dataclass(frozen=True)
class Opened:
    """Result of asking a host to open ports.

    seconds: for how long they are open, None where the host did not say so. is_refused: whether it said that it opened
    nothing. message: why they are not open, or nobody knows it.
    """

    seconds: int | None = None
    is_refused: bool = False
    message: str = ""
    notices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Closed:
    """Result of asking a host to close an opening. failure: why nobody knows. shown: its ports and sources."""

    was_open: bool = False
    failure: str | None = None
    shown: str = ""


@dataclasses.dataclass(frozen=True)
class Looked:
    """Result of looking at a host. result: None where it does not say what is open. failure: why it does not."""

    result: Result | None = None
    failure: str | None = None


def open_ports(run: Run, request: JitRequest, state_dir: str | None) -> Opened:
    """Ask a host to open what a request is for, and say what came of it."""
    arguments = {
        "state": "open",
        "id": request.id,
        "digest": requests.digest(request),
        "ports": list(request.ports),
        "protocol": request.protocol,
        "sources": list(request.sources),
        "duration": request.duration,
        "requested_for": request.requested_for,
        "requested_by": request.requested_by,
        "reason": request.justification,
        "state_dir": state_dir,
    }
    try:
        result = run("jit_grant", _given(arguments))
    except AnsibleError as error:
        return Opened(message=_line(error.message or str(error)))
    message = _line(result.get("msg") or "the host gave no reason")
    if result.get("failed") or result.get("unreachable"):
        # What is refused, and an option that is wrong, ended before anything was opened.
        return Opened(is_refused="refused" in result or result.get("usage_error") is True, message=message)
    grant = result.get("grant")
    seconds = grant.get("seconds_left") if isinstance(grant, dict) else None
    if result.get("id") != request.id or isinstance(seconds, bool) or not isinstance(seconds, int):
        return Opened(message="the result of the host cannot be read")
    notices = result.get("warnings") or ()
    return Opened(min(max(seconds, 1), request.duration), notices=tuple(map(str, notices)))


def close_ports(run: Run, grant: str, by: JitActor, reason: str, state_dir: str | None) -> Closed:
    """Ask a host to close an opening, and say what came of it."""
    arguments = {"state": "closed", "id": grant, "closed_by": by.name, "reason": reason, "state_dir": state_dir}
    try:
        result = run("jit_grant", _given(arguments))
    except AnsibleError as error:
        return Closed(failure=_line(error.message or str(error)))
    closed = result.get("closed")
    if result.get("failed") or result.get("unreachable") or not isinstance(closed, list):
        return Closed(failure=_line(result.get("msg") or "the result of the host cannot be read"))
    ended = next((item for item in closed if isinstance(item, dict)), None)
    return Closed(was_open=bool(closed), shown=shown(ended) if ended else "")


def looked(run: Run, state_dir: str | None) -> Looked:
    """Look at a host, and say why where it does not say what is open."""
    try:
        result = run("jit_access_info", _given({"history": HISTORY, "state_dir": state_dir}))
    except AnsibleError as error:
        return Looked(failure=_line(error.message or str(error)))
    if seen(result) is not None:
        return Looked(result)
    reason = result.get("msg") or _policy_coverage(result).get("reason") or "the result of the host cannot be read"
    return Looked(failure=_line(reason))


def look(run: Run, state_dir: str | None) -> Result | None:
    """Return the result of a look at a host, None where it does not say what is open."""
    return looked(run, state_dir).result


def _policy_coverage(result: Result) -> dict[str, t.Any]:
    entries = result.get("coverage")
    listed = entries if isinstance(entries, list) else []
    return next((entry for entry in listed if isinstance(entry, dict) and entry.get("scope") == POLICY_SCOPE), {})


def seen(result: Result) -> list[JitSeen] | None:
    """Return the openings of a look, None where it looked at nothing."""
    if result.get("failed") or _policy_coverage(result).get("status") not in (CHECKED, PARTIAL):
        return None
    now_open = [_open(item) for item in grants(result)]
    ended = [_ended(item) for item in ended_grants(result)]
    # An id is good for one opening; what is open counts.
    by_id = {item.id: item for item in [*ended, *now_open] if item is not None}
    return list(by_id.values())


def grants(result: Result) -> list[dict[str, t.Any]]:
    """Return what is open of a look, as far as it can be read."""
    return _mappings(result.get("grants"))


def ended_grants(result: Result) -> list[dict[str, t.Any]]:
    """Return what was open of a look, as far as it can be read."""
    return _mappings(result.get("history"))


def shown(fields: t.Mapping[str, t.Any]) -> str:
    """Return ports and sources of a request or an opening as people read them: ``ports 22/tcp for 192.0.2.7``."""
    sources = fields.get("sources")
    names = ", ".join(map(str, sources)) if isinstance(sources, (list, tuple)) else str(sources)
    return f"{shown_ports(fields)} for {_line(names)}"


def shown_ports(fields: t.Mapping[str, t.Any]) -> str:
    """Return ports as people read them: ``ports 22/tcp, 8000-8010/tcp``."""
    ports, protocol = fields.get("ports"), fields.get("protocol")
    protocol = "tcp+udp" if protocol == "both" else protocol
    listed = ports if isinstance(ports, (list, tuple)) else [ports]
    return _line("ports " + ", ".join(f"{port}/{protocol}" for port in listed))


def _given(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _mappings(value: t.Any) -> list[dict[str, t.Any]]:
    listed = value if isinstance(value, list) else []
    return [item for item in listed if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _open(item: t.Mapping[str, t.Any]) -> JitSeen | None:
    left = item.get("seconds_left")
    if isinstance(left, bool) or not isinstance(left, int):
        return None
    return JitSeen(
        evidence.plain_text(item["id"]),
        seconds_left=max(left, 0),
        in_kernel=item["in_kernel"] if isinstance(item.get("in_kernel"), bool) else None,
        used=_used(item.get("used")),
    )


def _ended(item: t.Mapping[str, t.Any]) -> JitSeen | None:
    if item.get("outcome") not in _ENDS:
        return None
    return JitSeen(
        evidence.plain_text(item["id"]),
        how=evidence.plain_text(item["outcome"]),
        ended=number(item.get("ended")),
        closed_by=_text(item.get("closed_by"), requests.NAME_LIMIT),
        reason=_reason(item) if item["outcome"] == "closed" else None,
        used=_used(item.get("used")),
    )


def _reason(item: t.Mapping[str, t.Any]) -> str | None:
    """Return why somebody closed it; None where nobody gave a reason, and the host has why it was opened there."""
    reason = item.get("reason")
    return None if reason == item.get("opened_reason") else _text(reason, requests.TEXT_LIMIT)


def _used(value: t.Any) -> JitUse | None:
    try:
        fields = evidence.mapping(value)
        counts = [evidence.integer(fields.get(name), 62) for name in ("packets", "bytes")]
    except evidence.UnfitError:
        return None
    if min(counts) < 0:
        return None
    return JitUse(counts[0], counts[1], number(fields.get("first")), number(fields.get("last")))


def number(value: t.Any) -> float | None:
    """Return a number of seconds, None for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and 0 <= value < 2**40 else None


def _text(value: t.Any, limit: int) -> str | None:
    return evidence.line(value, limit) or None if isinstance(value, str) else None


def _line(value: t.Any) -> str:
    return evidence.line(str(value), _LONGEST_REASON)
