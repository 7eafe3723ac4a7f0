# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of iptables that are there again after the host was booted, and after services that replace all rules.

Two units load them. The first only makes the sets, before other services: where somebody saves all rules of iptables
with ours among them, theirs could not be loaded at boot without the sets. The second writes our rules after theirs.
What is in the sets stays when rules are flushed; a script closes what a saved copy of the sets has open after a boot.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Outcome, Place, Unit
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.chain_trial import HOOKS, ChainRules
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.iptables import PROGRAMS
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own_chains import OwnChains

# They begin with rules or sets of their own, in place of all others.
_BESIDE = (
    *("ipset.service", "iptables.service", "ip6tables.service"),
    *("netfilter-persistent.service", "firewalld.service", "ufw.service"),
)
_SETS = ".ipset"
_SCRIPT = ".ipset.sh"
_RULES = {4: ".iptables", 6: ".ip6tables"}
# Nobody makes the sets in time then.
_SAVED = "remove the lock before rules of iptables are saved for a boot, or none of what was saved is loaded then"
# Not in the files: whether it is there already can't be known, and it is not to be there twice.
_HOOKED = "%(ours)s -C %(hook)s %(jump)s || %(ours)s -I %(hook)s 1 %(jump)s"
# Older ones can't be told to wait for another iptables. In a command of systemd, two dollar signs are one.
_LOADED = """/bin/sh -c 'for try in 1 2 3 4 5; do %s --noflush "$$0" && exit 0; sleep 1; done; exit 1' %s"""


class Kept(t.NamedTuple):
    """What is kept for a boot. script: of the shell, that empties sets which are not of this boot."""

    rules: ChainRules
    script: str


def differs(place: Place, own: OwnChains, kept: Kept) -> bool:
    """Say whether ``keep`` would change anything. Raises StateError."""
    return boot.differs(place, _files(own, kept), _wanted_units(place, own))


def keep(place: Place, own: OwnChains, kept: Kept, lock_timeout: float = 60.0) -> Outcome:
    """Let the rules be there after a boot. They are in force already: what fails here is a note, not an error."""
    try:
        wanted = _wanted_units(place, own)
    except StateError as error:
        return boot.failed(error)
    outcome = boot.keep(place, _files(own, kept), wanted, lock_timeout)
    if outcome.note:
        return dataclasses.replace(outcome, note="%s; %s" % (outcome.note, _SAVED))
    return outcome


def forget(place: Place, own: OwnChains, lock_timeout: float = 60.0) -> bool:
    """Remove files and units; return whether one was there. Raises StateError."""
    names = [own.name + ending for ending in (_SETS, _SCRIPT, *_RULES.values())]
    sets, chains = _unit_names(own)
    return boot.forget(place, names, [Unit(sets, "", "", ()), Unit(chains, "", "", (), _BESIDE)], lock_timeout)


def units(place: Place, own: OwnChains, programs: t.Mapping[str, str]) -> list[Unit]:
    """Return the two units. programs: the absolute path of each by its name. Raises StateError."""
    (sets, chains), about = _unit_names(own), "chain %s" % own.names.top
    made = "%s -exist restore -file %s" % (programs["ipset"], boot.argument(place, own.name + _SETS))
    commands = [made, "/bin/sh %s" % boot.argument(place, own.name + _SCRIPT)]
    for version in own.versions:
        program = programs[PROGRAMS[version]]
        rules = boot.argument(place, own.name + _RULES[version])
        commands.append(_LOADED % (programs[PROGRAMS[version] + "-restore"], rules))
        for table, hook in HOOKS.items():
            names = {"ours": "%s -w -t %s" % (program, table), "hook": hook, "jump": own.names.jump}
            commands.append("/bin/sh -c '%s'" % (_HOOKED % names))
    return [
        Unit(sets, "sets of " + about, "man:ipset(8)", [made], before=_BESIDE),
        Unit(chains, about, "man:iptables(8) man:ipset(8)", commands, _BESIDE, after=[sets]),
    ]


def _unit_names(own: OwnChains) -> tuple[str, str]:
    name = "bulwark-firewall-%s" % own.name.replace("bulwark_", "", 1)
    return name + "-ipset.service", name + "-iptables.service"


def _files(own: OwnChains, kept: Kept) -> dict[str, str]:
    sets, texts = own.establishing(kept.rules)
    rules = {own.name + _RULES[version]: text for version, text in texts.items()}
    return {own.name + _SETS: sets, own.name + _SCRIPT: kept.script, **rules}


def _wanted_units(place: Place, own: OwnChains) -> list[Unit]:
    """Return the units for this host, none where nothing could load the rules. Raises StateError."""
    names = ["ipset", *(PROGRAMS[version] + end for version in own.versions for end in ("", "-restore"))]
    programs = {name: path for name, path in ((name, boot.program(name)) for name in names) if path}
    return units(place, own, programs) if len(programs) == len(names) else []
