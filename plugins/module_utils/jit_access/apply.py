# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock the ports of a policy, on trial until that is confirmed, or take the lock away again."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, policy_table
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.policy_table import Noted, PolicyTable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import POLICY, PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import (
    clock,
    former_iptables,
    grants,
    kernel,
    policy,
    reopening,
    state,
    table,
    usage,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    enforcing.check_trial(params)
    wanted = None
    if params["state"] == "present":
        try:
            wanted = policy.parse(params["ports"], params["always_allow"])
        except policy.PolicyError as error:
            raise UsageError(str(error)) from error
    return policy_table.apply(LockTable(params), wanted, check_mode)


class LockTable(PolicyTable[Policy]):
    """The table of locked ports, with what is open, and chains of iptables that earlier versions have left."""

    name = table.NAME
    title = "locked ports"
    files = (reopening.NOTE, POLICY, PROPOSED)
    more: t.ClassVar[t.Mapping[str, t.Any]] = {"closed": []}

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        self.packets = Nftables()
        # As they were before the table was removed.
        self._counters: usage.Counters | None = None

    def directory(self, create: bool) -> t.ContextManager[StateDirectory | None]:
        return state.directory(self.params, create)

    def damaged(self, where: StateDirectory | None) -> list[str]:
        return state.damaged(where)

    def read(self, where: StateDirectory | None, name: str = POLICY) -> Noted[Policy]:
        return state.read_policy(where, name)

    def write(self, where: StateDirectory, policy: Policy, name: str = POLICY, **noted: t.Any) -> None:
        state.write_policy(where, policy, name, **noted)

    def rules(self, policy: Policy) -> Rules:
        return table.rules(policy)

    def lines(self, wanted: Policy) -> list[str]:
        lines = [
            "lock %s: %s may ask, for at most %d s%s"
            % (
                lock,
                ", ".join(str(source) for source in lock.sources),
                lock.max_duration,
                "; connections end with the window" if lock.close_connections else "",
            )
            for lock in wanted.locks
        ]
        return lines + ["never lock out %s" % prefix for prefix in wanted.always_allow]

    def script(self) -> str:
        return reopening.script(self.place.state_root)

    def has_other_openings(self, where: StateDirectory | None, seen: Comparison) -> bool:
        now = clock.now()
        return not kernel.compare(self.packets, seen, state.read_book(where, now), now.since_boot).right

    def fill(self, where: StateDirectory) -> None:
        now = clock.now()
        kernel.fill(self.packets, state.read_book(where, now), now)

    def settle(self, where: StateDirectory, policy: Policy, note: t.Callable[[], None]) -> dict[str, t.Any]:
        """Close what the policy does not allow."""
        now = clock.now()
        book = state.read_book(where, now)
        outside = [grant for grant in book.open if not grants.allows(policy, grant.request)]
        book = book.without(outside, grants.CLOSED, now)
        reopening.forget(where)
        kernel.fill(self.packets, book, now)
        note()
        book = book.closed(now)
        state.write_book(where, book)
        self.packets.note(where, book, now)
        return {"closed": [grant.id for grant in outside]}

    def warnings(self, _policy: Policy) -> list[str]:
        commands = former_iptables.commands(self.place)
        return [enforcing.sentence(former_iptables.sentence(commands))] if commands else []

    def is_in_nftables(self, noted: Noted[Policy]) -> bool:
        return noted is not None and not former_iptables.is_noted(noted[1])

    def has_leftovers(self) -> bool:
        return bool(former_iptables.commands(self.place))

    def remove_leftovers(self) -> bool:
        return former_iptables.remove(self.place, self.params["lock_timeout"])

    def remove(self) -> None:
        self._counters = self.packets.used()
        self.packets.remove()

    def close_all(self, where: StateDirectory, damaged: t.Container[str], check_mode: bool) -> dict[str, t.Any]:
        if check_mode and state.GRANTS in damaged:
            return {}
        now = clock.now()
        book = state.read_book(where, now)
        if not check_mode and (book.open or book.history):
            after = book.without(book.open, grants.CLOSED, now)
            state.write_book(where, usage.settled(after, self._counters, now))
        return {"closed": [grant.id for grant in book.open]}
