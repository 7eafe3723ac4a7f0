# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of an investigation are those that are documented, and nothing that a host returns is believed."""

from __future__ import annotations

import contextlib
import copy
import pathlib
import types
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.action import investigation_info
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.collect import as_data
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import (
    Cut,
    Event,
    Investigation,
    Link,
    Node,
    Reason,
)
from ansible_collections.bulwark.servers.plugins.modules import investigation_info as documentation
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import findings, received
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support import paths

_ROLE = paths.ROOT / "roles" / "investigation"
_SPEC = investigation_info.ActionModule.ARGUMENTS["argument_spec"]
_NODES = [Node("process:7@70", "x (7)", {"pid": 7}, 1.0, None), Node("file:/dev/shm/x", "/dev/shm/x", {}, 1.0, 2.0)]
_WHOLE = as_data(
    Investigation(
        "process 7",
        _NODES,
        [Link("process:7@70", "file:/dev/shm/x", "wrote", "audit", 1.5)],
        [
            Reason("process:7@70", 0, None, None, "it is what the investigation begins with"),
            Reason("file:/dev/shm/x", 1, "process:7@70", "wrote", "x (7) wrote it"),
        ],
        [Event(1.5, "audit", "x (7) wrote /dev/shm/x", ("process:7@70", "account:5"))],
        [Cut("nodes", "Only the nearest 2 are listed.", 3)],
    )
)


def test_the_options_are_the_documented_ones() -> None:
    documented = yaml.safe_load(documentation.DOCUMENTATION)["options"]
    plain = {
        name: {key: value for key, value in fields.items() if key != "description"}
        for name, fields in documented.items()
    }
    assert plain == _SPEC


def test_the_role_has_each_option_with_its_default() -> None:
    defaults = yaml.safe_load((_ROLE / "defaults" / "main.yml").read_text())
    options = yaml.safe_load((_ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {name: fields["default"] for name, fields in options.items() if "default" in fields} == defaults
    (look,) = capabilities.load()["investigation"].looks
    for name in look.options:
        assert defaults[f"investigation_{name}"] == _SPEC[name].get("default", 0 if name == "pid" else ""), name


def _arguments(**given: t.Any) -> dict[str, t.Any]:
    made = investigation_info.ActionModule.__new__(investigation_info.ActionModule)
    made._task = types.SimpleNamespace(args=given, action="bulwark.servers.investigation_info", delegate_to=None)
    return t.cast("dict[str, t.Any]", made.module_arguments(dict(given), {"inventory_hostname": "web1"}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "none of them is set; set exactly one of finding, pid, path, user, address"),
        ({"pid": 0, "path": ""}, "none of them is set"),
        ({"pid": 5, "user": "root"}, "pid and user is set"),
        ({"pid": -5}, "pid is -5"),
        ({"path": "x"}, "path: 'x' is relative"),
        ({"path": "/x/../y"}, "path: '/x/../y' has .. in it"),
        ({"address": "example.org"}, "address: 'example.org' is not an address"),
        ({"pid": 5, "time": "yesterday"}, "time: 'yesterday' is not a time; write it in UTC as"),
        ({"pid": 5, "time": "2026-13-01"}, "time: '2026-13-01' is not a time"),
        ({"pid": 5, "nodes": 5001}, "nodes is 5001; use 5000 or less"),
        ({"pid": 5, "depth": 0}, "depth is 0; use 1 or more"),
        ({"pid": 5, "audit_logs": ["a.log"]}, "audit_logs: 'a.log' is relative"),
    ],
)
def test_wrong_options_are_named_before_a_host_is_asked(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(ContentError, match=words.replace("(", "[(]")):
        _arguments(**given)


def test_the_host_gets_what_a_finding_shows_and_not_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str | None]] = []

    # The store itself is tested with the module in a playbook.
    def load(uid: str, host: str, url: str | None) -> findings.Found:
        asked.append((uid, host, url))
        return findings.Found([{"process": {"pid": 7}}], 1.0, None)

    monkeypatch.setattr(findings, "load", load)
    given = _arguments(finding="F-1", store="sqlite:////x", record=True)

    assert asked == [("F-1", "web1", "sqlite:////x")]
    assert given == {"finding": "F-1", "_evidences": [{"process": {"pid": 7}}], "_first_time": 1.0}


def test_what_a_host_returns_comes_through_as_it_is() -> None:
    checked = received.check(copy.deepcopy(_WHOLE))

    assert checked["nodes"] == [{**node, "kind": node["id"].partition(":")[0]} for node in _WHOLE["nodes"]]
    assert checked["events"] == [{**_WHOLE["events"][0], "nodes": ["process:7@70"]}]
    for name in ("subject", "links", "reasons", "cuts"):
        assert checked[name] == _WHOLE[name]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("nodes",), {}, "nodes is not a list"),
        (("nodes", 0), [], "a node is not a mapping"),
        (("nodes", 0, "id"), "proces:7", "begins with no kind"),
        (("nodes", 0, "id"), "process:", "begins with no kind"),
        (("nodes", 0, "id"), "file:/dev/shm/x", "it names a node twice"),
        (("nodes", 0, "first"), float("nan"), "a time is not a number"),
        (("nodes", 0, "first"), "now", "a time is not a number"),
        (("nodes", 0, "facts"), {"x": "y" * 70_000}, "too many"),
        (("nodes", 0, "facts"), {str(number): 1 for number in range(100)}, "too many"),
        (("nodes", 0, "label"), None, "label is not text"),
        (("links", 0, "relation"), "loves", "a link has an unknown relation"),
        (("links", 0, "target"), "file:/other", "leads to a node that is not named"),
        (("reasons", 0, "step"), True, "a reason has no number of steps"),
        (("reasons", 1, "via"), "process:9@9", "leads to a node that is not named"),
        (("events", 0, "time"), None, "an event has no time"),
        (("events", 0, "text"), "x" * 5_000, "text has more than 4096 characters"),
        (("cuts", 0, "limit"), "mood", "a cut has an unknown limit"),
        (("subject",), 5, "subject is not text"),
    ],
)
def test_an_answer_that_is_wrong_is_refused_whole(path: tuple[t.Any, ...], value: t.Any, words: str) -> None:
    answer = copy.deepcopy(_WHOLE)
    place: t.Any = answer
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(received.InvestigationError, match=words):
        received.check(answer)

    made = investigation_info.ActionModule.__new__(investigation_info.ActionModule)
    with pytest.raises(AnsibleActionFail, match="which was discarded; check the host"):
        made.complete({"investigation": answer})


def test_a_result_has_its_summary_and_what_the_store_keeps_of_it() -> None:
    made = investigation_info.ActionModule.__new__(investigation_info.ActionModule)
    made._task = types.SimpleNamespace(args={"finding": "F-1"}, action="x", delegate_to=None)
    made._given = {"record": False}
    forged = {"finding": "other", "subject": "other", "summary": ["All is well."]}
    answer = {"changed": False, "investigation": copy.deepcopy(_WHOLE), "investigated": forged, "coverage": []}
    result = made.result(answer, {}, {"inventory_hostname": "web1"})
    about = result["investigated"]

    assert [event["class_name"] for event in result["queries"]] == ["Process Query", "File Query"]
    assert result["queries"][0]["device"]["name"] == "web1"
    assert (about["finding"], about["subject"]) == ("F-1", "process 7")
    assert about["summary"][1] == "x (7) wrote /dev/shm/x."


@pytest.mark.parametrize("is_check_mode", [False, True])
def test_a_result_is_recorded_on_request_except_in_check_mode(tmp_path: pathlib.Path, is_check_mode: bool) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    task_vars = {"inventory_hostname": "web1", "awx_user_name": "ada"}
    made = investigation_info.ActionModule.__new__(investigation_info.ActionModule)
    given = {"pid": 7, "record": True, "store": url}
    made._task = types.SimpleNamespace(args=given, action="x", delegate_to=None, check_mode=is_check_mode)
    made.module_arguments(dict(given), task_vars)
    result = made.result({"changed": False, "investigation": copy.deepcopy(_WHOLE), "coverage": []}, {}, task_vars)

    with contextlib.closing(Store.open(url)) as store:
        recorded = store.investigations(with_results=True)
    assert [each.id for each in recorded] == ([] if is_check_mode else [result["id"]])
    for each in recorded:
        assert (each.host, each.subject, each.by) == ("web1", "process 7", "ada")
        assert each.summary.split("\n") == result["investigated"]["summary"]
        assert each.result == result["investigation"]
