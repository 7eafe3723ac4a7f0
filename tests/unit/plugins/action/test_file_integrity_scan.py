# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan's conversation about files: with a real store and the real work of the host, and ended at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.action.file_integrity import ActionModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import outcome
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import check, collect
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation, Request, alone
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import asking
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support.file_integrity import ADDED

_VARS = {"inventory_hostname": "web1"}
_EXPLAINED = {"explained_count": 1}


class _StopError(Exception):
    """The controller ends here."""


class Site:
    """A watched directory on a host, and a store on the controller."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.watched = directory / "watched"
        self.watched.mkdir()
        self.file = self.watched / "file"
        self.file.write_text("as it should be")
        self.baseline = directory / "state" / "file_integrity" / "default.baseline"
        self.url = f"sqlite:///{directory}/findings.db"
        self.asked: list[Request] = []
        self._options: dict[str, t.Any] = {
            "_scan": True,
            # The host's work is done in this process, which must not become idle.
            "priority": "normal",
            "workers": 1,
            "store": self.url,
            "state_dir": str(directory / "state"),
            "default_watches": False,
            "watches": [{"name": "site", "paths": [str(self.watched)]}],
        }

    def action(self, check_mode: bool = False, **options: t.Any) -> tuple[ActionModule, dict[str, t.Any]]:
        action = ActionModule.__new__(ActionModule)
        action._task = types.SimpleNamespace(
            args={**self._options, **options},
            action="bulwark.servers.file_integrity",
            check_mode=check_mode,
            delegate_to=None,
        )
        action._connection = types.SimpleNamespace(_shell=None)
        arguments, problem = action.prepare(dict(_VARS))
        assert problem is None
        return action, arguments

    def answer(self, request: Request) -> dict[str, t.Any]:
        self.asked.append(request)
        assert request.entry is not None
        look = asking.look_of("file_integrity", request, request.entry, False)
        return t.cast(
            "dict[str, t.Any]", json.loads(json.dumps(outcome(check.check, look.params, look.check_mode, look.diff)))
        )

    def scan(self, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Return the result of a scan. ``asked`` has what the host was asked for it."""
        self.asked = []
        action, arguments = self.action(check_mode, **options)
        return alone(action.run_module(arguments, dict(_VARS)), self.answer)

    def phases(self) -> list[str | None]:
        return [request.arguments.get("_phase") for request in self.asked]

    def pass_time(self) -> None:
        """Let what was staged be of a run that must have ended: the next one waits half a minute for any other."""
        staged = self.baseline.with_name("default.staged")
        if staged.exists():
            os.utime(staged, (0, 0))

    def digests(self) -> list[str]:
        with contextlib.closing(Store.open(self.url)) as store:
            return store.expected_digests("web1", "default")

    def reasons(self) -> list[str]:
        with contextlib.closing(Store.open(self.url)) as store:
            history = store.seal_history("web1", "default")
        return [str(entry.reason) for entry in reversed(history) if entry.action == "confirmed"]


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(tmp_path)


def _statuses(result: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {entry["scope"]: entry["status"] for entry in result["coverage"]}


def _alerts(result: t.Mapping[str, t.Any]) -> set[str]:
    return {detection["alert"] for detection in result["detections"]}


def test_the_first_scan_takes_the_baseline_and_the_second_compares_in_one_question(site: Site) -> None:
    first = site.scan()
    assert (first["created"], first["changed"]) == (True, True)
    assert site.phases() == ["stage", "commit"]
    assert site.reasons() == ["First baseline."]
    site.file.write_text("something else")
    second = site.scan()
    assert site.phases() == ["stage"]
    assert _alerts(second) == {"fim_file_modified"}
    assert _statuses(second)["site"] == "checked"
    assert second["changed"] is False


def test_new_watches_are_sealed_and_the_files_compared_after_that(site: Site, tmp_path: pathlib.Path) -> None:
    site.scan()
    site.file.write_text("something else")
    other = tmp_path / "other"
    other.mkdir()
    watches = [{"name": "site", "paths": [str(site.watched)]}, {"name": "other", "paths": [str(other)]}]
    result = site.scan(watches=watches)
    # What nothing could be compared with is said once, with the task and in the report.
    assert result["notices"] == [ADDED % "1 of watch 'other'"]
    noted = {entry["scope"]: entry["note"] for entry in result["coverage"] if "note" in entry}
    assert noted == {"other": "New entries in the baseline, accepted without a comparison: 1"}
    assert site.phases() == ["stage", "commit"]
    assert site.reasons() == ["First baseline.", "Watches added: other."]
    assert result["changed"] is True
    assert _alerts(result) == {"fim_file_modified"}
    assert {"site", "other"} <= set(_statuses(result))
    assert [request.arguments["_compare"] for request in site.asked] == [True, True]
    silent = site.scan(watches=watches)
    assert "notices" not in silent
    assert [entry for entry in silent["coverage"] if "note" in entry] == []


def test_the_first_baseline_is_not_compared_with_itself(site: Site) -> None:
    site.scan()
    assert [request.arguments["_compare"] for request in site.asked] == [True, False]


def test_a_tampered_baseline_is_a_finding_and_stays(site: Site) -> None:
    site.scan()
    forged = site.baseline.read_bytes().replace(b'"recurse":-1', b'"recurse": 0')
    site.baseline.write_bytes(forged)
    result = site.scan()
    assert _alerts(result) == {"fim_baseline_tampered"}
    assert set(_statuses(result).values()) == {"not_checked"}
    assert site.baseline.read_bytes() == forged
    assert not result.get("failed")


def test_a_baseline_that_somebody_removed_is_a_finding_and_is_not_made_anew(site: Site) -> None:
    site.scan()
    site.baseline.unlink()
    result = site.scan()
    assert _alerts(result) == {"fim_baseline_removed"}
    assert set(_statuses(result).values()) == {"not_checked"}
    assert not site.baseline.exists()


def test_a_baseline_without_a_seal_is_compared_and_not_sealed(site: Site, tmp_path: pathlib.Path) -> None:
    site.scan()
    site.file.write_text("something else")
    for file in tmp_path.glob("findings.db*"):
        file.unlink()
    result = site.scan()
    assert _alerts(result) == {"fim_file_modified"}
    assert set(_statuses(result).values()) == {"not_checked"}
    assert site.digests() == []
    # The reason is said to whoever runs this as well.
    assert "no seal" in " ".join(result["notices"])


def test_what_is_to_be_removed_is_removed_together_with_its_seal(site: Site) -> None:
    site.scan()
    result = site.scan(state="absent")
    assert not site.baseline.exists()
    assert site.digests() == []
    assert result["changed"] is True
    assert result["detections"] == []
    (entry,) = result["coverage"]
    assert (entry["scope"], entry["status"]) == ("file_integrity", "not_checked")
    assert "asked for with file_integrity_state=absent" in entry["reason"]
    assert site.scan(state="absent")["changed"] is False


def test_what_cannot_be_removed_is_a_failure_and_not_said_to_be_gone(site: Site) -> None:
    site.scan()
    site.baseline.parent.chmod(0o777)
    result = site.scan(state="absent")
    assert result["failed"] is True
    assert result["msg"]
    assert site.baseline.exists()


def test_check_mode_changes_nothing_and_looks_all_the_same(site: Site) -> None:
    assert site.scan(check_mode=True)["created"] is True
    assert not site.baseline.exists()
    site.scan()
    site.file.write_text("something else")
    before = site.baseline.read_bytes()
    result = site.scan(check_mode=True, watches=[{"name": "site", "paths": [str(site.watched)], "recurse": 0}])
    assert _alerts(result) == {"fim_file_modified"}
    assert site.scan(check_mode=True, state="absent")["changed"] is True
    assert site.baseline.read_bytes() == before


def _accepting(site: Site, result: t.Mapping[str, t.Any], **options: t.Any) -> Conversation | None:
    action, arguments = site.action(**options)
    return action.follow_up(result, arguments, dict(_VARS))


@pytest.mark.parametrize("result", [_EXPLAINED, {"packages_changed": True}])
def test_what_packages_explain_is_accepted_once_without_looking_again(site: Site, result: dict[str, t.Any]) -> None:
    site.scan()
    site.asked = []
    talk = _accepting(site, result, _accept_explained=True)
    assert talk is not None
    assert not alone(talk, site.answer).get("failed")
    first = site.asked[0].arguments
    assert first["accept"] == ["explained"]
    assert first["reason"] == "Explained by the package that owns the file."
    assert not any(request.arguments.get("_compare") for request in site.asked)


@pytest.mark.parametrize(
    ("result", "options"),
    [
        (_EXPLAINED, {"_accept_explained": False}),
        ({"explained_count": 0, "packages_changed": "yes"}, {"_accept_explained": True}),
        ({**_EXPLAINED, "created": True}, {"_accept_explained": True}),
        (_EXPLAINED, {"_accept_explained": True, "state": "absent"}),
        ({}, {"_accept_explained": True}),
    ],
)
def test_nothing_else_is_accepted(site: Site, result: dict[str, t.Any], options: dict[str, t.Any]) -> None:
    assert _accepting(site, result, **options) is None


def test_a_baseline_that_another_run_changed_while_this_one_looked_is_no_tampering(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scan()
    watches = [{"name": "site", "paths": [str(site.watched)]}, {"name": "more", "paths": [str(tmp_path / "more")]}]
    compared = collect.collect
    others = [1]

    def between(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        if others:
            others.pop()
            site.scan(watches=watches)
        return compared(params, check_mode)

    monkeypatch.setattr(collect, "collect", between)
    result = site.scan()
    assert not others
    assert _alerts(result) == set()


def _ended_after(site: Site, questions: int, is_answered: bool, **options: t.Any) -> None:
    """Scan and end the controller with the question of that number: before the host has it, or before the answer."""
    asked = 0

    def answer(request: Request) -> dict[str, t.Any]:
        nonlocal asked
        asked += 1
        if asked < questions:
            return site.answer(request)
        if is_answered:
            site.answer(request)
        raise _StopError

    action, arguments = site.action(**options)
    with contextlib.suppress(_StopError):
        alone(action.run_module(arguments, dict(_VARS)), answer)


@pytest.mark.parametrize("is_answered", [False, True])
@pytest.mark.parametrize("questions", [1, 2])
@pytest.mark.parametrize("is_first", [False, True])
def test_a_scan_that_ends_at_any_moment_leaves_what_the_next_one_believes(
    site: Site, questions: int, is_answered: bool, is_first: bool
) -> None:
    options: dict[str, t.Any] = {}
    if not is_first:
        site.scan()
        options["watches"] = [{"name": "anew", "paths": [str(site.watched)]}]
    _ended_after(site, questions, is_answered, **options)
    site.pass_time()
    result = site.scan(**options)
    assert not result.get("failed")
    assert _alerts(result) == set()
    assert len(site.digests()) == 1
    site.file.write_text("something else")
    assert _alerts(site.scan(**options)) == {"fim_file_modified"}


@pytest.mark.parametrize("method", ["propose_seal", "confirm_seal"])
@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("is_first", [False, True])
def test_a_scan_that_ends_in_the_store_leaves_what_the_next_one_believes(
    site: Site, monkeypatch: pytest.MonkeyPatch, method: str, is_done: bool, is_first: bool
) -> None:
    options: dict[str, t.Any] = {}
    if not is_first:
        site.scan()
        options["watches"] = [{"name": "anew", "paths": [str(site.watched)]}]
    real = getattr(Store, method)

    def ended(*arguments: t.Any, **named: t.Any) -> None:
        if is_done:
            real(*arguments, **named)
        raise _StopError

    with monkeypatch.context() as patch:
        patch.setattr(Store, method, ended)
        action, arguments = site.action(**options)
        with pytest.raises(_StopError):
            alone(action.run_module(arguments, dict(_VARS)), site.answer)
    site.pass_time()
    result = site.scan(**options)
    assert not result.get("failed")
    assert _alerts(result) == set()
    assert len(site.digests()) == 1


def test_a_host_that_stages_no_digest_is_not_believed(site: Site) -> None:
    action, arguments = site.action()
    with pytest.raises(AnsibleActionFail, match="not a SHA-256"):
        alone(action.run_module(arguments, dict(_VARS)), lambda _request: {"staged_digest": "none"})
    assert site.digests() == []
