# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the recorder are those that are documented, and what a host says of its traffic is judged here."""

from __future__ import annotations

import time
import types
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.action import traffic_info, traffic_recorder
from ansible_collections.bulwark.servers.plugins.filter.network_recommendations import network_recommendations
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import PUBLIC_PORTS
from ansible_collections.bulwark.servers.plugins.modules import traffic_info as info_doc
from ansible_collections.bulwark.servers.plugins.modules import traffic_recorder as recorder_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import alone
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import options

DAY = 86400


def _plain(fields: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    plain = {key: value for key, value in fields.items() if key not in ("description", "suboptions")}
    if "suboptions" in fields:
        plain["options"] = {name: _plain(inner) for name, inner in fields["suboptions"].items()}
    return plain


@pytest.mark.parametrize(
    ("action", "module"), [(traffic_recorder.ActionModule, recorder_doc), (traffic_info.ActionModule, info_doc)]
)
def test_the_options_are_the_documented_ones(action: t.Any, module: t.Any) -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert action.ARGUMENTS["argument_spec"] == {name: _plain(fields) for name, fields in documented.items()}


def test_host_and_controller_have_the_same_defaults() -> None:
    spec = traffic_info.ActionModule.ARGUMENTS["argument_spec"]
    assert PUBLIC_PORTS == options.PUBLIC_PORTS
    assert spec["minimum_days"]["default"] == options.MINIMUM_DAYS
    assert spec["max_prefixes"]["default"] == options.MAX_PREFIXES


def _answer(**changes: t.Any) -> dict[str, t.Any]:
    now = time.time()
    traffic = [
        {
            "source": f"203.0.113.{number}",
            "port": 22,
            "protocol": "tcp",
            "direction": "in",
            "first_seen": now - 20 * DAY,
            "last_seen": now - 60,
            "count": 3,
            "answered": 3,
            "refused": 0,
            "days": {},
        }
        for number in range(1, 6)
    ]
    return {
        "changed": False,
        "since": now - 30 * DAY,
        "incomplete_since": None,
        "traffic": traffic,
        "listening": [{"port": 8080, "protocol": "tcp", "address": "::", "reach": "open", "process": None}],
        "addresses": [],
        "detections": [],
        "coverage": [],
        **changes,
    }


class _Action(traffic_info.ActionModule):  # type: ignore[misc]
    """Has an answer in place of a host."""

    def __init__(self, answer: dict[str, t.Any], **given: t.Any) -> None:
        self._answer = answer
        self._task = types.SimpleNamespace(action="traffic_info", args=given, check_mode=False)
        self.sent = self.module_arguments(dict(given), {})

    def answered(self) -> dict[str, t.Any]:
        return alone(self.run_module(self.sent, {}), lambda _request: self._answer)


def test_what_only_the_recommender_needs_is_not_sent() -> None:
    action = _Action(_answer(), trusted=["10.0.0.0/8"], keep_days=30, minimum_days="20")
    assert action.sent == {"keep_days": 30}


def test_all_traffic_is_judged_and_some_of_it_returned() -> None:
    result = _Action(_answer(), max_traffic="2").answered()
    assert len(result["traffic"]) == 2
    assert [found["alert"] for found in result["detections"]] == ["network_port_unused"]
    (port,) = result["recommendations"]
    assert (port["port"], port["status"]) == (8080, "close")
    assert "sources" not in port
    assert [entry["scope"] for entry in result["coverage"]] == ["ports"]


def test_a_host_that_saw_too_little_gets_no_finding() -> None:
    result = _Action(_answer(since=time.time() - DAY, traffic=[])).answered()
    assert result["detections"] == []
    assert [entry["status"] for entry in result["coverage"]] == ["not_checked"]


def test_what_could_not_be_read_is_not_told_as_what_is_not_there() -> None:
    reason = "only root can look at the packet filter."
    coverage = [{"scope": "traffic", "status": "not_checked", "reason": reason}]
    unread = _answer(since=None, traffic=[], traffic_count=None, recorder=None, coverage=coverage)
    result = _Action(unread).answered()
    assert (result["detections"], result["coverage"][-1]["reason"]) == ([], reason)
    assert result["recommendations"][0]["reason"] == "it is not known who connects: 14 days of traffic are needed"


def test_a_host_s_own_findings_are_not_believed() -> None:
    result = _Action(_answer(detections=[{"alert": "network_port_unused", "subject": "tcp/1"}])).answered()
    assert [found["subject"] for found in result["detections"]] == ["tcp/8080"]


@pytest.mark.parametrize("changes", [{"listening": 5}, {"traffic": [{"source": "\x1b[2J"}]}, {"traffic": "x"}])
def test_an_answer_that_makes_no_sense_is_refused(changes: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleActionFail, match="which was discarded; check the host"):
        _Action(_answer(**changes)).answered()


def test_a_failed_answer_is_left_as_it_is() -> None:
    failed = {"failed": True, "msg": "there is no nft"}
    assert _Action(failed).answered() == failed


def test_days_on_which_nobody_came_count_where_traffic_would_have_been_seen() -> None:
    now = time.time()
    listening = [{"port": 8080}]
    alone = network_recommendations([], listening)
    assert alone["ports"][0]["status"] == "not_enough_data"
    watched = network_recommendations([], listening, observed=[now - 30 * DAY, now])
    assert watched["ports"][0]["status"] == "close"
