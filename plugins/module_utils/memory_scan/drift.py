# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there since the last scan: who listens, and who runs with more rights than whoever started it.

Both are ordinary when somebody installed something, and how a way back in looks when nobody did.
"""

from __future__ import annotations

import ipaddress
import json
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import detect
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.detect import Seen

CAPABILITY = "memory_scan"
LISTENER, PRIVILEGED = "process_new_listener", "process_new_privileged"
_LOCK = "lock"
_FILE = "last.json"
_VERSION = 1
_LONGEST = 1 << 24
# What was there in one of the last scans isn't new when it comes back: programs listen for a while, too.
_REMEMBERED_DAYS = 30
_DAY = 86_400
_MOST = 5_000


class Drift(t.NamedTuple):
    """What there is now. listeners, privileged: by subject, each with a process that has it."""

    listeners: t.Mapping[str, Seen]
    privileged: t.Mapping[str, Seen]


def current(seen: t.Iterable[Seen], first_ephemeral: int) -> Drift:
    """Return what is to be compared with the last scan. first_ephemeral: ports from there on may be anybody's."""
    listeners: dict[str, Seen] = {}
    privileged: dict[str, Seen] = {}
    for one in seen:
        for socket in one.sockets:
            about = _listener(one, socket.protocol, socket.local, socket.state, first_ephemeral)
            if about is not None:
                listeners.setdefault(about, one)
        if _is_privileged(one):
            privileged.setdefault(detect.subject(one.process), one)
    return Drift(listeners, privileged)


def _listener(one: Seen, protocol: str, local: tuple[str, int] | None, state: str, first_ephemeral: int) -> str | None:
    """Return a text that stays the same for the same service; None for what only the host itself gets to."""
    if local is None or state not in ("listen", "unconnected") or protocol.rstrip("6") not in ("tcp", "udp", "sctp"):
        return None
    try:
        if ipaddress.ip_address(local[0].partition("%")[0]).is_loopback:
            return None
    except ValueError:
        return None
    is_ephemeral = local[1] >= first_ephemeral
    # A socket of UDP on such a port may be a client's.
    if is_ephemeral and protocol.startswith("udp"):
        return None
    port = "some port" if is_ephemeral else "port %d" % local[1]
    return "%s/%s of %s" % (port, protocol.rstrip("6"), detect.subject(one.process))


def _is_privileged(one: Seen) -> bool:
    """Say whether a process has rights by a set-uid or set-gid file: nobody who had them started it."""
    process = one.process
    if process.is_kernel_thread:
        return False
    if process.users[0] != process.users[1] or process.groups[0] != process.groups[1]:
        return True
    status = process.status
    return status is not None and bool(status.mode & stat.S_ISUID) and status.user == process.users[1] == 0


def compare(
    last: t.Mapping[str, t.Any], drift: Drift, now: float, scope: str, is_packaged: t.Callable[[Seen], bool]
) -> tuple[list[dict[str, t.Any]], dict[str, t.Any]]:
    """Return the detections, and what is to be remembered. last: what was remembered, empty at the first scan.

    Of the first scan nothing is new.
    """
    remembered: dict[str, dict[str, float]] = {}
    detections = []
    for alert, there in ((LISTENER, drift.listeners), (PRIVILEGED, drift.privileged)):
        before = _times(last.get(alert))
        if last:
            for about in sorted(set(there) - set(before))[:_MOST]:
                one = there[about]
                severity = "informational" if is_packaged(one) else None
                evidence = detect.process_evidence(one)
                detections.append(detection(alert, about, scope, [evidence], severity=severity, first_time=one.started))
        kept = {about: time for about, time in before.items() if now - time < _REMEMBERED_DAYS * _DAY}
        kept.update(dict.fromkeys(there, now))
        newest = sorted(kept, key=lambda about: -kept[about])[:_MOST]
        remembered[alert] = {about: kept[about] for about in newest}
    return detections, dict(remembered)


def _times(given: t.Any) -> dict[str, float]:
    if not isinstance(given, dict):
        return {}
    return {about: time for about, time in given.items() if isinstance(time, (int, float))}


def open_state(state_dir: str | None, create: bool) -> StateDirectory | None:
    """Return the directory of what is remembered. Raises StateError."""
    root = state_dir or _state.default_root(os.environ, os.geteuid())
    return StateDirectory.open(root, CAPABILITY, create=create)


def locked(where: StateDirectory, timeout: float) -> t.ContextManager[None]:
    return where.locked(_LOCK, timeout)


def read(where: StateDirectory | None) -> dict[str, t.Any]:
    """Return what the last scan has seen, empty where there was none. Raises StateError."""
    descriptor = where.open_file(_FILE) if where else None
    if where is None or descriptor is None:
        return {}
    path = os.path.join(where.path, _FILE)
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(_LONGEST + 1)
    try:
        content = json.loads(data)
        version = int(content["version"])
        seen = dict(content["seen"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedError(
            "%s is damaged, so it isn't known what is new; find out why, and remove it, so that the next scan starts "
            "again" % path
        ) from error
    if version > _VERSION:
        raise NewerError("%s was written by a newer version of the collection; use that one" % path)
    return seen


def write(where: StateDirectory, seen: t.Mapping[str, t.Any]) -> None:
    """Remember what was seen. Raises StateError."""
    with where.written(_FILE) as stream:
        stream.write(json.dumps({"version": _VERSION, "seen": seen}).encode("ascii"))
