# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirmed rules that are there again after the host was booted, and after nftables was reloaded.

The text for nft is a state file, and a unit of systemd loads it. Grants and what was counted are not in it: after a
boot nothing is open. Where rules come with a script, the unit makes their table afresh, whatever was in it, and runs
the script after that: the configuration of nftables may hold an old copy of the table, as somebody has saved it.
"""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot, openings, trial
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Outcome, Place, Unit

# Tables of ours that a script may fill sets of, beside its own.
FILLED_TOO = ("bulwark_network",)
# A reload of that begins with an empty rule set, and a restart, too.
_BESIDE = ("nftables.service",)


def unit_name(table: str) -> str:
    """Return the name of the unit of a table: ``bulwark-firewall-jit.service`` for bulwark_jit."""
    return "bulwark-firewall-%s.service" % table.replace("bulwark_", "", 1)


def differs(place: Place, table: str, rules: trial.Rules, script: str | None = None) -> bool:
    """Say whether ``keep`` would change anything. Raises StateError."""
    return boot.differs(place, _files(table, rules, script), _wanted_units(place, table, script))


def keep(
    place: Place, table: str, rules: trial.Rules, lock_timeout: float = 60.0, script: str | None = None
) -> Outcome:
    """Let the rules be there after a boot. They are in force already: what fails here is a note, not an error.

    script: of the shell, that fills sets of the table. Without one they are left as they are when rules are loaded
    beside them.
    """
    try:
        units = _wanted_units(place, table, script)
    except StateError as error:
        return boot.failed(error)
    return boot.keep(place, _files(table, rules, script), units, lock_timeout)


def forget(place: Place, table: str, lock_timeout: float = 60.0) -> bool:
    """Remove file and unit; return whether one was there. Raises StateError."""
    units = [Unit(unit_name(table), table, "", (), _BESIDE)]
    return boot.forget(place, (table + ".nft", table + ".sh"), units, lock_timeout)


def _files(table: str, rules: trial.Rules, script: str | None) -> dict[str, str]:
    text = trial.establish(table, rules)
    if script is None:
        # The configuration of nftables may hold an old copy of what was open, and of a trial.
        opened = all(name in rules.sets for name in openings.SETS.values())
        return {table + ".nft": text + (trial.withdraw(table) + openings.emptied([table]) if opened else "")}
    return {table + ".nft": trial.remove(table) + text, table + ".sh": script}


def _wanted_units(place: Place, table: str, script: str | None) -> list[Unit]:
    """Return the unit for this host, none where nothing could load the rules. Raises StateError."""
    nft = boot.program("nft")
    return [unit(place, table, nft, script is not None)] if nft else []


def unit(place: Place, table: str, nft: str, script: bool) -> Unit:
    """Return the unit of a table. nft: absolute path of the program; script: whether there is one."""
    commands = ["%s -f %s" % (nft, boot.argument(place, table + ".nft"))]
    # What a script can't do leaves the rules as they are, which deny. It fills sets of other tables, too.
    commands += ["-/bin/sh %s" % boot.argument(place, table + ".sh")] if script else []
    after = [unit_name(other) for other in FILLED_TOO] if script else []
    return Unit(unit_name(table), table, "man:nft(8)", commands, _BESIDE, after)
