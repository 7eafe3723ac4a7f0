# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of the collection in the kernel: look, propose, confirm, remove.

Whoever changes it has the lock of the capability's state, so that two runs don't come between each other's steps.
"""

from __future__ import annotations

import binascii
import contextlib
import dataclasses
import os

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import netlink, structure, trial
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, FirewallError, Nft, Objects


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The kernel's table compared with rules. force: None without a table.

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
        return None if objects is None else trial.read(objects, self._on_trial(objects))

    def look_without_policy(self) -> trial.InForce | None:
        """Return what is in force, on a host without nft, too: it can have nothing in force, which the kernel knows."""
        try:
            return self.look()
        except FirewallError as error:
            try:
                if not netlink.has_table(self.name):
                    return None
            except FirewallError as other:
                raise FirewallError("%s; %s" % (error, other)) from error
            raise FirewallError(
                "the kernel has the table inet %s, and nothing on this host can look into it: %s" % (self.name, error)
            ) from error

    def _on_trial(self, objects: Objects) -> list[Element]:
        has_set = any(entry.get("set", {}).get("name") == trial.SET for entry in objects)
        return self._nft.elements(self.name, trial.SET) if has_set else []

    def check(self, rules: trial.Rules) -> None:
        """Raise FirewallError when the kernel would refuse the rules."""
        objects = self._nft.table(self.name) or []
        text = trial.establish(self.name, rules) if rules.harmless else trial.propose(self.name, rules, 1, "0" * 16)
        self._nft.check(text if self._is_sound(objects, rules) else trial.remove(self.name) + text)

    def propose(self, rules: trial.Rules, seconds: int, former: trial.Rules | None = None) -> str:
        """Put rules on trial for that many seconds; return the token with which to confirm them.

        former: the rules that are to be in force when nobody confirms these, None without. They are needed where
        somebody has changed the table so that it has to be made afresh; what its sets had is gone then.
        """
        token = binascii.hexlify(os.urandom(8)).decode("ascii")
        objects = self._nft.table(self.name) or []
        text = trial.prepare(self.name, rules, token, objects)
        if not self._is_sound(objects, rules):
            before = trial.establish(self.name, former) if former else ""
            text = trial.remove(self.name) + before + trial.prepare(self.name, rules, token)
        self._nft.apply(text)
        self._nft.apply(trial.begin(self.name, seconds))
        return token

    def confirm(self, rules: trial.Rules, token: str) -> None:
        """Make the rules on trial the confirmed ones, at once for every packet."""
        found = self.look()
        if found is None or found.token is None:
            raise FirewallError("the trial of %s is over: the former rules are in force again" % self.name)
        if found.token != token or found.proposed != rules.digest:
            raise FirewallError("another run has proposed other rules of %s, which are on trial now" % self.name)
        text = trial.confirm(self.name, rules, self._nft.table(self.name) or [])
        try:
            self._nft.apply(text)
        except FirewallError:
            now = self.look()
            if now is None or now.token != token:
                raise FirewallError(
                    "the trial of %s has just ended: the former rules are in force again" % self.name
                ) from None
            raise
        # Both chains have the same rules by now. If this fails, the kernel ends the trial a few seconds later.
        with contextlib.suppress(FirewallError):
            self._nft.apply(trial.withdraw(self.name))

    def establish(self, rules: trial.Rules) -> None:
        """Have the rules in force without a trial, as at boot."""
        self._nft.apply(trial.establish(self.name, rules))

    def replace(self, rules: trial.Rules) -> None:
        """Have the rules in force without a trial, in place of whatever was confirmed or on trial before.

        Where somebody has changed the table so that it has to be made afresh, what its sets had is gone.
        """
        objects = self._nft.table(self.name) or []
        if self._is_sound(objects, rules):
            self._nft.apply(trial.replace(self.name, rules, objects))
        else:
            self._nft.apply(trial.remove(self.name) + trial.establish(self.name, rules))

    def is_sound(self, rules: trial.Rules) -> bool:
        """Say whether the rules can be put into the table as it is."""
        return self._is_sound(self._nft.table(self.name) or [], rules)

    def _is_sound(self, objects: Objects, rules: trial.Rules) -> bool:
        try:
            return not objects or structure.is_sound(objects, self._written(rules))
        except FirewallError:
            return True  # What is wrong with the rules shows when they are put into the table.

    def withdraw(self) -> None:
        """End a trial now, if one runs."""
        if self.look() is not None:
            self._nft.apply(trial.withdraw(self.name))

    def compare(self, rules: trial.Rules, tried: structure.Tried | None = None) -> Comparison:
        """Return how the kernel stands to the rules that are to be the confirmed ones.

        tried: rules that are on trial, as the state has them noted.
        """
        objects = self._nft.table(self.name)
        if objects is None:
            return Comparison(None, "the kernel has no table inet %s" % self.name)
        elements = self._on_trial(objects)
        force = trial.read(objects, elements)
        if force.confirmed is None:
            return Comparison(force, "the rules in the kernel are not those of a policy")
        if force.confirmed != rules.digest:
            return Comparison(force, "the kernel has the rules of another policy")
        problem = structure.problem(objects, elements, tried)
        if problem is not None:
            return Comparison(force, problem)
        try:
            same = self._is_same(objects, rules, tried if elements else None)
        except FirewallError as error:
            return Comparison(force, unsure=str(error))
        return Comparison(force, None if same else "somebody has changed the rules in the kernel")

    def _is_same(self, objects: Objects, rules: trial.Rules, tried: structure.Tried | None) -> bool:
        wanted = self._written(rules, tried)
        on_trial = tried.rules if tried else None
        # Chain by chain, which has the elements of anonymous sets, and not those of sets with names, which can be many.
        chains = [entry["chain"]["name"] for entry in objects if "chain" in entry]
        found = [entry for entry in objects if "rule" not in entry]
        found += [{"rule": rule} for chain in chains for rule in self._nft.rules(self.name, chain)]
        return trial.comparable(found, rules, on_trial) == trial.comparable(wanted, rules, on_trial)

    def _written(self, rules: trial.Rules, tried: structure.Tried | None = None) -> Objects:
        """Return the table with these rules as this nft writes it. tried: rules that are on trial in it.

        It is made in a network of its own; in a container that may not have one, beside this table, for a moment in
        which it sees no packet.
        """
        name = self.name + "_rehearsal"
        texts = {self.name: "", name: ""}
        if tried:
            texts = {one: trial.propose(one, tried.rules, structure.LONGEST_TRIAL, tried.token) for one in texts}
        try:
            return self._nft.rehearsed(trial.establish(self.name, rules) + texts[self.name], self.name)
        except FirewallError:
            self._nft.apply(trial.rehearse(name, rules, texts[name]))
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
