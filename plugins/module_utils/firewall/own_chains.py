# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of the collection in iptables: look, propose, confirm, remove, as ``own`` does with a table of nftables.

Whoever changes them has the lock of the capability's state, so that two runs don't come between each other's steps.
"""

from __future__ import annotations

import binascii
import contextlib
import os
import time

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import chain_trial, iptables
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.chain_trial import (
    HOOKS,
    ChainRules,
    Found,
    Names,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.ipset import IpSet
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.iptables import IpTables
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce

# A variant of iptables frees the sets that its rules have used a moment after the rules are gone.
_TRIES = 25
_PAUSE = 0.2
_MODULES = "/sys/module"
_MODULE = "ip_set"


class OwnChains:
    """The chains NAME in all tables and versions of IP. Every method raises FirewallError.

    Unless it says otherwise, what is in force is what was in force before then.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.names = Names(name)
        self.sets = IpSet()
        self.versions = iptables.versions()
        self._tables = {version: IpTables(version) for version in self.versions}

    def look(self) -> InForce | None:
        """Return what is in force, None where there is nothing of ours.

        The kernel would begin to filter where iptables is asked for a table that nobody uses: as our rules need our
        sets, nothing is asked before those are there.
        """
        if os.path.isdir(_MODULES) and not os.path.isdir(os.path.join(_MODULES, _MODULE)):
            return None
        return chain_trial.read(self.names, self._found(), self._trial()) if self._sets() else None

    def check(self, rules: ChainRules) -> None:
        """Raise FirewallError when the kernel would refuse the rules, as far as that can be told beforehand."""
        self._check_hidden(self._found())
        try:
            iptables.alone(("true",))
        except FirewallError:
            return  # a container may have no network of its own to try them in
        self._rehearsed(rules)

    def shown(self, rules: ChainRules) -> list[str]:
        """Return the rules for people."""
        return [
            "%s %s %s%s: %s"
            % (iptables.PROGRAMS[version], table, self.names.top, end, line.format(chain=self.names.top))
            for (version, table), ends in rules.chains.items()
            for end, lines in ends.items()
            for line in lines
            if version in self.versions
        ]

    def propose(self, rules: ChainRules, seconds: int) -> str:
        """Put rules on trial for that many seconds; return the token with which to confirm them."""
        token = binascii.hexlify(os.urandom(8)).decode("ascii")
        fresh = self.look() is None
        self._check_hidden(self._found())
        try:
            self.sets.apply(chain_trial.create(self.names, rules, self.versions))
            self._finish()
            # A trial that still runs ends here.
            self.sets.apply(chain_trial.end(self.names, self.versions))
            self._write(rules, self.names.proposed, "%s %s" % (rules.digest, token))
            self.sets.apply_strictly(chain_trial.start(self.names, self.versions, seconds))
        except FirewallError:
            # Where one version of IP took it and the other did not, none is to have it.
            with contextlib.suppress(FirewallError):
                self.withdraw()
            if fresh:
                with contextlib.suppress(FirewallError):
                    self.remove()
            raise
        return token

    def confirm(self, rules: ChainRules, token: str) -> None:
        """Make the rules on trial the confirmed ones, for every packet within the time that one call of ipset takes."""
        found = self.look()
        if found is None or found.token is None:
            raise FirewallError("the trial of %s is over: the rules before it are in force again" % self.name)
        if found.token != token or found.proposed != rules.digest:
            raise FirewallError("other rules of %s are on trial by now: another run has proposed them" % self.name)
        try:
            self.sets.apply_strictly(chain_trial.confirm(self.names, self.versions))
        except FirewallError:
            # What is left of it must not be in force for one version of IP alone.
            self.sets.apply(chain_trial.end(self.names, self.versions))
            raise FirewallError(
                "the trial of %s ended in this moment: the rules before it are in force again" % self.name
            ) from None
        # They are in force now, and stay so where this fails; the next trial begins with it.
        with contextlib.suppress(FirewallError):
            self._finish()

    def withdraw(self) -> None:
        """End a trial now, if one runs."""
        sets = self._sets()
        versions = [version for version in self.versions if self.names.trial(version) in sets]
        if not self._is_kept():
            self.sets.apply(chain_trial.end(self.names, versions))

    def compare(self, rules: ChainRules) -> Comparison:
        """Return how the kernel stands to the rules that are to be the confirmed ones."""
        force = self.look()
        if force is None or not any(map(self._has, self._found().values())):
            return Comparison(None, "the kernel has no chain %s" % self.names.top)
        if force.confirmed is None:
            return Comparison(force, "the rules in the kernel are not those of a policy")
        if force.confirmed != rules.digest:
            return Comparison(force, "the kernel has the rules of another policy")
        try:
            wanted = chain_trial.comparable(self.names, self._rehearsed(rules), {})
        except FirewallError as error:
            return Comparison(force, unsure=str(error))
        intact = chain_trial.comparable(self.names, self._found(), self._trial()) == wanted
        return Comparison(force, None if intact else "somebody has changed the rules in the kernel")

    def remove(self) -> bool:
        """Remove chains and sets; return whether there were any. Where it fails, some may be gone."""
        if self.look() is None:
            return False
        found = self._found()
        for version in self.versions:
            lines = {table: chain_trial.remove(self.names, table, found[version, table]) for table in HOOKS}
            lines = {table: some for table, some in lines.items() if some}
            if lines:
                self._tables[version].apply(lines)
        for name in self._sets():
            self._destroy(name)
        return True

    def establishing(self, rules: ChainRules) -> tuple[str, dict[int, str]]:
        """Return the text for ipset, and for each version of IP that for iptables, that have the rules in force."""
        texts = {
            version: iptables.transactions(
                {table: chain_trial.establish(self.names, rules, (version, table)) for table in HOOKS}
            )
            for version in self.versions
        }
        return chain_trial.create(self.names, rules, self.versions), texts

    def _has(self, chains: iptables.Chains) -> bool:
        return any(map(self.names.ours, chains))

    def _found(self) -> Found:
        return {(version, table): self._tables[version].chains(table) for version in self.versions for table in HOOKS}

    def _sets(self) -> list[str]:
        return [name for name in self.sets.names() if name.startswith(self.names.prefix)]

    def _trial(self) -> dict[int, list[Element]]:
        sets = self._sets()
        trials = {version: self.names.trial(version) for version in self.versions}
        return {version: self.sets.elements(name) if name in sets else [] for version, name in trials.items()}

    def _is_kept(self) -> bool:
        """Say whether what was proposed is in force for good, and not yet in the confirmed chains."""
        states = [chain_trial.state(version, some) for version, some in self._trial().items()]
        return set(states) == {chain_trial.KEPT}

    def _write(self, rules: ChainRules, chain: str, mark: str) -> None:
        found = self._found()
        for version in self.versions:
            self._tables[version].apply(
                {
                    table: chain_trial.write(self.names, rules, (version, table), chain, mark, found[version, table])
                    for table in HOOKS
                }
            )

    def _finish(self) -> None:
        """Write what is in force for good to the confirmed chains, so that the others are free for a trial."""
        if not self._is_kept():
            return
        found = self._found()
        for version in self.versions:
            self._tables[version].apply(
                {table: chain_trial.copy(self.names, version, table, found[version, table]) for table in HOOKS}
            )
        self.sets.apply(chain_trial.end(self.names, self.versions))

    def _rehearsed(self, rules: ChainRules) -> Found:
        lines = {
            version: {
                table: chain_trial.write(self.names, rules, (version, table), self.names.confirmed, rules.digest, {})
                for table in HOOKS
            }
            for version in self.versions
        }
        return iptables.rehearsed(chain_trial.create(self.names, rules, self.versions), lines)

    def _destroy(self, name: str) -> None:
        for _attempt in range(_TRIES):
            with contextlib.suppress(FirewallError):
                self.sets.apply("destroy %s\n" % name)
            if name not in self.sets.names():
                return
            time.sleep(_PAUSE)
        raise _hidden(name)

    def _check_hidden(self, found: Found) -> None:
        """Raise FirewallError where rules use our sets that iptables does not show, as those of its other variant."""
        names = [name for name in self._sets() if name in map(self.names.trial, self.versions)]
        for name in () if any(map(self._has, found.values())) else names:
            if self.sets.is_used(name):
                raise _hidden(name)


def _hidden(name: str) -> FirewallError:
    return FirewallError(
        "the set %s is used by rules that iptables does not show: look for them with iptables-legacy-save and"
        " iptables-nft-save, and remove them there" % name
    )
