# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a policy in force in a table of its own, on trial until that is confirmed, or take it away again.

A capability derives a class from PolicyTable, which says how its policies become rules and files; ``apply`` does the
rest. Whoever calls it has checked the options.
"""

from __future__ import annotations

import abc
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, needs, persist, records
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison, OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import LOCK, POLICY, PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.structure import Tried
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import Rules

Params = t.Mapping[str, t.Any]
Result = t.Dict[str, t.Any]


class Policy(t.Protocol):
    """A policy of a capability: equal to another one that means the same."""

    def fields(self) -> dict[str, t.Any]:
        """Return it as the options and the results have it."""


_P = t.TypeVar("_P", bound=Policy)
# A policy as the state has it, with what is noted beside it.
Noted = t.Optional[t.Tuple[_P, t.Mapping[str, t.Any]]]


class PolicyTable(abc.ABC, t.Generic[_P]):
    """The table of a capability, and the files that say what is to be in it.

    name: of the table. title: above a difference. files: of the state, that are removed with the table. more: of the
    result of the module, where nothing else is to be said. Methods raise FirewallError and StateError.
    """

    name: str
    title: str
    files: tuple[str, ...] = (POLICY, PROPOSED)
    more: t.ClassVar[t.Mapping[str, t.Any]] = {}

    def __init__(self, params: Params) -> None:
        self.params = params
        self.place = enforcing.place(params)
        self.nft = Nft()
        self.own = OwnTable(self.nft, self.name)

    @abc.abstractmethod
    def directory(self, create: bool) -> t.ContextManager[StateDirectory | None]:
        """Give the directory of the state, None where there is none and ``create`` is false."""

    @abc.abstractmethod
    def damaged(self, where: StateDirectory | None) -> list[str]:
        """Return the names of the files that are damaged."""

    @abc.abstractmethod
    def read(self, where: StateDirectory | None, name: str = POLICY) -> Noted[_P]:
        """Return a policy of the state, None where there is none."""

    @abc.abstractmethod
    def write(self, where: StateDirectory, policy: _P, name: str = POLICY, **noted: t.Any) -> None:
        """Write a policy into the state, and what is noted with it."""

    @abc.abstractmethod
    def rules(self, policy: _P) -> Rules:
        """Return what the table holds for a policy."""

    @abc.abstractmethod
    def lines(self, wanted: _P) -> list[str]:
        """Return a policy for people."""

    @abc.abstractmethod
    def has_other_openings(self, where: StateDirectory | None, seen: Comparison) -> bool:
        """Say whether the table, whose rules are as they should be, has other openings than it should have."""

    @abc.abstractmethod
    def fill(self, where: StateDirectory) -> None:
        """Put what is open into the table."""

    @abc.abstractmethod
    def settle(self, where: StateDirectory, policy: _P, note: t.Callable[[], None]) -> Result:
        """Put what the policy allows to be open into the table, and call ``note``; return more of the result."""

    def script(self) -> str | None:
        """Return a script for the next boot, as ``persist.keep`` takes it."""
        return None

    def denies_nobody(self, _policy: _P) -> bool:
        return False

    def warnings(self, _policy: _P) -> list[str]:
        return []

    def is_in_nftables(self, noted: Noted[_P]) -> bool:
        """Say whether a policy that the state has is in nftables."""
        return noted is not None

    def has_leftovers(self) -> bool:
        """Say whether an earlier version has left anything else in force."""
        return False

    def remove_leftovers(self) -> bool:
        """Remove that; return whether there was anything."""
        return False

    def remove(self) -> None:
        """Remove the table."""
        self.own.remove()

    def close_all(self, _where: StateDirectory, _damaged: t.Container[str], _check_mode: bool) -> Result:
        """Note that nothing is open any more; return more of the result."""
        return {}

    def compare(self, policy: _P, proposed: Noted[_P] = None) -> Comparison:
        """Return how the kernel stands to a policy. proposed: what the state has noted of a trial."""
        token = proposed[1].get("token") if proposed else None
        tried = Tried(self.rules(proposed[0]), str(token)) if proposed and token else None
        return self.own.compare(self.rules(policy), tried)

    def is_lost_at_boot(self, policy: _P) -> bool:
        """Say whether the next boot would not bring the rules as they should be."""
        return persist.differs(self.place, self.name, self.rules(policy), self.script())

    def rule_lines(self, policy: _P) -> list[str]:
        """Return the rules of a policy for people."""
        chains = self.rules(policy).chains
        return ["inet %s %s: %s" % (self.name, hook, rule) for hook, rules in chains.items() for rule in rules]


def apply(table: PolicyTable[_P], wanted: _P | None, check_mode: bool) -> Result:
    """Put a policy in force, or none; confirm or withdraw a trial. Return the module's result; in check mode only that.

    Raises HostError, StateError.
    """
    with table.directory(create=not check_mode and wanted is not None) as where:
        if check_mode or where is None:
            return _set(table, where, wanted, check_mode)
        with where.locked(LOCK, table.params["lock_timeout"]):
            if table.params["_confirm"]:
                return _confirm(table, where)
            if table.params["_withdraw"]:
                return _withdraw(table, where)
            return _set(table, where, wanted, check_mode)


def _set(table: PolicyTable[_P], where: StateDirectory | None, wanted: _P | None, check_mode: bool) -> Result:
    if wanted is None:
        return _remove(table, where, check_mode)
    noted = table.read(where)
    before = noted[0] if noted else None
    seen = table.compare(wanted, table.read(where, PROPOSED))
    result = _result(table, before, wanted, seen)
    is_tried = seen.force is not None and seen.force.proposed is not None
    if before is not None and seen.problem is None and not is_tried:
        # The kernel has these rules already: there is nothing to try.
        is_other = before != wanted or table.has_other_openings(where, seen)
        changed = is_other or table.is_lost_at_boot(wanted)
        if changed and not check_mode and where is not None:
            _add(result, _settle(table, where, wanted))
        return {**result, "changed": changed}
    needs.check(table.nft)
    if check_mode or where is None:
        table.own.check(table.rules(wanted))
        return {**result, "changed": True}
    if table.denies_nobody(wanted):
        # Nobody needs to prove that somebody still gets in.
        table.own.replace(table.rules(wanted))
        _add(result, _settle(table, where, wanted))
        return {**result, "changed": True, "confirmed": True}
    seconds = table.params["confirm_within"]
    return {**result, "changed": True, "trial": {"token": _propose(table, where, before, wanted), "seconds": seconds}}


def _propose(table: PolicyTable[_P], where: StateDirectory, before: _P | None, wanted: _P) -> str:
    """Put a policy on trial, with what is open, and return the token with which to confirm it."""
    alone = enforcing.is_alone(table.own.look(), table.read(where, PROPOSED))
    former = table.rules(before) if before is not None else None
    token = table.own.propose(table.rules(wanted), table.params["confirm_within"], former)
    try:
        # First, so that whoever looks meanwhile knows whose trial that is.
        table.write(where, wanted, PROPOSED, **enforcing.trial_note(token, alone))
        table.fill(where)
    except Exception:
        table.own.withdraw()
        where.remove(PROPOSED)
        raise
    return token


def _confirm(table: PolicyTable[_P], where: StateDirectory) -> Result:
    """Make what is on trial the policy of the host. That this runs proves that somebody could come in."""
    token = table.params["_confirm"]
    proposed, noted = table.read(where, PROPOSED), table.read(where)
    if proposed is None or proposed[1].get("token") != token:
        if noted is not None and noted[1].get("token") == token:
            # The answer to whoever confirmed it was lost with its connection.
            result = _result(table, None, noted[0], table.compare(noted[0]))
            return {**result, "changed": True, "proven": enforcing.check_arrival(table.params, noted[1])}
        raise HostError("this policy is not on trial on this host: another run has proposed or removed a policy")
    wanted = proposed[0]
    proven = enforcing.check_arrival(table.params, proposed[1])
    table.own.confirm(table.rules(wanted), token)
    settled = _settle(table, where, wanted, **enforcing.trial_of(proposed[1]))
    result = _result(table, noted[0] if noted else None, wanted, table.compare(wanted))
    _add(result, settled)
    return {**result, "changed": True, "confirmed": True, "proven": proven}


def _withdraw(table: PolicyTable[_P], where: StateDirectory) -> Result:
    """Remove what is left of a trial that nobody has confirmed; what is confirmed stays, whoever has confirmed it."""
    proposed = table.read(where, PROPOSED)
    if proposed is None or proposed[1].get("token") != table.params["_withdraw"]:
        return {"changed": False}
    force = table.own.look()
    if table.read(where) is None and force is not None and force.confirmed is None and proposed[1].get("alone"):
        table.remove()
    else:
        table.own.withdraw()
    where.remove(PROPOSED)
    return {"changed": True}


def _settle(table: PolicyTable[_P], where: StateDirectory, wanted: _P, **noted: t.Any) -> Result:
    """Note a policy whose rules are confirmed, and see to the next boot; return what the result has to say of that.

    noted: what else is noted with it.
    """
    confirmed = time.time()
    more = table.settle(where, wanted, lambda: table.write(where, wanted, confirmed=confirmed, **noted))
    where.remove(PROPOSED)
    survives, warnings = enforcing.persisted(table.params, table.name, table.rules(wanted), table.script())
    return {**more, "survives_reboot": survives, "warnings": warnings}


def _remove(table: PolicyTable[_P], where: StateDirectory | None, check_mode: bool) -> Result:
    """Remove everything; a damaged state does not keep it from that."""
    damaged = table.damaged(where)
    noted = None if POLICY in damaged else table.read(where)
    before = noted[0] if noted else None
    in_kernel = has_table(table.own, must_know=POLICY in damaged or table.is_in_nftables(noted))
    changed = in_kernel or before is not None or bool(damaged) or table.has_leftovers()
    result = _result(table, before, None, None)
    if not check_mode:
        # First, so that what is removed now is not there again after a boot.
        changed = persist.forget(table.place, table.name, table.params["lock_timeout"]) or changed
        changed = table.remove_leftovers() or changed
        if in_kernel:
            table.remove()
    if where is not None:
        if not check_mode:
            result["warnings"] += records.set_aside(where, damaged)
        result.update(table.close_all(where, damaged, check_mode))
        for name in table.files if not check_mode else ():
            where.remove(name)
    return {**result, "changed": changed}


def has_table(own: OwnTable, must_know: bool) -> bool:
    """Say whether a table is there. must_know: whether not to know it is a FirewallError."""
    if must_know:
        return own.look_without_policy() is not None
    try:
        return own.look() is not None
    except FirewallError:
        return False  # Without nft nothing is denied with it.


def _add(result: Result, settled: Result) -> None:
    result.update({**settled, "warnings": [*result["warnings"], *settled["warnings"]]})


def _result(table: PolicyTable[_P], before: _P | None, wanted: _P | None, seen: Comparison | None) -> Result:
    """Return what the module has to say. seen: of what is wanted, None where nothing is."""
    is_same = before is not None and before == wanted
    is_there = seen is None or (seen.force is not None and (not is_same or seen.problem is None))
    return {
        **table.more,
        "policy": wanted.fields() if wanted is not None else None,
        "problem": seen.problem if seen and is_same else None,
        "trial": None,
        "confirmed": seen is not None and seen.problem is None,
        "survives_reboot": None,
        "warnings": table.warnings(wanted) if wanted is not None else [],
        "diff": {
            "before": _shown(table, before if is_there else None),
            "after": _shown(table, wanted),
            "before_header": table.title,
            "after_header": table.title,
        },
    }


def _shown(table: PolicyTable[_P], policy: _P | None) -> str:
    """Return a policy as people read it, and the rules of the kernel that it becomes."""
    lines = [*table.lines(policy), *table.rule_lines(policy)] if policy is not None else []
    return "".join("%s\n" % line for line in lines)
