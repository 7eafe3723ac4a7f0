# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Severities and ATT&CK techniques of alerts: their own, or those of the collection's rules that raise them.

A rule has its severity and techniques, so that its alert's entry in the catalogue has neither. A capability whose
detections come from rules has a module ``plugin_utils/CAPABILITY/rule_facts.py`` with a function ``by_alert()``, which
returns the ``AlertFacts`` of its alerts by id. Nothing here names a capability.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert, AttackReference

_PACKAGE = __name__.rpartition(".")[0]


@dataclasses.dataclass(frozen=True)
class AlertFacts:
    """What findings of one alert can have. severities: from the lowest, each once. attack: techniques, each once."""

    severities: tuple[str, ...]
    attack: tuple[AttackReference, ...]

    @property
    def severity(self) -> str:
        """The severity for people to read: one, or a range."""
        return " to ".join(dict.fromkeys((self.severities[0], self.severities[-1])))


def of_alert(alert: Alert) -> AlertFacts:
    """Return the facts of an alert; raise ContentError where neither it nor a rule of the collection has a severity."""
    facts = by_alert().get(alert.id)
    if facts is not None:
        return facts
    if alert.severity is None:
        raise catalogue.ContentError(f"alert '{alert.id}' has no severity, and no rule raises it; add one of them")
    return AlertFacts((alert.severity,), alert.attack)


@functools.lru_cache(maxsize=1)
def by_alert() -> t.Mapping[str, AlertFacts]:
    """Return the facts of all alerts that rules of the collection raise; raise ContentError for a broken file."""
    found: dict[str, AlertFacts] = {}
    for capability in capabilities.load():
        module = _module(f"{_PACKAGE}.{capability}")
        if module is not None:
            found.update(module.by_alert())
    return found


def joined(rules: t.Iterable[tuple[str, str, t.Iterable[str]]]) -> dict[str, AlertFacts]:
    """Return the facts by alert of rules, each given as its alert, severity and techniques."""
    severities: dict[str, set[str]] = {}
    techniques: dict[str, set[str]] = {}
    for alert, severity, named in rules:
        severities.setdefault(alert, set()).add(severity)
        techniques.setdefault(alert, set()).update(named)
    known = catalogue.load()
    return {
        alert: AlertFacts(
            tuple(sorted(found, key=SEVERITIES.index)), tuple(map(known.technique, sorted(techniques[alert])))
        )
        for alert, found in severities.items()
    }


def _module(package: str) -> types.ModuleType | None:
    name = f"{package}.rule_facts"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, package):
            raise
        return None
