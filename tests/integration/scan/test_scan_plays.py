# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plays of a scan with any strategy, with hosts that fail, in check mode, and beside a role that is used alone.

The hosts are this machine, each with a state directory of its own, and one that nothing listens on.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import typing as t

import pytest

from tests.integration import _keep, _scans
from tests.integration.scan import _forgery
from tests.support.controllers import Controller

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Coverage

pytestmark = pytest.mark.requires("root", "command:unshare")

# Has in place of the state of this machine that of the host.
_PYTHON = """#!/bin/sh
mkdir -p -m 700 /var/lib/bulwark
exec unshare --mount sh -c 'mount --bind "$0" /var/lib/bulwark && exec /usr/bin/python3 "$@"' {state} "$@"
"""
_BROKEN: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "gone": {"ansible_host": "127.0.0.1", "ansible_port": 1},
    "no_become": {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_become": True,
        "ansible_become_method": "su",
        "ansible_become_user": "bulwark-nobody",
    },
    "no_python": {"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent/python3"},
}
# As the releases of ansible-core word it.
_REASONS = {
    "gone": ("the host was unreachable: Failed to connect to the host via ssh",),
    "no_become": ("it failed: Failed to change ownership of the temporary files",),
    "no_python": (
        "it failed: The module interpreter '/nonexistent/python3' was not found",
        "it failed: The module failed to execute correctly, you probably need to set the interpreter",
    ),
}
_CHANGE = ("fim_file_created", "/x")
_TASKS = [
    "Check the options",
    "Open the run",
    "Look with each capability",
    "Close the run, export changes and write the report",
    "Show the findings",
    "Fail for wrong options, findings or gaps",
]


class Site:
    """Hosts, a directory that they watch, and a controller with a store."""

    def __init__(self, controller: Controller, directory: pathlib.Path) -> None:
        self._directory = directory
        self.watched = directory / "watched"
        self.watched.mkdir()
        self.state = directory / "state"
        self.state.mkdir(mode=0o700)
        self._hosts: dict[str, t.Mapping[str, t.Any]] = {}
        side = directory / "controller"
        side.mkdir()
        self.scanner = _scans.Scanner(controller, directory / "hosts.json", side)

    def add(self, **hosts: t.Mapping[str, t.Any]) -> None:
        self._hosts.update(hosts)
        self.scanner.inventory.write_text(json.dumps({"all": {"hosts": self._hosts}}), encoding="utf-8")

    def add_interpreter(self, name: str, script: str) -> None:
        """Add a host that runs modules with this script."""
        python = self._directory / f"{name}.sh"
        python.write_text(script, encoding="utf-8")
        python.chmod(0o755)
        self.add(**{name: {"ansible_connection": "local", "ansible_python_interpreter": str(python)}})

    def add_sound(self) -> None:
        self.add_interpreter("sound", _PYTHON.format(state=self.state))

    @property
    def variables(self) -> dict[str, t.Any]:
        watches = [{"name": "watched", "paths": [str(self.watched)], "category": "program"}]
        return {
            "bulwark_become": False,
            "file_integrity_default_watches": False,
            "file_integrity_watches": watches,
        }

    def scan(self, *arguments: str, **options: t.Any) -> t.Any:
        return self.scanner.scan(*arguments, **{**self.variables, **options})

    def kept(self) -> dict[str, str]:
        """Return a digest of each file that the sound host keeps, by its path."""
        files = sorted(path for path in self.state.rglob("*") if path.is_file())
        return {str(path.relative_to(self.state)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def stored(self) -> dict[str, str]:
        """Return a digest of each file that the controller keeps."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.scanner.directory.iterdir()}


@pytest.fixture
def site(request: pytest.FixtureRequest, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path) -> Site:
    return Site(controller(getattr(request, "param", "2.21")), tmp_path)


@pytest.mark.parametrize(("site", "strategy"), [("2.18", "free"), ("2.21", "host_pinned")], indirect=["site"])
def test_any_strategy_scans_and_closes_the_run_at_its_end(site: Site, strategy: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "answer.json").write_text(
        _forgery.answer({"file_integrity": _forgery.baseline(detections=[_forgery.detection()])}), encoding="utf-8"
    )
    site.add_interpreter("other", f"#!/bin/sh\nexec cat {tmp_path / 'answer.json'}\n")
    site.add_sound()
    site.add(**_BROKEN)

    done = site.scan(environment={"ANSIBLE_STRATEGY": strategy})

    coverage = site.scanner.coverage()
    assert {name for name, entry in coverage.items() if entry.status == "not_checked"} == set(_BROKEN)
    assert _watched(coverage["sound"]) == _watched(coverage["other"], "s") == "checked"
    assert site.scanner.open() == {_CHANGE: "high"}
    _check_closed(site, done.stdout)
    # Each host has its own results, and those of the run come in addition, on one host.
    results = sorted(_results(numbers) for numbers in _scans.recap(done).values())
    assert results[-2] <= 6
    assert results[-1] - results[-2] <= 12


def test_a_run_in_which_all_hosts_fail_is_closed_and_reported(site: Site) -> None:
    site.add(**_BROKEN)

    done = site.scan(environment={"ANSIBLE_STRATEGY": "free"})

    assert {name: entry.status for name, entry in site.scanner.coverage().items()} == dict.fromkeys(
        _BROKEN, "not_checked"
    )
    _check_closed(site, done.stdout)
    assert {(numbers["failed"], numbers["unreachable"]) for numbers in _scans.recap(done).values()} == {(0, 0)}


def _check_closed(site: Site, shown: str) -> None:
    for name in _BROKEN:
        reason = site.scanner.reasons(name)
        assert reason.removeprefix("file_integrity: ").startswith(_REASONS[name]), reason
    with site.scanner.store() as store:
        (run,) = store.runs()
    assert run.finished is not None
    for entry in site.scanner.coverage().values():
        assert entry.recorded is not None
        assert run.started <= entry.recorded <= run.finished
    page = site.scanner.report.read_text(encoding="utf-8")
    assert all(name in page for name in site.scanner.coverage())
    # Other strategies name a task each time that another host begins it.
    assert list(dict.fromkeys(re.findall(r"^TASK \[(.*)\] \*", shown, re.MULTILINE))) == _TASKS


def _watched(coverage: Coverage, scope: str = "watched") -> str:
    """Return how far a watch was looked at; packages and more have scopes of their own."""
    (entry,) = [entry for entry in coverage.entries if entry["scope"] == scope]
    return str(entry["status"])


def _results(numbers: t.Mapping[str, int]) -> int:
    return sum(numbers[name] for name in ("ok", "failed", "unreachable", "skipped"))


def test_a_preview_leaves_nothing_and_a_role_alone_finds_the_same(site: Site, tmp_path: pathlib.Path) -> None:
    site.add_sound()
    before = site.stored()
    site.scan("--check")
    assert (site.kept(), site.stored()) == ({}, before)
    site.scan()
    (site.watched / "program").write_text("#!/bin/sh\n")

    kept, stored = site.kept(), site.stored()
    site.scan("--check")
    assert (site.kept(), site.stored()) == (kept, stored)
    alone = _alone(site, tmp_path)
    # The sealed baseline is looked up, and nothing is written.
    assert site.kept() == kept
    site.scan()

    (stored_finding,) = site.scanner.findings()
    assert [_same(finding) for finding in alone["findings"]] == [_same(stored_finding.event)]
    assert alone["coverage"] == list(site.scanner.coverage()["sound"].entries)


def _alone(site: Site, directory: pathlib.Path) -> dict[str, t.Any]:
    """Return the result of the role in a play of its own."""
    _role(site, directory)
    result: dict[str, t.Any] = json.loads((directory / "alone.json").read_text(encoding="utf-8"))
    return result


def _role(site: Site, directory: pathlib.Path, check: bool = True, **variables: t.Any) -> t.Any:
    keep = _keep.task("file_integrity_scan", directory / "alone.json")
    play = {"name": "One role", "hosts": "sound", "gather_facts": False, "roles": ["bulwark.servers.file_integrity"]}
    (directory / "alone.yml").write_text(json.dumps([{**play, "post_tasks": [keep]}]), encoding="utf-8")
    environment = {**_keep.ENVIRONMENT, "BULWARK_STORE": site.scanner.store_url}
    variables = {**site.variables, **variables}
    return site.scanner.play(directory / "alone.yml", check=check, environment=environment, **variables)


def test_a_role_alone_fails_when_what_follows_its_look_does(site: Site, tmp_path: pathlib.Path) -> None:
    explained = _forgery.baseline(created=False, explained_count=1)
    answers = {"first": {**explained, "comparison": explained}, "later": {"failed": True, "msg": "the disk is full"}}
    for name, result in answers.items():
        (tmp_path / name).write_text(_forgery.answer({"file_integrity": result}), encoding="utf-8")
    later = f"mv {tmp_path}/later {tmp_path}/first"
    site.add_interpreter("sound", f"#!/bin/sh\ncat {tmp_path}/first\n{later}\n")

    done = _role(site, tmp_path, check=False, file_integrity_accept_explained=True)

    assert done.returncode == 2
    assert "the disk is full" in done.stdout


def _same(event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what an event says of the problem, and not of when it was seen and kept."""
    fields = {name: event[name] for name in ("class_uid", "severity", "message", "evidences", "resources", "device")}
    return {**fields, "uid": event["finding_info"]["uid"], "subject": event["unmapped"]["subject"]}


def test_wrong_options_of_one_capability_cost_only_that(site: Site) -> None:
    site.add_sound()
    site.add(gone=_BROKEN["gone"])

    done = site.scan(
        check=False,
        bulwark_capabilities=["file_integrity", "memory_scan"],
        memory_scan_priority="hihg",
        memory_scan_pid=[1],
    )

    assert done.returncode == 2
    wrong = "value of memory_scan_priority must be one of: idle, normal, got: hihg"
    misspelt = "There is no option 'memory_scan_pid'; did you mean memory_scan_pids?"
    said = " ".join(done.stdout.split())
    for text in (wrong, misspelt):
        assert text in said
    with site.scanner.store() as store:
        (run,) = store.runs()
        covered = {(entry.host, entry.capability): entry for entry in store.coverage(run.id)}
    assert run.finished is not None
    assert _watched(covered["sound", "file_integrity"]) == "checked"
    for host in ("sound", "gone"):
        entry = covered[host, "memory_scan"]
        assert entry.status == "not_checked"
        assert entry.entries[0]["reason"] == f"{wrong} {misspelt}"
    assert site.scanner.report.exists()
