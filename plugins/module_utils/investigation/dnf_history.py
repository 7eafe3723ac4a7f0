# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read who installed RPM packages from the history of dnf, which its log does not say.

The tables are those of libdnf (libdnf/transaction/sql/create_tables.sql, actions in Types.hpp) and of libdnf5
(libdnf5/transaction/db/sql/create_tables.sql, table trans_item_action).
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.package_logs import Change

_MOST_CHANGES = 5_000
# The budget is checked after so many steps of SQLite's virtual machine.
_STEPS = 10_000
# (uid_t) -1: nobody had signed in.
_UNSET = 4_294_967_295
_QUERY_4 = """
    SELECT trans.dt_begin, trans_item.action, rpm.name, rpm.version, rpm.release, trans.user_id, trans.cmdline
    FROM trans_item JOIN trans ON trans.id = trans_item.trans_id JOIN rpm ON rpm.item_id = trans_item.item_id
    WHERE rpm.name IN (%s) ORDER BY trans_item.id DESC
"""
_QUERY_5 = """
    SELECT trans.dt_begin, trans_item.action_id, pkg_names.name, rpm.version, rpm.release, trans.user_id,
        trans.description
    FROM trans_item JOIN trans ON trans.id = trans_item.trans_id JOIN rpm ON rpm.item_id = trans_item.item_id
        JOIN pkg_names ON pkg_names.id = rpm.name_id
    WHERE pkg_names.name IN (%s) ORDER BY trans_item.id DESC
"""
_DATABASES: tuple[tuple[bytes, str, t.Mapping[int, str]], ...] = (
    (
        b"/var/lib/dnf/history.sqlite",
        _QUERY_4,
        {1: "installed", 2: "downgraded", 6: "upgraded", 8: "removed", 9: "installed again"},
    ),
    (
        b"/usr/lib/sysimage/libdnf5/transaction_history.sqlite",
        _QUERY_5,
        {1: "installed", 2: "upgraded", 3: "downgraded", 4: "installed again", 5: "removed"},
    ),
)


def read(host: Host, names: t.AbstractSet[str], budget: Budget) -> list[Change]:
    """Return the newest changes of some packages. What can't be read is skipped in the budget."""
    changes: list[Change] = []
    for path, query, actions in _DATABASES:
        try:
            with host.opened(path) as (descriptor, status):
                rows = _rows(descriptor, query, sorted(names), budget)
            _note_log(host, path, status.st_mtime_ns, budget)
        except OSError as error:
            if error.errno not in _safe_fs.GONE:
                budget.skip(printable(path), _safe_fs.reason(error))
            continue
        changes += [_change(row, actions) for row in rows if row[1] in actions]
    return changes


def _note_log(host: Host, path: bytes, written: int, budget: Budget) -> None:
    """Note changes that are in SQLite's log only, which stays after it was written into the database.

    written: when the database was, in nanoseconds.
    """
    with contextlib.suppress(OSError):
        log = host.status(path + b"-wal")
        if log.st_size and log.st_mtime_ns > written:
            budget.skip(printable(path), "its newest changes are in a separate log, which is not read")


def _rows(descriptor: int, query: str, names: t.Sequence[str], budget: Budget) -> list[tuple[t.Any, ...]]:
    try:
        # Not every minimal Python has it.
        import sqlite3
    except ImportError as error:
        raise OSError(None, "this host's Python has no sqlite3") from error
    # Read as it is: SQLite would write beside a database that it opens otherwise.
    address = "file:/proc/self/fd/%d?mode=ro&immutable=1" % descriptor
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            database.set_progress_handler(budget.passed, _STEPS)
            return database.execute(query % ", ".join("?" * len(names)), names).fetchmany(_MOST_CHANGES)
    except (sqlite3.Error, UnicodeError) as error:
        raise OSError(None, "it can't be read: %s" % error) from error


def _change(row: tuple[t.Any, ...], actions: t.Mapping[int, str]) -> Change:
    begun, action, name, version, release, user, command = row
    is_number = isinstance(user, int) and 0 <= user < _UNSET
    by = activity.user_name(b"%d" % user) if is_number else ""
    seconds = float(begun) if isinstance(begun, (int, float)) else 0.0
    return Change(seconds, actions[action], str(name), "%s-%s" % (version, release), by, str(command or ""))
