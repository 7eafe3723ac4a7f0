# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a benchmark: a host's answer, the benchmark and a real store become controls and findings."""

from __future__ import annotations

import contextlib
import pathlib
import time
import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.benchmark import BenchmarkActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import (
    CapabilityActionBase,
    Request,
    alone,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, Query, Store

from tests.unit.plugins.plugin_utils.controls.benchmark import (
    BENCHMARK,
    CATALOGUE,
    DEEP,
    ENGINE,
    NETWORK,
    OTHER,
    UNJUDGED,
    USERS,
    answer,
)
from tests.unit.plugins.plugin_utils.ocsf import schema

_VARS = {"inventory_hostname": "web1"}
_SPEC: dict[str, t.Any] = {
    "edition": {"type": "str", "default": "1.8.0"},
    "level": {"type": "int", "default": 2},
    "store": {"type": "str"},
}


class _Action(BenchmarkActionBase):
    capability = BENCHMARK.capability
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": _SPEC}
    BENCHMARK = BENCHMARK.id
    SCOPE = "engines"
    UNJUDGED = UNJUDGED
    KNOWN = "_known_engines"


class Site:
    """A host that is asked in runs, and a store."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.url = f"sqlite:///{directory}/findings.db"
        self._action: t.Any = _Action
        self.asked: dict[str, t.Any] = {}

    def result(self, *controls: t.Any, check_mode: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        """Return the result of the action for what a host says of controls."""
        options = {name: changes.pop(name) for name in ("edition", "level") if name in changes}
        action = self._action.__new__(self._action)
        action._task = types.SimpleNamespace(
            args={"store": self.url, **options}, action="x", check_mode=check_mode, delegate_to=None
        )
        arguments, problem = action.prepare(dict(_VARS))
        assert problem is None
        assert "store" not in arguments
        reported = {"controls": list(controls), "detections": [], "coverage": [_coverage()], **changes}

        def ask(request: Request) -> dict[str, t.Any]:
            self.asked = request.arguments
            return reported

        answered = alone(action.run_module(arguments, dict(_VARS)), ask)
        return t.cast("dict[str, t.Any]", action.result(answered, arguments, dict(_VARS)))

    def record(self, result: dict[str, t.Any]) -> None:
        """Record a result in a run of its own."""
        now = time.time()
        described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
        with self.store() as store:
            run = store.start_run(hosts=["web1"], capabilities=[BENCHMARK.capability], now=now, **described)
            found = CapabilityResult(
                BENCHMARK.capability,
                result["findings"],
                result["coverage"],
                controls=result["controls"],
                containers=result["containers"],
            )
            (recorded,) = store.record_host(run, "web1", [found], now)
        assert recorded.refused is None

    def store(self) -> contextlib.closing[Store]:
        return contextlib.closing(Store.open(self.url))


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(benchmarks, "load", lambda: {BENCHMARK.id: BENCHMARK})
    monkeypatch.setattr(catalogue, "load", lambda: CATALOGUE)
    return Site(tmp_path)


def _coverage(*skipped: str) -> dict[str, t.Any]:
    scope = _finding.ScopeCoverage("engines")
    for subject in skipped:
        scope.skip(subject, "it does not run now")
    scope.examined = 1
    return scope.entry()


def _by_number(result: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {control["number"]: control for control in result["controls"]}


def test_an_answer_becomes_controls_and_findings_that_the_store_keeps(site: Site) -> None:
    result = site.result(
        answer(), answer(USERS, "manual", ["alice"]), answer(DEEP, "passed", []), containers=[{"engine": ENGINE}]
    )
    statuses = {number: control["status"] for number, control in _by_number(result).items()}
    assert statuses == {"5.10": "failed", "1.1.2": "manual", "2.2": "passed"}
    assert [event["metadata"]["event_code"] for event in result["findings"]] == [NETWORK.id, UNJUDGED]
    assert [schema.errors(event) for event in result["findings"]] == [[], []]
    site.record(result)
    with site.store() as store:
        assert {found.number: found.status for found in store.controls()} == statuses
        assert {(found.alert, found.subject) for found in store.query()} == {(NETWORK.id, ENGINE), (UNJUDGED, ENGINE)}
        assert [found.container for found in store.containers()] == [{"engine": ENGINE}]
        (run,) = store.benchmark_runs(newest=True)
        assert run.weights == {"failed": 4, "manual": 7, "passed": 2}


def test_what_a_person_judged_holds_until_the_evidence_changes(site: Site) -> None:
    site.record(site.result(answer(USERS, "manual", ["alice"])))
    with site.store() as store:
        decided: t.Any = {"verdict": "passed", "reason": "OPS-12", "by": "carol", "now": time.time()}
        store.judge("web1", BENCHMARK.id, "1.1.2", **decided)
    result = site.result(answer(USERS, "manual", ["alice"]))
    assert _by_number(result)["1.1.2"]["status"] == "passed"
    assert result["findings"] == []
    site.record(result)
    with site.store() as store:
        (found,) = store.controls(controls=["1.1.2"])
        assert (found.status, found.previous_status) == ("passed", "manual")
        assert found.judgement is not None
        assert (found.judgement.actor, found.judgement.reason) == ("carol", "OPS-12")
        assert [each.status for each in store.query()] == ["resolved"]
    changed = _by_number(site.result(answer(USERS, "manual", ["alice", "eve"])))["1.1.2"]
    assert changed["status"] == "manual"
    assert "carol judged it passed" in changed["reason"]
    assert [item["is_new"] for item in changed["evidences"]] == [False, True]


def test_a_failed_verdict_is_a_finding(site: Site) -> None:
    site.record(site.result(answer(USERS, "manual", ["eve"])))
    with site.store() as store:
        decided: t.Any = {"verdict": "failed", "reason": "eve left", "by": "carol", "now": time.time()}
        store.judge("web1", BENCHMARK.id, "1.1.2", **decided)
    (event,) = site.result(answer(USERS, "manual", ["eve"]))["findings"]
    assert (event["metadata"]["event_code"], event["severity"]) == (USERS.id, "High")
    assert "carol judged it failed" in event["message"]


def test_a_control_that_was_not_checked_leaves_its_finding_open_and_a_passed_one_does_not(site: Site) -> None:
    site.record(site.result(answer(), answer(DEEP)))
    site.record(site.result(answer(status="not_checked", items=[]), answer(DEEP, "passed", [])))
    with site.store() as store:
        assert {found.alert: found.status for found in store.query()} == {NETWORK.id: "new", DEEP.id: "resolved"}
        (resolved,) = store.query(Query(statuses=["resolved"]))
        assert resolved.event["compliance"]["status"] == "Pass"
        assert schema.errors(resolved.event) == []


def test_the_host_is_told_which_engines_are_known_and_keeps_the_findings_of_one_that_stopped(site: Site) -> None:
    site.record(site.result(answer(), {**answer(), "subject": OTHER}))
    assert site.asked["_known_engines"] == []
    site.record(site.result(coverage=[_coverage(OTHER)]))
    assert site.asked["_known_engines"] == [ENGINE, OTHER]
    with site.store() as store:
        assert {found.subject for found in store.controls()} == {OTHER}
        found = {(each.alert, each.subject): each.status for each in store.query()}
    assert found == {(NETWORK.id, ENGINE): "resolved", (NETWORK.id, OTHER): "new"}
    site.result()
    assert site.asked["_known_engines"] == [OTHER]


def test_options_choose_level_and_edition(site: Site) -> None:
    everything = [answer(content) for content in (USERS, DEEP, NETWORK)]
    assert set(_by_number(site.result(*everything, level=1))) == {"1.1.2", "5.10"}
    assert set(_by_number(site.result(*everything, edition="1.6.0"))) == {"2.1", "5.9"}


def test_a_check_writes_nothing(site: Site) -> None:
    result = site.result(answer(USERS, "manual"), check_mode=True)
    assert _by_number(result)["1.1.2"]["status"] == "manual"
    assert not pathlib.Path(site.url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    "controls", [[{**answer(), "status": "green"}], [answer(), answer()], [{"control": "x"}], ["x"]]
)
def test_an_answer_that_is_none_is_refused_as_a_whole(site: Site, controls: list[t.Any]) -> None:
    with pytest.raises(AnsibleActionFail, match="the host returned an invalid result, which was discarded"):
        site.result(*controls)


def test_a_failed_answer_stays_one(site: Site) -> None:
    result = site.result(answer(), failed=True, msg="no root")
    assert result["failed"]
    assert "controls" not in result


def test_a_store_that_cannot_be_opened_is_named(site: Site) -> None:
    site.url = "mysql://x"
    with pytest.raises(AnsibleActionFail, match="the store works with SQLite and PostgreSQL"):
        site.result(answer())


def test_a_capability_without_a_benchmark_has_no_controls() -> None:
    class Other(CapabilityActionBase):
        capability = "audit"

    action: t.Any = Other.__new__(Other)
    reported = {"controls": [answer()], "containers": [{"engine": ENGINE}], "changed": False}
    assert action.result(reported, {}, dict(_VARS)) == {"capability": "audit", "changed": False}
