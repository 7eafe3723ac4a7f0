# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the kernel record who connects, change how it does, or remove it; nothing that was counted is lost by that."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, persist, policy_table
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison, OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import (
    entries,
    imports,
    kernel,
    reader,
    rules,
    settings,
    sockets,
    state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import Settings

LONGEST_KEPT = 400


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    check_options(params, ("state_dir",), {"lock_timeout": 0})
    check_kept(params["keep_days"])
    wanted = None
    if params["state"] == "present":
        wanted = settings.parse(params, settings.first_ephemeral())
        if params["purge"]:
            raise UsageError(
                "purge is only for state=absent: with state=present it would delete the recorded traffic; leave it out"
            )
    nft = Nft()
    with enforcing.directory(params, state.CAPABILITY, create=not check_mode and wanted is not None) as where:
        if check_mode or where is None:
            return _set(params, nft, where, wanted, check_mode)
        with where.locked(state.LOCK, params["lock_timeout"]):
            return _set(params, nft, where, wanted, check_mode)


def check_kept(days: int) -> None:
    """Raise UsageError for a number of days that can't be kept."""
    if not 1 <= days <= LONGEST_KEPT:
        raise UsageError("keep_days is %d; use 1 to %d" % (days, LONGEST_KEPT))


def _set(
    params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory | None, wanted: Settings | None, check_mode: bool
) -> dict[str, t.Any]:
    before = state.read_settings(where)
    if wanted is None:
        return _remove(params, nft, where, before, check_mode)
    own, table = OwnTable(nft, rules.NAME), rules.rules(wanted)
    seen = own.compare(table)
    retired = _retired(nft, seen, wanted)
    same = before == wanted and seen.problem is None and not retired
    result = _result(before, wanted, seen)
    if same and not persist.differs(enforcing.place(params), rules.NAME, table):
        return {**result, "changed": False}
    if check_mode or where is None:
        own.check(table)
        return {**result, "changed": True}
    if not same:
        if own.is_sound(table):
            own.establish(table)
        # Sets that are of another kind now are no longer counted in, and there until they are read.
        _merge(params, nft, where, before or wanted)
        own.replace(table)
        state.write_settings(where, wanted)
    survives, warnings = enforcing.persisted(params, rules.NAME, table)
    told = {"warnings": warnings} if warnings else {}
    return {**result, "changed": True, "survives_reboot": survives, **told}


def _retired(nft: Nft, seen: Comparison, wanted: Settings) -> bool:
    """Say whether there are sets of other settings, which a run that was cut off has left."""
    if seen.force is None:
        return False
    names = {entry["set"]["name"] for entry in nft.table(rules.NAME) or () if "set" in entry}
    return bool(names - set(rules.rules(wanted).sets) - {"trial"})


def _merge(params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory, recorded: Settings | None) -> None:
    """Keep what the kernel has counted. Raises FirewallError, StateError."""
    book = state.read(where)
    seen = kernel.look(nft)
    if seen is not None:
        reader.read(nft, book, seen, sockets.read(), recorded, mark=True)
        trim(book, params["keep_days"])
        state.write(where, book)


def trim(book: state.Book, days: int) -> None:
    """Forget what is older than so many days."""
    before = time.time() - days * 86400
    entries.forget(book.entries, before)
    book.imports = imports.forget(book.imports, before)


def _remove(
    params: t.Mapping[str, t.Any],
    nft: Nft,
    where: StateDirectory | None,
    before: Settings | None,
    check_mode: bool,
) -> dict[str, t.Any]:
    own = OwnTable(nft, rules.NAME)
    there = policy_table.has_table(own, must_know=before is not None)
    names = (state.RECORDER, state.BOOK) if params["purge"] else (state.RECORDER,)
    noted = where is not None and any(where.exists(name) for name in names)
    result = _result(before, None, Comparison(None))
    if check_mode:
        return {**result, "changed": there or noted}
    # First, so that what is removed now is not there again after a boot.
    forgotten = persist.forget(enforcing.place(params), rules.NAME, params["lock_timeout"])
    if there:
        if where is not None and not params["purge"]:
            _merge(params, nft, where, before)
        own.remove()
    if where is not None:
        for name in names:
            where.remove(name)
    return {**result, "changed": there or noted or forgotten}


def _result(before: Settings | None, wanted: Settings | None, seen: Comparison) -> dict[str, t.Any]:
    there = wanted is None or (seen.force is not None and (before != wanted or seen.problem is None))
    return {
        "recorder": wanted.fields() if wanted else None,
        "problem": seen.problem if before is not None and before == wanted else None,
        "survives_reboot": None,
        "diff": {
            "before": _shown(before if there else None),
            "after": _shown(wanted),
            "before_header": "traffic recorder",
            "after_header": "traffic recorder",
        },
    }


def _shown(shown: Settings | None) -> str:
    """Return the settings as people read them, and the rules of the kernel that they become."""
    if shown is None:
        return ""
    lines = ["%s: %s" % (name, value) for name, value in shown.fields().items()]
    table = rules.rules(shown)
    lines += ["inet %s set %s { %s }" % (rules.NAME, name, kind) for name, kind in table.sets.items()]
    for hook, found in table.chains.items():
        lines += ["inet %s %s: %s" % (rules.NAME, hook, line) for line in found]
    return "".join("%s\n" % line for line in lines)
