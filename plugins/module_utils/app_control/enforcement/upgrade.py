# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust for the time of an upgrade: begun before a package is unpacked, ended when dpkg is done.

It is on the disk, so that an upgrade that was cut off goes on after a reboot, and it ends with the next upgrade or with
the next deployment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    deployment,
    package_code,
    state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import (
    canary,
    daemon,
    live_files,
    orders,
    trust,
    upgrade_rules,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import LOCK
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import trial
from ansible_collections.bulwark.servers.plugins.module_utils.packages import archives
from ansible_collections.bulwark.servers.plugins.module_utils.packages.planned import Plan

_RECORD = "upgrade.json"
_LOST = "packages have temporary trust"
_RULES, _COMPILED = upgrade_rules.PATH, "compiled.rules"
_LOCK_SECONDS, _SECONDS, _POLL = 60.0, 60.0, 0.01
# The daemon needs 2 s to load rules for 10,000 digests, with the square of their number, and 3 ms for each open of an
# untrusted file then.
_MOST = 20_000


class UpgradeError(Exception):
    """The trust can't be begun or ended; the message is one sentence."""


class Pending(t.NamedTuple):
    """Trust that has not ended. since: seconds since the epoch. digests: of files. problem: why it did not end yet."""

    since: float
    digests: tuple[str, ...]
    problem: str = ""


def pending(where: StateDirectory | None) -> Pending | None:
    """Return the trust that has not ended, None if there is none. Raises StateError."""
    return records.read(where, _RECORD, _parsed, _LOST)


def begin(plan: Plan, state_dir: str | None) -> None:
    """Let run what is unpacked, the scripts of all packages, and what the scripts of changed packages may run.

    Raises UpgradeError; nothing was changed then.
    """
    _refuse_trial()
    with _deployed(state_dir) as where:
        if where is None:
            return
        digests = package_code.script_digests()
        names = {*plan.packages, *package_code.unfinished(), *package_code.triggered()}
        for path in plan.archives:
            archive = _archive(path)
            digests |= package_code.archive_digests(archive)
            names |= package_code.archive_packages(archive)
        trusted = {each.path for each in trust.parse(live_files.read(deployment.TRUST))}
        digests |= package_code.installed_digests(names, trusted)
        before = pending(where)
        if before is not None:
            digests.update(before.digests)
        if len(digests) > _MOST:
            _refuse_number(where)
            return
        since = time.time() if before is None else before.since
        records.write(where, _RECORD, Pending(since, tuple(sorted(digests)))._asdict())
        try:
            _load(where, digests)
        except BaseException:
            if before is None:
                where.remove(_RECORD)
            else:
                records.write(where, _RECORD, before._asdict())
            raise


def _refuse_number(where: StateDirectory) -> None:
    """Raise UpgradeError unless everything runs in any case."""
    with canary.made(canary.home(where.path), canary.UPGRADE_REFUSED) as refused:
        if canary.is_refused(refused):
            raise UpgradeError(
                "the packages have more than %d programs, scripts and libraries; take fewer of them, or open a "
                "maintenance window" % _MOST
            )


def discard(where: StateDirectory) -> None:
    """Forget the trust, whose rules a deployment has replaced. Raises StateError."""
    where.remove(_RECORD)


def finish(state_dir: str | None, renew: t.Callable[[StateDirectory], None]) -> str:
    """End the trust, after ``renew`` has written that of the policy; return a sentence if it has to stay, else "".

    Raises UpgradeError, or what ``renew`` raises; the trust stays then. Nothing is done where there is none.
    """
    with _deployed(state_dir) as where:
        current = pending(where)
        if where is None or current is None:
            return ""
        names = package_code.unfinished()
        if names:
            problem = "dpkg is not done with %s: run 'dpkg --configure -a' or 'apt-get -f install'" % _some(names)
            records.write(where, _RECORD, current._replace(problem=problem)._asdict())
            return problem
        try:
            renew(where)
            _unload(where)
        except Exception as error:
            records.write(where, _RECORD, current._replace(problem=str(error))._asdict())
            raise
        where.remove(_RECORD)
        return ""


@contextlib.contextmanager
def _deployed(state_dir: str | None) -> t.Iterator[StateDirectory | None]:
    """Give the locked state of a host on which a policy is deployed, else None."""
    with state.directory(state_dir, create=False) as where:
        if where is None or state.read(where) is None:
            yield None
            return
        with where.locked(LOCK, _LOCK_SECONDS):
            yield where


def _refuse_trial() -> None:
    """Raise UpgradeError while a policy is on trial: what is trusted now can be gone before all is unpacked."""
    running = trial.current(state.TRIAL)
    if running is not None:
        how = (
            "for %d more seconds" % max(0.0, running.left) if running.is_guarded else "and nobody ends it: run protect"
        )
        raise UpgradeError("a policy is on trial on this host, %s" % how)


def _is_running() -> bool:
    """Say whether a daemon decides now. One that starts later reads the files, so that these are always written."""
    installed = daemon.installed()
    return installed is not None and bool(daemon.processes(installed.executable))


def _archive(path: bytes) -> archives.Archive:
    try:
        return archives.read(os.fsdecode(path))
    except OSError as error:
        raise UpgradeError("%s can't be read: %s" % (os.fsdecode(path), error)) from error


def _load(where: StateDirectory, digests: set[str]) -> None:
    compiled = live_files.read(_COMPILED)
    rules = live_files.read(_RULES)
    types = upgrade_rules.denied_types(compiled)
    # Runs as long as the trust is in force.
    trusted = canary.create(canary.home(where.path), canary.UPGRADE)
    is_running = _is_running()
    with canary.made(canary.home(where.path), canary.UPGRADE_REFUSED) as refused:
        # Not so in a rehearsal and in a maintenance window.
        is_enforcing = canary.is_refused(refused)
        block = upgrade_rules.render({*digests, _digest(trusted)}, types)
        is_sent = False
        try:
            live_files.write(_RULES, block)
            live_files.write(_COMPILED, upgrade_rules.inserted(compiled, block))
            if is_running:
                is_sent = True
                orders.send(orders.RELOAD_RULES)
            if is_enforcing:
                _wait(lambda: not canary.is_refused(trusted))
                _check_refused(refused)
                daemon.note_loaded()
        except BaseException as error:
            _restore(rules, compiled, is_sent)
            if isinstance(error, OSError):
                raise UpgradeError("the rules for the upgrade can't be written: %s" % error) from error
            raise


def _check_refused(path: str) -> None:
    if not canary.is_refused(path):
        raise UpgradeError("fapolicyd lets everything run after its rules were loaded")


def _unload(where: StateDirectory) -> None:
    is_running = _is_running()
    if is_running:
        # One after the other, so that what the policy has runs all the time.
        orders.send(orders.RELOAD_TRUST, orders.RELOAD_RULES)
    trusted = os.path.join(canary.home(where.path), canary.UPGRADE)
    if os.path.exists(trusted):
        with canary.made(canary.home(where.path), canary.UPGRADE_REFUSED) as refused:
            is_enforcing = canary.is_refused(refused)
        if is_enforcing:
            _wait(lambda: canary.is_refused(trusted))
        os.unlink(trusted)
    if is_running:
        daemon.note_loaded()


def _restore(rules: bytes, compiled: bytes, is_loaded: bool) -> None:
    with contextlib.suppress(OSError):
        if rules:
            live_files.write(_RULES, rules)
        else:
            live_files.remove(_RULES)
    with contextlib.suppress(OSError):
        live_files.write(_COMPILED, compiled)
    if is_loaded:
        # A reload after broken rules can end the daemon; a start refuses broken ones.
        with contextlib.suppress(daemon.DaemonError):
            daemon.restart()


def _wait(is_done: t.Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not is_done():
        if time.monotonic() >= end:
            raise UpgradeError("fapolicyd did not load its rules in %d seconds" % _SECONDS)
        time.sleep(_POLL)


def _digest(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _some(names: t.Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and %d more" % (len(names) - 5) if len(names) > 5 else "")


def _parsed(content: t.Mapping[str, t.Any]) -> Pending:
    return Pending(float(content["since"]), tuple(content["digests"]), str(content["problem"]))
