# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on this machine, with a small watch and a store of the test's own: what it records, and what it refuses."""

from __future__ import annotations

import contextlib
import fcntl
import json
import pathlib
import sqlite3
import typing as t

import pytest

from tests.integration import _scans
from tests.support.controllers import THIS_MACHINE, Controller, controller

pytestmark = pytest.mark.requires("root")

_HOST = "localhost"
_NO_SEAL = "the controller holds no seal for the baseline on the host"


class Site:
    """A directory that is watched, and scans of it that keep their baseline beside it."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self.directory = directory
        self.watched = directory / "watched"
        self.watched.mkdir()
        (self.watched / "file").write_text("as it should be")
        self.scanner = _scans.Scanner(ansible, THIS_MACHINE, directory)
        self.variables: dict[str, t.Any] = {
            "bulwark_become": False,
            "file_integrity_state_dir": str(directory / "state"),
            "file_integrity_default_watches": False,
            "file_integrity_watches": [{"name": "site", "paths": [str(self.watched)]}],
        }
        self.baseline = directory / "state" / "file_integrity" / "default.baseline"

    def scan(self, *arguments: str, **variables: t.Any) -> str:
        """Scan and return what was printed, whatever the scan ended with."""
        done = self.scanner.scan(*arguments, check=False, **{**self.variables, **variables})
        return done.stdout + done.stderr

    def coverage(self) -> dict[str, t.Mapping[str, t.Any]]:
        (found,) = self.scanner.coverage().values()
        return {entry["scope"]: entry for entry in found.entries}

    def statuses(self) -> set[str]:
        return {entry["status"] for entry in self.coverage().values()}

    def reasons(self) -> list[str]:
        """Return why baselines were sealed, the oldest first."""
        with self.scanner.store() as store:
            history = store.seal_history(_HOST, "default")
        return [str(entry.reason) for entry in reversed(history) if entry.action == "confirmed"]

    def lose_the_store(self) -> None:
        for file in self.directory.glob("findings.db*"):
            file.unlink()


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(controller("2.21"), tmp_path)


def test_check_mode_leaves_neither_a_store_nor_a_baseline(site: Site) -> None:
    said = site.scan("--check")
    assert "failed=0" in said or "Scanned 1 of 1 host" in said
    assert not list(site.directory.glob("findings.db*"))
    assert not site.baseline.exists()


def test_the_history_of_the_seal_says_what_was_done(site: Site) -> None:
    one, two = ({"name": name, "paths": [str(site.watched / name)]} for name in ("one", "two"))
    site.scan()
    assert "A baseline was taken" in site.coverage()["baseline_seal"]["note"]
    site.scan(file_integrity_watches=[one, two])
    site.scan(file_integrity_watches=[{**one, "recurse": 0}, two])
    site.scan(file_integrity_state="absent")
    assert not site.baseline.exists()
    assert site.statuses() == {"not_checked"}
    (entry,) = site.coverage().values()
    assert (
        entry["reason"] == "There is no baseline, as asked for with file_integrity_state=absent, so no file is watched."
    )
    site.scan()
    assert site.reasons() == [
        "First baseline.",
        "Watches added: one, two. Watches removed: site.",
        "Watches changed: one.",
        "Baseline taken again.",
    ]


def test_a_baseline_without_a_seal_is_not_sealed_by_the_way(site: Site) -> None:
    site.scan()
    (site.watched / "file").write_text("something else")
    site.lose_the_store()
    before = site.baseline.read_bytes()
    other = {"name": "other", "paths": ["/etc/hostname"]}
    for watches in (site.variables["file_integrity_watches"], [*site.variables["file_integrity_watches"], other]):
        site.scan(file_integrity_watches=watches)
        assert site.statuses() == {"not_checked"}
        assert _NO_SEAL in str(site.coverage()["site"]["reason"])
        # It can be seen, and believed by whoever wants to.
        assert site.scanner.open() == {("fim_file_modified", str(site.watched / "file")): "medium"}
    assert site.baseline.read_bytes() == before
    assert site.reasons() == []

    # Whoever takes it anew resolves what there was, also that one was tampered with.
    _take_anew(site, set(site.scanner.open()))
    assert site.reasons() == ["First baseline."]
    content = site.baseline.read_bytes()
    site.baseline.write_bytes(content.replace(b'"recurse":-1', b'"recurse": 0'))
    site.scan()
    assert site.scanner.open() == {("fim_baseline_tampered", str(site.baseline)): "high"}
    assert site.statuses() == {"not_checked"}
    _take_anew(site, {("fim_baseline_tampered", str(site.baseline))})


def _take_anew(site: Site, found: set[tuple[str, str]]) -> None:
    """Remove the baseline and take another; found: what stays open until then."""
    site.scan(file_integrity_state="absent")
    assert set(site.scanner.open()) == found
    site.scan()
    assert site.scanner.open() == {}
    assert site.coverage()["site"]["status"] == "checked"


def test_while_another_run_writes_what_is_in_the_baseline_is_compared(site: Site) -> None:
    site.scan()
    (site.watched / "file").write_text("something else")
    watches = [*site.variables["file_integrity_watches"], {"name": "other", "paths": ["/etc/hostname"]}]
    with site.baseline.with_name("default.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        printed = site.scan(file_integrity_watches=watches, file_integrity_lock_timeout=0)
    assert "another run is writing in" in printed
    assert site.scanner.open() == {("fim_file_modified", str(site.watched / "file")): "medium"}
    assert site.coverage()["site"]["status"] == "checked"
    assert site.coverage()["baseline_seal"].get("note") is None, "only who takes a baseline says so"
    assert site.coverage()["other"]["status"] == "not_checked"
    assert "it is not in the baseline yet" in str(site.coverage()["other"]["reason"])
    site.scan(file_integrity_watches=watches)
    assert site.coverage()["other"]["status"] == "checked"


def test_a_seal_that_cannot_be_settled_hinders_no_comparison(site: Site) -> None:
    site.scan()
    (site.watched / "file").write_text("something else")
    with site.scanner.store() as store:
        seal = store.seal(_HOST, "default")
    assert seal is not None
    database = site.directory / "findings.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        # As after a controller that was cut off when the host had changed and the seal had not.
        connection.execute("UPDATE bulwark_seals SET next_digest = digest, digest = ?", ("0" * 64,))
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON bulwark_seals BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        connection.commit()
    options = {"state_dir": str(site.directory / "state")}
    compared = site.scanner.module("file_integrity_info", _HOST, **options)
    assert [change["path"] for change in compared["changes"]] == [str(site.watched / "file")]
    assert any("for the next run to settle" in warning for warning in compared["warnings"])
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TRIGGER full")
        connection.commit()
    assert "warnings" not in site.scanner.module("file_integrity_info", _HOST, **options)
    with site.scanner.store() as store:
        settled = store.seal(_HOST, "default")
    assert settled is not None
    assert (settled.digest, settled.next_digest) == (seal.digest, None)


_WRONG = [
    ({"file_integrity_workers": 0}, "file_integrity_workers is 0; use 1 or more"),
    ({"file_integrity_time_budget": -1}, "file_integrity_time_budget is -1; use 0 or more"),
    ({"file_integrity_rehash": "x" * 300}, "value of file_integrity_rehash must be one of: always, changed, got: x"),
    ({"file_integrity_workers": "many"}, "argument 'file_integrity_workers' is of type"),
    ({"file_integrity_watches": [{"name": "site", "paths": ["etc"]}]}, "watch 'site': paths: 'etc' is not absolute"),
    ({"file_integrity_watches": "/srv/a b"}, "file_integrity_watches: '/srv/a b' is not a list of wat"),
    ({"file_integrity_watches": ["/srv/x"]}, "file_integrity_watches, item 1: '/srv/x' is not a watch; write"),
    ({"file_integrity_watches": {"name": "x"}}, "file_integrity_watches: this is one watch and no list"),
    (
        {"file_integrity_disabled_watches": ["nothing"], "file_integrity_default_watches": True},
        "file_integrity_disabled_watches: 'no",
    ),
]


@pytest.mark.parametrize("version", ["2.18", "2.21"])
def test_a_wrong_variable_is_named_in_full_and_kept_for_the_end(tmp_path: pathlib.Path, version: str) -> None:
    site = Site(controller(version), tmp_path)
    kept = tmp_path / "kept"
    tasks: list[dict[str, t.Any]] = []
    for number, (variables, _said) in enumerate(_WRONG):
        opened = {"bulwark.servers.findings_run": {"state": "started", "capabilities": ["file_integrity"]}}
        role = {"name": "bulwark.servers.file_integrity", "rolespec_validate": False}
        run = {"bulwark_run_id": f"{{{{ run{number}.run.id }}}}"}
        tasks.append({**opened, "register": f"run{number}"})
        tasks.append({"ansible.builtin.include_role": role, "vars": {**site.variables, **run, **variables}})
        kept_all = "{{ messages | default([]) + file_integrity_scan.misconfigured }}"
        tasks.append({"ansible.builtin.set_fact": {"messages": kept_all}})
        finished = {"state": "finished", "run": f"{{{{ run{number}.run.id }}}}"}
        tasks.append({"bulwark.servers.findings_run": finished})
    tasks.append(
        {
            "ansible.builtin.copy": {
                "content": "{{ messages | to_json }}",
                "dest": str(kept),
                "mode": "0600",
            }
        }
    )
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([{"name": "Try", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    environment = {"BULWARK_STORE": site.scanner.store_url}
    done = site.scanner.play(playbook, environment=environment)
    messages = json.loads(kept.read_text())
    assert len(messages) == len(_WRONG), done.stdout
    with site.scanner.store() as store:
        runs = list(reversed(store.runs()))
        reasons = [store.coverage(run.id)[0].entries[0]["reason"] for run in runs]
    for (_variables, said), message, reason in zip(_WRONG, messages, reasons, strict=True):
        assert message.startswith(said)
        assert message == reason
    assert "x" * 300 in messages[2]


def test_a_host_that_failed_is_not_taken_for_a_wrong_variable(site: Site) -> None:
    (site.directory / "state").symlink_to("/tmp")
    tasks = [
        {"ansible.builtin.include_role": {"name": "bulwark.servers.file_integrity"}},
        {"ansible.builtin.assert": {"that": "file_integrity_scan.misconfigured == []"}},
    ]
    opened: dict[str, t.Any] = {
        "bulwark.servers.findings_run": {"state": "started", "capabilities": ["file_integrity"]},
        "register": "run",
    }
    play = {"name": "Try", "hosts": "all", "gather_facts": False, "tasks": [opened, *tasks]}
    play["vars"] = {**site.variables, "bulwark_run_id": "{{ run.run.id }}"}
    playbook = site.directory / "play.yml"
    playbook.write_text(json.dumps([play]))
    site.scanner.play(playbook, environment={"BULWARK_STORE": site.scanner.store_url})
    assert "is a symbolic link" in str(site.coverage()["file_integrity"]["reason"])


def test_a_misspelt_variable_is_refused_and_noted(site: Site) -> None:
    message = "There is no option 'file_integrity_watchs'; did you mean file_integrity_watches?"
    said = site.scan(file_integrity_watchs=[])
    assert message in said
    assert message in str(site.coverage()["file_integrity"]["reason"])
    assert not site.baseline.exists()
