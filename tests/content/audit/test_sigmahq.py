# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SigmaHQ's Linux rules against audit records, whose matches an independent engine (pySigma to SQLite) has noted."""

from __future__ import annotations

import functools
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.support import paths
from tests.support._require import require
from tests.support.sigma import without_prefilter

require("data:sigmahq-linux", "data:linux-atomics-auditd")

# Rules with keywords, which the independent engine has no way to evaluate (they are looked for in a whole event, and a
# query needs a field), with how many of its events they are in.
KEYWORD_RULES = {
    # In audit records.
    "c52a914f-3d8b-4b2a-bb75-b3991e75f8ba": 4,
    "b3cec4e7-6901-4b0d-a02d-8ab2d8eb818b": 4,
    "4cb57c2f-1f29-41f8-893d-8bed8e1c1d2f": 9,
    "df3fcaea-2715-4214-99c5-0056ea59eb35": 1,
    "eae8ce9f-bde9-47a6-8e79-f20d18419910": 2,
    # For Linux, of no service or category: in logs, and in command lines.
    "7e3c4651-c347-40c4-b1d4-d48590fdf684": 3,
    "2aa1440c-9ae9-4d92-84a7-a9e5f5e31695": 5,
}


@functools.lru_cache(maxsize=1)
def content() -> detections.Content:
    return detections.load([str(paths.data("sigmahq-linux"))], own_rules=False)


def expected() -> list[dict[str, t.Any]]:
    return t.cast(
        "list[dict[str, t.Any]]", json.loads((paths.data("linux-atomics-auditd") / "expected.json").read_text())
    )


def found(compiled: dict[str, t.Any]) -> dict[str, set[str]]:
    """Return which rules match each event of the log, as the reader of a host asks for them."""
    engine = RuleSet(compiled)
    verdicts = Verdicts(engine, compiled, Processes(()))
    matched = {}
    for event in Joiner().events((paths.data("linux-atomics-auditd") / "audit.log").read_bytes()):
        identity = f"{event.seconds}.{event.milliseconds:03d}:{event.serial}"
        matched[identity] = {engine.rule(hit.rule).id for looked in verdicts.look(event) for hit in looked.hits}
    return matched


# What they look for is in no event: the audit system knows the addresses of connections, and not their names.
NAMELESS = (
    "net_connection_lnx_crypto_mining_indicators.yml",
    "net_connection_lnx_domain_localtonet_tunnel.yml",
    "net_connection_lnx_ngrok_tunnel.yml",
)


def test_all_rules_can_be_used_or_are_named_with_the_reason() -> None:
    reason = "no event of network_connection on these hosts has DestinationHostname, so nothing could match"
    said = [(problem.partition(", line ")[0].rpartition("/")[2], problem) for problem in content().problems]
    assert sorted(name for name, _problem in said) == sorted(NAMELESS)
    assert all(problem.endswith(reason) for _name, problem in said)
    assert (content().rules, content().foreign) == (211, 0)
    assert RuleSet(_payload.unpack(content().payload)).problems == []


def test_every_event_agrees_but_for_keywords() -> None:
    matched = found(_payload.unpack(content().payload))
    assert len(matched) == len(expected()) == 607
    beyond: dict[str, int] = {}
    for event in expected():
        rules = matched[event["event"]]
        assert rules - KEYWORD_RULES.keys() == set(event["expected_rules"]), event
        for rule in rules & KEYWORD_RULES.keys():
            beyond[rule] = beyond.get(rule, 0) + 1
    assert beyond == KEYWORD_RULES


def test_every_event_agrees_with_all_rules_tried() -> None:
    compiled = _payload.unpack(content().payload)
    assert found(compiled) == found(without_prefilter(compiled))
