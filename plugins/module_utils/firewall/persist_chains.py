# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of iptables that are there again after the host was booted, and after services that replace all rules.

The sets are made, if they are not there, and keep what is in them: whoever flushes the rules of iptables leaves them.
After a boot they are empty.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Outcome, Place, Unit
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.chain_trial import HOOKS, ChainRules
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.iptables import PROGRAMS
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own_chains import OwnChains

# They begin with rules of their own, in place of all others.
_BESIDE = ("iptables.service", "ip6tables.service", "netfilter-persistent.service", "firewalld.service", "ufw.service")
_SETS = ".ipset"
_RULES = {4: ".iptables", 6: ".ip6tables"}
# Not in the files: whether it is there already can't be known, and it is not to be there twice.
_HOOKED = "%(program)s -t %(table)s -C %(hook)s %(jump)s || %(program)s -t %(table)s -I %(hook)s 1 %(jump)s"


def differs(place: Place, own: OwnChains, rules: ChainRules) -> bool:
    """Say whether ``keep`` would change anything. Raises StateError."""
    return boot.differs(place, _files(own, rules), _wanted_unit(place, own))


def keep(place: Place, own: OwnChains, rules: ChainRules, lock_timeout: float = 60.0) -> Outcome:
    """Let the rules be there after a boot. They are in force already: what fails here is a note, not an error."""
    try:
        wanted = _wanted_unit(place, own)
    except StateError as error:
        return boot.failed(error)
    return boot.keep(place, _files(own, rules), wanted, lock_timeout)


def forget(place: Place, own: OwnChains, lock_timeout: float = 60.0) -> bool:
    """Remove files and unit; return whether one was there. Raises StateError."""
    names = [own.name + ending for ending in (_SETS, *_RULES.values())]
    return boot.forget(place, names, unit(own, ()), lock_timeout)


def commands(place: Place, own: OwnChains, programs: t.Mapping[str, str]) -> list[str]:
    """Return the commands of the unit. programs: the absolute path of each by its name. Raises StateError."""
    found = ["%s -exist restore -file %s" % (programs["ipset"], boot.argument(place, own.name + _SETS))]
    for version in own.versions:
        rules = boot.argument(place, own.name + _RULES[version])
        found.append("%s --noflush %s" % (programs[PROGRAMS[version] + "-restore"], rules))
        for table, hook in HOOKS.items():
            program = programs[PROGRAMS[version]]
            names = {"program": program, "table": table, "hook": hook, "jump": own.names.jump}
            found.append("/bin/sh -c '%s'" % (_HOOKED % names))
    return found


def _files(own: OwnChains, rules: ChainRules) -> dict[str, str]:
    sets, texts = own.establishing(rules)
    return {own.name + _SETS: sets, **{own.name + _RULES[version]: text for version, text in texts.items()}}


def _wanted_unit(place: Place, own: OwnChains) -> Unit | None:
    """Return the unit for this host, None where nothing could load the rules. Raises StateError."""
    names = ["ipset", *(PROGRAMS[version] + end for version in own.versions for end in ("", "-restore"))]
    programs = {name: path for name, path in ((name, boot.program(name)) for name in names) if path}
    return unit(own, commands(place, own, programs)) if len(programs) == len(names) else None


def unit(own: OwnChains, some: t.Sequence[str]) -> Unit:
    """Return the unit with some commands."""
    name = "bulwark-firewall-%s-iptables.service" % own.name.replace("bulwark_", "", 1)
    return Unit(name, "chain %s" % own.names.top, "man:iptables(8) man:ipset(8)", some, _BESIDE)
