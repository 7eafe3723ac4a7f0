# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the enforcement of this host, as far as files and processes show it. Nothing is changed.

The daemon's trust database is not read: its library, or its own tool, would parse in a process of root what somebody
may have prepared.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo, _payload, _process, _state
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, UNPACKAGED, Program
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    deployment,
    deviations,
    state,
    upgrade,
    window,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.deviations import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import AUDIT, ENFORCE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Deployed
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.window import Window
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import Judge
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import canary, config, daemon, leases, trust
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import trial

_MOST_BYTES = 64 * 1024 * 1024
_MOST_ENTRIES = 100_000
# Seconds. What lasts longer explains nothing any more, and neither does what another clock has to explain.
_LONGEST_TRIAL, _LONGEST_UPGRADE, _CLOCK = 3600, 86_400.0, 900.0
_TRUST_DIRECTORY, _TRUST_FILE = "trust.d", "fapolicyd.trust"
# No program of a file system of the kernel's own is ever executed, and /run is never watched (check_mount_entry() of
# fapolicyd).
_WITHOUT_PROGRAMS = frozenset(
    (
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "fuse.lxcfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs",
        "selinuxfs", "sysfs", "tracefs",
    )
)  # fmt: skip


class Inspection(t.NamedTuple):
    """The result of an inspection.

    trusted: the digests that the policy trusts, by path. expected: when we ourselves started the daemon anew, nothing
    where no policy is deployed. started: the boot, and when each process of the daemon was started. canaries: paths of
    programs that our own checks try to run. since: when the policy was confirmed.
    """

    detections: list[dict[str, t.Any]]
    trusted: t.Mapping[str, str]
    expected: tuple[float, ...]
    started: tuple[str, list[int]]
    canaries: frozenset[str] = frozenset()
    since: float = 0.0


def inspect(
    wanted: str,
    content: t.Mapping[str, t.Any] | None,
    allowlist: Allowlist | None,
    state_dir: str | None,
    now: float,
    scope: ScopeCoverage,
) -> Inspection | None:
    """Compare the host with what was deployed and with what is wanted; None if it is neither.

    content, allowlist: of the controller, None without one. Raises no error: the scope has what could not be read.
    """
    if os.geteuid():
        scope.fail("only root sees the enforcement; run as root (become: true, or sudo make scan)")
        return None
    try:
        with state.directory(state_dir, create=False) as where:
            deployed = state.read(where)
            if deployed is None:
                if wanted == AUDIT:
                    scope.note = "Nothing is enforced here, as app_control_mode is audit."
                    return None
                installed = daemon.installed()
                seen = Seen(installed.version if installed is not None else None)
                scope.note = "Nothing is enforced here."
                return Inspection(deviations.missing(wanted, seen), {}, (), ("", []))
            return _inspected(wanted, content, allowlist, where, deployed, now, scope)
    except StateError as error:
        scope.fail(str(error))
        return None


def _inspected(
    wanted: str,
    content: t.Mapping[str, t.Any] | None,
    allowlist: Allowlist | None,
    where: StateDirectory | None,
    deployed: Deployed,
    now: float,
    scope: ScopeCoverage,
) -> Inspection:
    installed = daemon.installed()
    opened = window.read(where)
    settings = _settings()
    entries = list(trust.readable(_read(deployment.TRUST)))
    seen = Seen(None)
    starts: list[int] = []
    if installed is not None:
        processes = map(_process.stat, daemon.processes(installed.executable))
        starts = [process.started for process in processes if process is not None]
        seen = Seen(
            installed.version,
            is_running=daemon.loaded(installed.executable) is not None,
            is_permissive=settings.get("permissive", "0") != "0",
            is_at_boot=_is_at_boot(scope),
            unwatched=_unwatched(settings.get("watch_fs", "")),
            has_leases=leases.are_possible(),
        )
    changed = [path for path, digest in sorted(deployed.digests.items()) if _digest(_read(path)) != digest]
    is_open = opened is not None and is_believed(opened, now)
    is_tried = not is_open and not _is_on_trial()
    temporary = _temporary(where, opened if is_open else None, now)
    if daemon.is_covered() and not temporary:
        changed.append("all of it, as something is mounted there")
    seen = seen._replace(
        changed=tuple(changed),
        foreign=foreign_trust(allowlist, now, scope),
        trusted=len(entries),
        stale=sum(not _is_there(entry.path, entry.size) for entry in entries),
        temporary=temporary,
        is_window=is_open,
        lasting=printable(opened.problem) if opened is not None else "",
    )
    if seen.is_running and deployed.mode == ENFORCE and is_tried and where is not None:
        seen = seen._replace(is_refused=_is_refused(where.path, scope))
    try:
        in_force = _payload.unpack(deployed.content)
        detections = deviations.deviations(wanted, content, deployed, in_force, seen)
    except (ValueError, KeyError, TypeError) as error:
        scope.skip("allowlist", "the one that the host keeps can't be used: %r" % error)
        detections = []
    scope.examined = len(deployed.digests)
    scope.note = " ".join(deviations.describe(deployed, seen))
    trusted = {entry.path: entry.sha256 for entry in entries}
    canaries = frozenset() if where is None else frozenset(map(printable, canary.paths(where.path)))
    expected = [deployed.confirmed]
    if opened is not None:
        expected += [opened.opened, opened.until if opened.ended is None else opened.ended]
    return Inspection(detections, trusted, tuple(expected), (_boot(), starts), canaries, deployed.confirmed)


def own_programs(state_dir: str | None, digests: t.Mapping[str, str] | None) -> dict[str, str]:
    """Return the digests of the programs that the collection leaves on hosts, by their paths.

    digests: as the controller knows them, by name.
    """
    root = state_dir or _state.default_root(os.environ, os.geteuid())
    directory = os.path.join(os.path.normpath(root), state.CAPABILITY)
    return {printable(os.path.join(directory, name)): digest for name, digest in (digests or {}).items()}


def _is_refused(directory: str, scope: ScopeCoverage) -> bool | None:
    try:
        with canary.made(canary.home(directory), canary.LOOK) as path:
            return canary.is_refused(path)
    except canary.CanaryError as error:
        scope.skip("canary", printable(str(error)))
        return None


def _is_at_boot(scope: ScopeCoverage) -> bool | None:
    try:
        return daemon.is_enabled()
    except daemon.DaemonError as error:
        scope.skip("start at boot", printable(str(error)))
        return None


def is_believed(opened: Window, now: float) -> bool:
    """Say whether a window is one of ours that is open: root on the host can write one that never ends."""
    is_over = opened.ended is not None or bool(opened.problem)
    is_short = opened.until - opened.opened <= window.LONGEST * 60
    return not is_over and is_short and opened.opened - _CLOCK <= now <= opened.until + _CLOCK


def _is_on_trial() -> bool:
    running = trial.current(state.TRIAL)
    return running is not None and running.is_guarded and running.seconds <= _LONGEST_TRIAL


def _temporary(where: StateDirectory | None, opened: Window | None, now: float) -> str:
    """Return what is in force for a time only, and ends by itself; "" for nothing. Raises StateError.

    opened: a maintenance window that is open.
    """
    if opened is not None:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(opened.until))
        words = "a maintenance window is open until %s, by %s: %s" % (until, opened.by, opened.reason)
        return printable(words)
    if _is_on_trial():
        return "a policy is on trial"
    pending = upgrade.pending(where)
    if pending is not None and -_CLOCK <= now - pending.since <= _LONGEST_UPGRADE:
        return "packages are being installed, and their files are trusted"
    return ""


def foreign_trust(allowlist: Allowlist | None, now: float, scope: ScopeCoverage) -> dict[str, list[str]]:
    """Return what files of others trust and no allowlist has by its digest or directory, by the name of the file."""
    names = [_TRUST_FILE]
    # The daemon reads all directories below, too (trust_file_load_all).
    for above, _directories, files in os.walk(os.path.join(daemon.DIRECTORY, _TRUST_DIRECTORY)):
        names += [os.path.relpath(os.path.join(above, name), daemon.DIRECTORY) for name in files]
    judge = Judge(allowlist, now) if allowlist is not None else None
    foreign: dict[str, list[str]] = {}
    for name in sorted(names):
        text = _read(name) if name != deployment.TRUST else b""
        entries = list(itertools.islice(trust.readable(text), _MOST_ENTRIES + 1))
        if len(text) >= _MOST_BYTES or len(entries) > _MOST_ENTRIES:
            scope.skip(printable(name), "it is so large that only its beginning was compared with the allowlists")
        for entry in entries[:_MOST_ENTRIES]:
            program = Program(
                PROGRAM, printable(entry.path), sha256=entry.sha256, verification=UNPACKAGED, owner="root"
            )
            if judge is None or not judge.judge(program, ()).allowed:
                foreign.setdefault(name, []).append(entry.path)
    return foreign


def _is_there(path: str, size: int) -> bool:
    try:
        return os.lstat(path).st_size == size
    except (OSError, ValueError):
        return False


def _settings() -> config.Config:
    """Return the settings of fapolicyd.conf; none where the daemon would not start with it."""
    with contextlib.suppress(ValueError):
        return config.parse(_read(deployment.CONFIGURATION).decode("utf-8", "surrogateescape"))
    return {}


def _unwatched(watch_fs: str) -> tuple[str, ...]:
    """Return the mounts that may have programs and that the daemon does not watch. watch_fs: its setting."""
    watched = set(watch_fs.split(","))
    mounts = {}
    for line in _mountinfo.lines(_read_mounts()):
        kind, path = line.mount.kind, os.fsdecode(line.point)
        if kind in watched or kind in _WITHOUT_PROGRAMS or b"noexec" in line.options.split(b","):
            continue
        mounts[path] = "%s (%s)" % (path, kind)
    return tuple(mounts[path] for path in sorted(mounts))


def _read_mounts() -> bytes:
    with contextlib.suppress(OSError), open("/proc/1/mountinfo", "rb") as stream:
        return stream.read(_MOST_BYTES)
    return b""


def _read(name: str) -> bytes:
    """Return a file below /etc/fapolicyd, nothing where it can't be read."""
    with contextlib.suppress(OSError), open(os.path.join(daemon.DIRECTORY, name), "rb") as stream:
        return stream.read(_MOST_BYTES)
    return b""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _boot() -> str:
    with contextlib.suppress(OSError):
        return boot_id()
    return ""
