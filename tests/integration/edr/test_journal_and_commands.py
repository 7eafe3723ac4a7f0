# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts from a real journal, from a product's command that root runs, and for an account that is not root."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import command
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.journal import Messages
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content

from tests.support import commands
from tests.support.edr_alerts import Controller, options

SYSMON = ["SYSLOG_IDENTIFIER=sysmon"]


class Journal:
    """A journal to which entries are added."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory, self._files, self._time = directory, 0, time.time() - 3600
        directory.mkdir()

    def write(self, *messages: tuple[str, str]) -> None:
        """Add messages, each with the account that sent it."""
        exported = ""
        for uid, message in messages:
            self._time += 1
            fields = {
                "__REALTIME_TIMESTAMP": int(self._time * 1e6),
                "__MONOTONIC_TIMESTAMP": int((self._time - 1_700_000_000) * 1e6),
                "_BOOT_ID": "0123456789abcdef0123456789abcdef",
                "_UID": uid,
                "SYSLOG_IDENTIFIER": "sysmon",
                "MESSAGE": message,
            }
            exported += "".join(f"{name}={value}\n" for name, value in fields.items()) + "\n"
        self._files += 1
        export = self.directory.parent / "export"
        export.write_bytes(exported.encode("utf-8", "surrogateescape"))
        program = commands.find("systemd-journal-remote") or ""
        target = self.directory / f"remote-{self._files}.journal"
        subprocess.run([program, f"--output={target}", str(export)], check=True, capture_output=True)


@pytest.mark.requires("command:journalctl", "command:systemd-journal-remote")
def test_the_journal_is_read_once_and_believes_root_only(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.write(("0", "<Event>1"), ("1000", "<Event>forged"), ("0", "<Event>2"))

    def read(cursor: str | None) -> Messages:
        return Messages(SYSMON, cursor, 0.0, str(journal.directory))

    first = read(None)
    assert list(first.read(Deadline(0))) == ["<Event>1", "<Event>2"]
    assert (first.forged, first.problem) == (1, None)
    again = read(first.cursor)
    assert list(again.read(Deadline(0))) == []
    assert again.cursor == first.cursor
    journal.write(("0", "<Event>3"))
    assert list(read(again.cursor).read(Deadline(0))) == ["<Event>3"]
    # What there is no time for is read by the next run.
    late = read(None)
    in_time = list(late.read(Deadline(1e-9)))
    assert late.problem is not None
    assert "the next run continues there" in late.problem
    assert in_time + list(read(late.cursor).read(Deadline(0))) == ["<Event>1", "<Event>2", "<Event>3"]


@pytest.mark.requires("command:journalctl", "command:systemd-journal-remote")
def test_a_message_with_bytes_that_are_no_text_is_read(tmp_path: pathlib.Path) -> None:
    """journalctl writes those as a list of numbers."""
    journal = Journal(tmp_path / "journal")
    journal.write(("0", "<Event>\udcff"))
    assert list(Messages(SYSMON, None, 0.0, str(journal.directory)).read(Deadline(0))) == ["<Event>\udcff"]


def _mdatp(path: pathlib.Path, packages: t.Sequence[str] = ()) -> str:
    """Return the content with a product whose command is at a path. packages: those that must have it."""
    own = {"command": [str(path), "threat", "list"], "identify": [str(path), "health"], "packages": list(packages)}
    entry = {**alert_content.load()["microsoft_defender"].entry, **own}
    return payload.packed({"sources": [entry]})


def _program(path: pathlib.Path, *lines: str) -> pathlib.Path:
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n", encoding="ascii")
    path.chmod(0o755)
    return path


def _listing(status: str) -> str:
    threat = {"name": "EICAR-Test-File", "type": "virus", "tracking_id": "t1", "path": "/srv/x"}
    history = [{"key": "2026-05-01T10:00:00Z", "value": "found"}, {"key": "2026-05-01T11:00:00Z", "value": status}]
    return json.dumps({"threats": {"scans": [{"threats": [{"threat": threat, "history": history}]}]}})


@pytest.mark.requires("root")
def test_a_threat_is_found_quarantined_and_removed(tmp_path: pathlib.Path) -> None:
    program, listed = tmp_path / "mdatp", tmp_path / "threats.json"
    _program(program, '[ "$1" = health ] && echo \'"m-1"\' && exit', f'[ "$1 $2" = "threat list" ] && cat {listed}')
    controller = Controller(f"sqlite:///{tmp_path}/findings.db", options(tmp_path, _content=_mdatp(program)))
    expected = [("found", "new", "high"), ("quarantined", "open", "medium"), ("removed", "resolved", "medium")]
    for status, now, severity in expected:
        listed.write_text(_listing(status), encoding="ascii")
        controller.run()
        (finding,) = controller.findings().values()
        assert (finding.status, finding.severity) == (now, severity)
    assert finding.event["finding_info"]["src_url"] == "https://security.microsoft.com/machines/m-1"
    # The list has it for months.
    assert controller.run().reopened == 0


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("mode", "lines", "words"),
    [
        (0o777, ["echo '[]'"], "was not run, as everybody can change"),
        (0o755, ["echo 'Keine Bedrohungen'"], "its alerts were not understood"),
        (0o755, ["exit 3"], "ended with status 3"),
        (0o755, ["sleep 60"], "did not end in time"),
    ],
)
def test_a_command_that_is_replaced_hangs_or_speaks_another_language_is_said(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mode: int, lines: list[str], words: str
) -> None:
    monkeypatch.setattr(command, "_SECONDS", 1.0)
    program = _program(tmp_path / "mdatp", *lines)
    program.chmod(mode)
    result = collect(options(tmp_path, _content=_mdatp(program)), False)
    assert result["detections"] == []
    (entry,) = result["coverage"]
    assert entry["status"] == "partial"
    assert words in entry["skipped"][0]["reason"]


@pytest.mark.requires("root", "command:dpkg")
def test_a_command_that_the_installed_package_does_not_have_is_not_run(tmp_path: pathlib.Path) -> None:
    """Who has root puts a program of their own there, or takes the product's away, to keep it from alerting."""
    program = _program(tmp_path / "mdatp", f"touch {tmp_path}/was_run", "echo '[]'")
    given = options(tmp_path, _content=_mdatp(program, packages=["dpkg"]))
    (replaced,) = collect(given, False)["coverage"]
    assert replaced["skipped"][0]["reason"] == f"{program} was not run, as its package does not have {program}"
    assert not (tmp_path / "was_run").exists()
    program.unlink()
    (removed,) = collect(given, False)["coverage"]
    assert removed["skipped"][0]["reason"].endswith("is not there, but its package is installed; reinstall the package")


@pytest.mark.requires("root")
def test_a_command_that_is_gone_since_the_last_run_is_said(tmp_path: pathlib.Path) -> None:
    program = _program(tmp_path / "mdatp", "echo '[]'")
    controller = Controller(f"sqlite:///{tmp_path}/findings.db", options(tmp_path, _content=_mdatp(program)))
    controller.run()
    program.unlink()
    controller.run()
    assert "it existed before, and is gone" in str(controller.results[-1]["coverage"])


_AS_ANOTHER = """
import json, os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import collect
json.dump(collect(json.load(sys.stdin), False), sys.stdout)
"""


@pytest.mark.requires("root")
def test_without_root_it_says_what_it_could_not_read(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "falco.log"
    log.write_text("{}", encoding="ascii")
    log.chmod(0o600)
    for directory in (tmp_path, *list(tmp_path.parents)[:2]):
        directory.chmod(0o755)
    given = options(tmp_path, products=["falco"], paths={"falco": [str(log)]}, _advance=False)
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, t.Any] = json.loads(done.stdout)
    (entry,) = result["coverage"]
    assert entry["status"] == "partial"
    assert entry["skipped"][0]["subject"] == str(log)
    assert "ermission" in entry["skipped"][0]["reason"]
