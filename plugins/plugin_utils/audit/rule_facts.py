# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Severities and techniques of the alerts that the collection's Sigma rules raise, read without pySigma."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import rule_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents

_TAG = "attack.t"


def by_alert() -> dict[str, rule_facts.AlertFacts]:
    """Return the facts of each alert that a rule of the collection raises; raise ContentError for a broken file."""
    rules: list[dict[str, t.Any]] = []
    for file in documents.files_below(str(detections.OWN_RULES)):
        found, problems = documents.read(file, own=True)
        if problems:
            raise ContentError(str(problems[0]))
        rules += [document.data for document in found]
    steps = {name for rule in rules for name in _parts(rule)}
    return rule_facts.joined(
        (rule["bulwark"]["alert"], rule["level"], _techniques(rule)) for rule in rules if rule["name"] not in steps
    )


def _parts(rule: t.Mapping[str, t.Any]) -> t.Iterable[str]:
    """Return the names of the rules that are only parts of this correlation."""
    correlation = rule.get("correlation", {})
    return () if correlation.get("generate") else correlation.get("rules", ())


def _techniques(rule: t.Mapping[str, t.Any]) -> list[str]:
    tags = map(str, rule.get("tags", ()))
    return [tag.removeprefix("attack.").upper() for tag in tags if tag.startswith(_TAG)]
