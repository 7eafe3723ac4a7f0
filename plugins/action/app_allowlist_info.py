# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try the allowlists that there are on everything that the store has seen."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    allowlist_files,
    dry_run,
    learning,
    outdated,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommend import recommend
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, listed, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store


class ActionModule(StoreActionBase):
    """Read the store and the files, and change nothing."""

    READS_ONLY = True
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "allowlists": {"type": "str", "required": True},
            "hosts": {"type": "list", "elements": "str"},
            "minimum_days": {"type": "int", "default": 14},
            "minimum_hosts": {"type": "int", "default": 3},
            "max_review": {"type": "int", "default": 20},
        }
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        lists = allowlist_files.load(output.located(options["allowlists"]))
        inventory = (task_vars.get("groups") or {}).get("all") or ()
        known_names.check_hosts(options["hosts"] or (), store, inventory)
        fleet = store.fleet(None if options["hosts"] is None else [host_name(host) for host in options["hosts"]])
        replay = dry_run.replay(fleet, lists, learning.users_of(store), time.time())
        asked = Options(**{name: options[name] for name in ("minimum_days", "minimum_hosts", "max_review")})
        recommendation = recommend(fleet, asked, learning.previous(lists), learning.open_findings(store))
        alerts = learning.shown_alerts(store, replay.alerts)
        changes = learning.shown_changes(outdated.of_lists(lists, recommendation, fleet))
        return {
            "changed": False,
            "alerts": alerts,
            "alerts_count": len(replay.alerts),
            "hosts_judged": len(replay.judged),
            "hosts_without": list(replay.without),
            "changes": changes,
            "insufficient": dict(recommendation.insufficient),
            "lines": [
                visible(line)
                for line in (
                    *_host_lines(replay),
                    *learning.alert_lines(alerts, len(replay.alerts)),
                    *learning.change_lines(changes),
                )
            ],
        }


def _host_lines(replay: dry_run.Replay) -> list[str]:
    lines = [f"{counted(len(replay.judged), 'host')} with an allowlist."]
    if replay.without:
        lines.append(f"{counted(len(replay.without), 'host')} without one: {listed(list(replay.without))}.")
    return lines
