# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the controller knows of addresses: threat lists of the user, and open findings of the store."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, rule_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists import options, rules

# Whoever guesses passwords, searches or scans has no other reason to come.
_TECHNIQUES = ("T1110", "T1046", "T1595")
_SEVERITY = "medium"
_OPEN = ("new", "open")
# Their findings name who came to a port that was closed to them, which is what is to be judged here.
_NOT_ASKED = frozenset(("network_hardening", "jit_access"))
_MOST = 10_000


def threats(lists: t.Sequence[t.Any], now: dt.datetime) -> tuple[list[dict[str, str]], list[str]]:
    """Return the addresses of threat lists as the recommender takes them, and what of the lists can't be used.

    Raises ContentError.
    """
    compiled = rules.compile_lists(options.checked(lists), now)
    found = [
        {"prefix": address, "name": each["name"]}
        for each in compiled.lists
        if each["kind"] == "address"
        for address in each["entries"]
    ]
    return found, [str(one) for one in compiled.problems]


def findings(store: Store) -> list[dict[str, t.Any]]:
    """Return the open findings, of all hosts, that say of an address that it attacks."""
    alerts = [
        alert.id
        for alert in catalogue.load()
        if alert.capability not in _NOT_ASKED
        and any(reference.technique.startswith(_TECHNIQUES) for reference in rule_facts.of_alert(alert).attack)
    ]
    wanted = Query(alerts=alerts, statuses=_OPEN, severity=_SEVERITY, limit=_MOST)
    return [one.event for one in store.query(wanted) if _says_attack(one.event)]


def _says_attack(event: t.Mapping[str, t.Any]) -> bool:
    """Return whether a finding names such a technique; not all rules of an alert have the same."""
    attacks = event["finding_info"]["attacks"]
    return any(attack["technique"]["uid"].startswith(_TECHNIQUES) for attack in attacks)
