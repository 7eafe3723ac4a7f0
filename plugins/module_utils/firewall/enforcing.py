# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that all modules share which put rules on trial."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import (
    arrival,
    boot,
    persist,
    records,
    structure,
    trial,
)

_SHORTEST_TRIAL = 10


def check_trial(params: t.Mapping[str, t.Any]) -> None:
    """Raise UsageError for options that can't be: state_dir, confirm_within and lock_timeout."""
    check_options(params, ("state_dir",), {"confirm_within": _SHORTEST_TRIAL, "lock_timeout": 0})
    if params["confirm_within"] > structure.LONGEST_TRIAL:
        raise UsageError("confirm_within is %d; use %d or less" % (params["confirm_within"], structure.LONGEST_TRIAL))


def trial_note(token: str, alone: bool) -> dict[str, t.Any]:
    """Return what is noted of a trial that begins now, beside its policy. alone: as ``is_alone`` says."""
    return {"token": token, "alone": alone, "started": time.clock_gettime(time.CLOCK_BOOTTIME)}


def trial_of(note: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what of a trial's note is kept with the policy, so that it can be confirmed twice."""
    return {name: note[name] for name in ("token", "started") if name in note}


def place(params: t.Mapping[str, t.Any]) -> boot.Place:
    """Return where the rules for the next boot are kept."""
    return boot.Place(params["state_dir"] or _state.default_root(os.environ, os.geteuid()))


@contextlib.contextmanager
def directory(
    params: t.Mapping[str, t.Any],
    capability: str,
    create: bool,
    damaged: t.Callable[[StateDirectory | None], list[str]] = lambda _where: [],
    lost: str = "",
) -> t.Iterator[StateDirectory | None]:
    """Give the directory of a capability's state, None where there is none and ``create`` is false.

    damaged: returns the names of files that are damaged, so that the error that comes out names all of them. lost: as
    for ``records.read``.
    """
    found = StateDirectory.open(place(params).state_root, capability, create=create)
    try:
        yield found
    except DamagedError as error:
        raise records.together(error, found, damaged(found), lost) from error
    finally:
        if found is not None:
            found.close()


def persisted(
    params: t.Mapping[str, t.Any], table: str, rules: trial.Rules, script: str | None = None
) -> tuple[bool, list[str]]:
    """Let the rules be there after a boot; return whether they are, and what there is to say of it.

    script: as for ``persist.keep``.
    """
    outcome = persist.keep(place(params), table, rules, params["lock_timeout"], script)
    return outcome.survives, [sentence(outcome.note)] if outcome.note else []


def is_alone(force: trial.InForce | None, proposed: tuple[t.Any, t.Mapping[str, t.Any]] | None) -> bool:
    """Say whether all there will be of ours is what is proposed now, so that it can be removed when nobody confirms it.

    force: what the kernel has before; proposed: what is noted of a trial before, whose rest may still be there. Rules
    that somebody has changed look as if nobody had confirmed them, so they are never taken for such a rest.
    """
    if force is None:
        return True
    return force.confirmed is None and proposed is not None and bool(proposed[1].get("alone"))


def check_arrival(params: t.Mapping[str, t.Any], proposed: t.Mapping[str, t.Any]) -> bool:
    """Return whether the connection that confirms a trial proves that others come in, too.

    proposed: what is noted of the trial. Raises HostError where the connection is older than the trial.
    """
    if not params["_through_network"]:
        return False
    way = arrival.how(float(proposed.get("started", 0.0)))
    if way == arrival.OLD:
        raise HostError(
            "the connection that should confirm the rules is older than their trial, so it proves nothing: make ssh "
            "open a new one for Ansible (ControlPath=none in ansible_ssh_args)"
        )
    return way != arrival.LOCAL


def sentence(text: str) -> str:
    return "%s%s." % (text[:1].upper(), text[1:].rstrip("."))
