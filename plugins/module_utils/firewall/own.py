# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of the collection in the kernel: look, propose, confirm, remove.

Whoever changes it has the lock of the capability's state, so that two runs don't come between each other's steps.
"""

from __future__ import annotations

import binascii
import dataclasses
import os

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import trial
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft, Objects


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What the kernel has, held against rules. force: None without a table.

    problem: how it differs, None where it doesn't. unsure: why the rules could only be compared by their mark.
    """

    force: trial.InForce | None
    problem: str | None = None
    unsure: str | None = None


class OwnTable:
    """The table ``inet NAME``. Every method raises FirewallError, and nothing is changed then."""

    def __init__(self, nft: Nft, name: str) -> None:
        self._nft = nft
        self.name = name

    def look(self) -> trial.InForce | None:
        """Return what is in force, None where the table isn't there."""
        objects = self._nft.table(self.name)
        if objects is None:
            return None
        has_set = any(entry.get("set", {}).get("name") == trial.SET for entry in objects)
        return trial.read(objects, self._nft.elements(self.name, trial.SET) if has_set else [])

    def check(self, rules: trial.Rules) -> None:
        """Raise FirewallError when the kernel would refuse the rules."""
        proposed = trial.propose(self.name, rules, 1, "0" * 16)
        self._nft.check(trial.establish(self.name, rules) if rules.harmless else proposed)

    def propose(self, rules: trial.Rules, seconds: int) -> str:
        """Put rules on trial for that many seconds; return the token with which to confirm them."""
        token = binascii.hexlify(os.urandom(8)).decode("ascii")
        self._nft.apply(trial.propose(self.name, rules, seconds, token))
        return token

    def confirm(self, rules: trial.Rules, token: str) -> None:
        """Make the rules on trial the confirmed ones, at once for every packet."""
        found = self.look()
        if found is None or found.token is None:
            raise FirewallError("the trial of %s is over: the rules before it are in force again" % self.name)
        if found.token != token or found.proposed != rules.digest:
            raise FirewallError("other rules of %s are on trial by now: another run has proposed them" % self.name)
        text = trial.confirm(self.name, rules, self._nft.table(self.name) or [])
        try:
            self._nft.apply(text)
        except FirewallError:
            now = self.look()
            if now is None or now.token != token:
                raise FirewallError(
                    "the trial of %s ended in this moment: the rules before it are in force again" % self.name
                ) from None
            raise

    def establish(self, rules: trial.Rules) -> None:
        """Have the rules in force without a trial, as at boot."""
        self._nft.apply(trial.establish(self.name, rules))

    def replace(self, rules: trial.Rules) -> None:
        """Have the rules in force without a trial, in place of whatever was confirmed or on trial before."""
        self._nft.apply(trial.replace(self.name, rules, self._nft.table(self.name) or []))

    def withdraw(self) -> None:
        """End a trial now, if one runs."""
        if self.look() is not None:
            self._nft.apply(trial.withdraw(self.name))

    def intact(self, rules: trial.Rules) -> bool:
        """Say whether the confirmed rules are these and nobody has changed any of them, or what leads to them.

        What should be there is written by the same nft, from a network of its own; in a container that may not have
        one, from a table beside this one that is there for a moment and sees no packet.
        """
        objects = self._nft.table(self.name)
        if objects is None or trial.read(objects, ()).confirmed != rules.digest:
            return False
        try:
            wanted = self._nft.rehearsed(trial.establish(self.name, rules), self.name)
        except FirewallError:
            wanted = self._beside(rules)
        # Chain by chain, which has the elements of anonymous sets, and not those of sets with names, which can be many.
        chains = [entry["chain"]["name"] for entry in objects if "chain" in entry]
        found = [entry for entry in objects if "rule" not in entry]
        found += [{"rule": rule} for chain in chains for rule in self._nft.rules(self.name, chain)]
        return trial.comparable(found, rules) == trial.comparable(wanted, rules)

    def compare(self, rules: trial.Rules) -> Comparison:
        """Return how the kernel stands to the rules that are to be the confirmed ones."""
        force = self.look()
        if force is None:
            return Comparison(None, "the kernel has no table inet %s" % self.name)
        if force.confirmed is None:
            return Comparison(force, "the rules in the kernel are not those of a policy")
        if force.confirmed != rules.digest:
            return Comparison(force, "the kernel has the rules of another policy")
        try:
            intact = self.intact(rules)
        except FirewallError as error:
            return Comparison(force, unsure=str(error))
        return Comparison(force, None if intact else "somebody has changed the rules in the kernel")

    def _beside(self, rules: trial.Rules) -> Objects:
        name = self.name + "_rehearsal"
        self._nft.apply(trial.rehearse(name, rules))
        try:
            return self._nft.whole_table(name)
        finally:
            self._nft.apply(trial.remove(name))

    def remove(self) -> bool:
        """Remove the table; return whether it was there."""
        there = self._nft.table(self.name) is not None
        if there:
            self._nft.apply(trial.remove(self.name))
        return there
