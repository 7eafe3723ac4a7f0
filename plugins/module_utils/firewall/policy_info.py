# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look whether the policy of a capability is in force; nothing is changed."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.policy_table import Policy, PolicyTable, Result

# Seconds that a run needs between noting what it does and doing it.
_SETTLING = 0.5
_P = t.TypeVar("_P", bound=Policy)
_T = t.TypeVar("_T")


def check_root() -> None:
    """Raise HostError for anybody but root."""
    if os.geteuid() != 0:
        raise HostError("only root can look at the packet filter; run as root (become: true, or sudo make scan)")


def covered(result: Result, scopes: t.Iterable[str], look: t.Callable[[], list[dict[str, t.Any]]]) -> Result:
    """Return the result with the coverage that ``look`` returns; what it can't look at is not checked."""
    try:
        coverage = look()
    except (HostError, StateError) as error:
        coverage = [not_checked(scope, "%s." % str(error).rstrip(".")) for scope in scopes]
    return {**result, "coverage": coverage}


def settled(look: t.Callable[[], _T], is_right: t.Callable[[_T], bool]) -> _T:
    """Return what is seen; look once more if it isn't right, as another run may be about to change it."""
    seen = look()
    if is_right(seen):
        return seen
    time.sleep(_SETTLING)
    return look()


def without_policy(
    table: PolicyTable[_P], scopes: t.Sequence[str], nothing: str, result: Result
) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage of a host without a policy. nothing: the note that says so.

    Whether rules that nothing is known of are in force is left open.
    """
    found = [ScopeCoverage(scope) for scope in scopes]
    force = table.own.look_without_policy()
    result["trial_seconds_left"] = force.left if force else 0
    if force is not None and force.confirmed is not None:
        reason = "it is there, and no policy is noted in the state: remove it with state=absent, or set the policy"
        for scope in found:
            scope.skip("table inet %s" % table.name, reason)
    else:
        result["in_force"] = False
        for scope in found:
            scope.note = nothing
    return [scope.entry() for scope in found]


def boot_evidence(table: PolicyTable[_P], policy: _P, coverage: ScopeCoverage) -> dict[str, t.Any] | None:
    """Return where the rules for the next boot are, if somebody has changed what loads them."""
    try:
        if table.is_lost_at_boot(policy):
            return {"state": table.place.state_root, "units": table.place.units}
    except StateError as error:
        coverage.skip("rules for the next boot", "they can't be read: %s" % error)
    return None
