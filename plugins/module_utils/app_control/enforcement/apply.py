# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have fapolicyd enforce the allowlist of a host, on trial until that is confirmed, or take it back.

The new files lie beside /etc/fapolicyd, and are mounted over it while they are on trial: a host that is booted
meanwhile has what it had before. Confirming exchanges the two names.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload, _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content as contents
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    absent,
    deployment,
    hooks,
    on_trial,
    package_code,
    package_locks,
    refusals,
    state,
    trusted,
    upgrade,
    watchers,
    window,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Facts, Options
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import (
    AUDIT,
    Policy,
    compile_policy,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Deployed
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.host import distribution
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import daemon, proof, staging
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import LOCK
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import trial

Params = t.Mapping[str, t.Any]
Result = t.Dict[str, t.Any]

_SHORTEST_TRIAL, _LONGEST_TRIAL = 30, 3600
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,240}\Z")
_MOST_SENTENCES, _MOST_NAMED, _MOST_SHOWN = 20, 200, 3
_MOST_EARLIER = 8
_POLL = 0.5
_ERRORS = (daemon.DaemonError, staging.StagingError, proof.ProofError, OSError, ValueError)


def apply(params: Params, check_mode: bool) -> Result:
    """Do what the options ask for and return the module's result; in check mode look only.

    Raises UsageError, HostError and StateError.
    """
    _check(params)
    takes_back = params["state"] == "absent" or params["mode"] == AUDIT
    if os.geteuid():
        if takes_back and not absent.is_deployed():
            return _result(params)
        raise HostError("only root can change what fapolicyd enforces; use become")
    why = _unfit()
    if why and not takes_back:
        return {**_result(params), "reason": why}
    with state.directory(params["state_dir"], create=not check_mode and not takes_back) as where:
        try:
            if check_mode or where is None:
                return _take_back(params, where, True) if takes_back else _set(params, where, True)
            return _locked(params, where, takes_back)
        except _ERRORS as error:
            raise HostError("%s." % str(error).rstrip(".")) from error


def _check(params: Params) -> None:
    check_options(params, (), {"lock_timeout": 0, "minimum_days": 0, "confirm_within": _SHORTEST_TRIAL})
    if params["confirm_within"] > _LONGEST_TRIAL:
        raise UsageError("confirm_within is %d; use %d or less" % (params["confirm_within"], _LONGEST_TRIAL))
    for unit in params["restart_services"]:
        if not _UNIT.match(unit) or unit.startswith("-"):
            raise UsageError("restart_services: '%s' is not a name of a unit of systemd" % unit)


def _unfit() -> str:
    """Return why this host can't have anything enforced, empty where it can."""
    if not daemon.has_systemd():
        return "systemd does not run this host, or this is a container: application control stays in audit mode."
    if daemon.installed() is None:
        return "fapolicyd is not installed: application control stays in audit mode."
    return ""


def _locked(params: Params, where: StateDirectory, takes_back: bool) -> Result:
    """Do it while no other run does anything to this host, nor has a policy on trial."""
    end = time.monotonic() + params["lock_timeout"]
    while True:
        with where.locked(LOCK, max(0.0, end - time.monotonic())):
            if params["_confirm"]:
                return _confirm(params, where)
            if params["_withdraw"]:
                return {**_result(params), "changed": on_trial.withdraw(where, params["_withdraw"])}
            running = trial.current(state.TRIAL)
            if running is None or not running.is_guarded:
                on_trial.recover(where)
                _refuse_window(where)
                if takes_back:
                    return _take_back(params, where, False)
                with package_locks.held(max(0.0, end - time.monotonic())):
                    return _set(params, where, False)
        # Without the lock, which whoever confirms that trial needs.
        if time.monotonic() >= end:
            raise HostError(
                "another run has a policy on trial on this host, for %d more seconds; wait, or raise lock_timeout"
                % running.left
            )
        time.sleep(_POLL)


def _refuse_window(where: StateDirectory) -> None:
    current = window.read(where)
    if current is not None and current.ended is None and not current.problem:
        raise HostError(
            "a maintenance window is open on this host for another %d minutes: wait, or close it (playbook app_window)"
            % (max(0.0, current.until - time.time()) // 60)
        )


def _take_back(params: Params, where: StateDirectory | None, check_mode: bool) -> Result:
    taken = absent.take_back(where, check_mode)
    return {**_result(params), **taken}


def _set(params: Params, where: StateDirectory | None, check_mode: bool) -> Result:
    given = _given(params)
    installed = daemon.installed()
    if installed is None:
        raise HostError("fapolicyd is not installed any more")
    options = Options(params["mode"], tuple(params["file_systems"]), params["minimum_days"], tuple(params["blocked"]))
    noted = state.read(where)
    params = {**params, "_connection": _with_earlier(params["_connection"] or {}, noted)}
    facts = trusted.facts(params, given, installed.version, keeps_digests=not check_mode)
    policy = compile_policy(contents.allowlist(given, distribution()), facts, options)
    root = params["state_dir"] or _state.default_root(os.environ, 0)
    own = watchers.own(params["watcher"], os.path.join(root, state.CAPABILITY))
    files = deployment.files(policy, daemon.DIRECTORY, own)
    before = deployment.present(daemon.DIRECTORY, files)
    result = {**_described(params, policy, facts), "diff": deployment.difference(before, files)}
    refused = [*refusals.refusals(policy, facts, options), *_of_services(params["restart_services"])]
    if refused:
        sentences = refused[:_MOST_SENTENCES]
        if len(refused) > _MOST_SENTENCES:
            sentences.append("And %d more." % (len(refused) - _MOST_SENTENCES))
        return {**result, "failed": True, "refused": refused[:_MOST_NAMED], "msg": " ".join(sentences)}
    _refuse_upgrade(where)
    proposed = Deployed(
        mode=policy.mode,
        digests=deployment.digests(files),
        settings=policy.settings,
        before=noted.before if noted else absent.before(files),
        content=params["_content"],
        options=options._asdict(),
        confirmed=0.0,
        token="",
        connection=params["_connection"],
        has_watcher=params["watcher"],
    )
    problem = "" if noted is None else on_trial.problem(installed, policy.mode, files, where)
    if noted is not None and not problem:
        lacks = where is not None and (hooks.differ(where) or watchers.differs(where, installed, proposed.has_watcher))
        if where is not None and not check_mode:
            if _meaning(noted) != _meaning(proposed):
                state.write(where, proposed._replace(confirmed=noted.confirmed, token=noted.token))
            hooks.deploy(where)
            watchers.deploy(where, installed, proposed.has_watcher)
        return {**result, "confirmed": True, "deployed": True, "changed": lacks}
    on_trial.check_mounts()
    result.update(changed=True, problem=problem or None)
    if check_mode or where is None:
        return result
    window.clear(where)
    try:
        token, left = on_trial.begin(where, installed, proposed, files, params["confirm_within"])
    except proof.ProofError as error:
        raise HostError(_not_proven(str(error), files[deployment.RULES])) from error
    return {**result, "trial": {"token": token, "seconds": params["confirm_within"], "left": left}}


def _with_earlier(way: t.Mapping[str, t.Any], noted: Deployed | None) -> dict[str, t.Any]:
    """Return the way of this controller, with those of earlier deployments: none of them may be locked out by this."""
    former = () if noted is None else (noted.connection, *noted.connection.get("earlier", ()))
    accounts = {_account(way)}
    earlier = []
    for each in former:
        if _account(each) not in accounts:
            accounts.add(_account(each))
            earlier.append({name: value for name, value in each.items() if name != "earlier"})
    return {**way, "earlier": earlier[:_MOST_EARLIER]}


def _account(way: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    return tuple(str(way.get(name) or "") for name in ("remote_user", "become_user", "remote_tmp"))


def _of_services(units: t.Iterable[str]) -> t.Iterator[str]:
    """Yield a sentence on the units that could not restart whatever the policy is. Raises DaemonError."""
    unknown = [unit for unit in units if not daemon.can_start(unit)]
    if unknown:
        yield (
            "systemd can't start %s, so nothing is put on trial; correct restart_services (app_control_restart_services"
            " of the role)." % ", ".join(unknown)
        )


def _not_proven(problem: str, own: bytes) -> str:
    """Return why a policy can't be deployed, with the rules of others that may be the reason. own: our rules."""
    located = deployment.located(problem, daemon.DIRECTORY, own)
    sentence = "Nothing was changed: %s." % located.rstrip(".")
    if located != problem:
        return "%s Correct that line, or remove the file." % sentence
    others = deployment.preceding(daemon.DIRECTORY)
    if not others:
        return sentence
    more = "; and %d more" % (len(others) - _MOST_SHOWN) if len(others) > _MOST_SHOWN else ""
    shown = "; ".join(map(printable, others[:_MOST_SHOWN])) + more
    return "%s Rules of others come first: %s. Rename or remove their files in rules.d." % (sentence, shown)


def _refuse_upgrade(where: StateDirectory | None) -> None:
    names = package_code.unfinished() if upgrade.pending(where) is not None else ()
    if names:
        raise HostError(
            "packages are being changed on this host, such as %s; wait, or run 'dpkg --configure -a'"
            % ", ".join(map(printable, names[:3]))
        )


def _confirm(params: Params, where: StateDirectory) -> Result:
    """Make what is on trial last. That this runs proves that somebody could come in."""
    deployed = on_trial.confirm(where, params["_confirm"], params["restart_services"])
    return {
        **_result(params),
        "changed": True,
        "confirmed": True,
        "deployed": True,
        "mode": deployed.mode,
    }


def _given(params: Params) -> dict[str, t.Any]:
    if not params["_content"]:
        raise HostError(
            "no allowlist is for this host, so nothing is enforced: learn one and review it, and name its directory in"
            " allowlists (app_control_allowlists of the role)"
        )
    try:
        return _payload.unpack(params["_content"])
    except ValueError as error:
        raise UsageError(str(error)) from error


def _meaning(deployed: Deployed) -> Deployed:
    return deployed._replace(confirmed=0.0, token="")


def _described(params: Params, policy: Policy, facts: Facts) -> Result:
    stopped = refusals.blocked(policy, facts.records, facts.users)
    result = _result(params)
    return {
        **result,
        "rules": len(policy.rules),
        "trusted": len(policy.trusted),
        "unexpressed": [each._asdict() for each in policy.unexpressed[:_MOST_NAMED]],
        "stopped": [each._asdict() for each in stopped[:_MOST_NAMED]],
        "conflicts": deployment.conflicts(daemon.DIRECTORY)[:_MOST_NAMED],
        "warnings": hooks.warnings(),
    }


def _result(params: Params) -> Result:
    return {
        "changed": False,
        "mode": AUDIT if params["state"] == "absent" else params["mode"],
        "deployed": False,
        "reason": "",
        "confirmed": False,
        "trial": None,
        "warnings": [],
    }
