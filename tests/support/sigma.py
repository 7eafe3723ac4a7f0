# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for tests, compiled as the controller does it and matched as a host does it."""

from __future__ import annotations

import json
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.views import fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import USER_ALERT
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.compiler import Compilation, compile_rules
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.facts import Known
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.nodes import Lists
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX


def _alert(identifier: str, severity: str | None) -> Alert:
    title = identifier.replace("_", " ").capitalize()
    return Alert(identifier, title, "alert", severity, "audit", ("linux",), "event", (), "Text.", "Text.", ())


KNOWN = Known(
    {
        "some_alert": _alert("some_alert", None),
        "other_alert": _alert("other_alert", "low"),
        USER_ALERT: _alert(USER_ALERT, "medium"),
    },
    {"T1059", "T1059.004", "T1110"},
    fields_of,
)


def rule(detection: t.Mapping[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    """Return a rule for process_creation; changes: other keys, None for one to leave out."""
    fields = {
        "title": "A rule",
        "logsource": {"product": "linux", "category": "process_creation"},
        "detection": detection,
        "level": "high",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def compiled(
    *rules: t.Mapping[str, t.Any] | str, own: bool = False, lists: Lists | None = None, platform: str = LINUX
) -> Compilation:
    """Compile rules, given as data or as YAML."""
    found = []
    for number, each in enumerate(rules):
        text = each if isinstance(each, str) else yaml.safe_dump(each, sort_keys=False)
        parsed, problems = documents.parse(text, f"rule{number}.yml", own)
        assert not problems
        found += parsed
    return compile_rules(found, KNOWN, lists or {}, platform=platform)


def used(*rules: t.Mapping[str, t.Any] | str, lists: Lists | None = None) -> dict[str, t.Any]:
    """Return the compiled form of rules that are all used, as it comes out of JSON on a host."""
    compilation = compiled(*rules, lists=lists)
    assert not compilation.problems, [str(problem) for problem in compilation.problems]
    return t.cast("dict[str, t.Any]", json.loads(json.dumps(compilation.payload)))


def matches(rule_: t.Mapping[str, t.Any], view: t.Mapping[str, t.Any], lists: Lists | None = None) -> bool:
    """Return whether a rule matches a view: the same with what it can't match without, and without that."""
    payload = used(rule_, lists=lists)
    source = payload["rules"][0]["source"]
    with_it, without = RuleSet(payload).match(source, view), unfiltered(payload).match(source, view)
    assert with_it == without
    return bool(with_it)


def unfiltered(payload: t.Mapping[str, t.Any]) -> RuleSet:
    """Return rules that are all tried on every event."""
    return RuleSet(without_prefilter(payload))


def without_prefilter(payload: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the compiled form of rules without what they can't match without."""
    unwanted = ("prefilter", "needs")
    rules = [{name: value for name, value in each.items() if name not in unwanted} for each in payload["rules"]]
    return {**payload, "rules": rules}


def problem(*rules: t.Mapping[str, t.Any] | str, own: bool = False, lists: Lists | None = None) -> str:
    """Return the one problem that rules have."""
    (found,) = compiled(*rules, own=own, lists=lists).problems
    return str(found)


def correlator(*rules: t.Mapping[str, t.Any] | str, state: t.Any = None) -> tuple[RuleSet, Correlator]:
    """Return the engine and the correlator of some rules."""
    payload = used(*rules)
    return RuleSet(payload), Correlator(payload, state)
