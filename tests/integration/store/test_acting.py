# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Act from what is read: the commands of findings, pasted into a shell as they are, and what names nothing."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store

from tests.integration import _scans
from tests.support import paths
from tests.support.controllers import THIS_MACHINE, controller
from tests.unit.plugins.plugin_utils.store.samples import WANTED, person

# A name that must stay a name, in the shell and in templates.
HOSTILE = "--limit=x $(touch pwned) '\"{{ lookup('pipe', 'touch pwned') }}"


class Desk:
    """Somebody who reads findings of this machine, and pastes commands. The store has a hostile name itself."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        (directory / "a b").mkdir()
        self.url = f"sqlite:///{directory}/a b/it's $(touch pwned).db"
        self.watched = directory / "watched"
        self.watched.mkdir()
        self.file = self.watched / HOSTILE.replace("/", "_")
        self.file.write_text("before")
        self.scanner = _scans.Scanner(controller("2.21"), THIS_MACHINE, directory)
        self._variables = {
            "bulwark_become": False,
            "file_integrity_default_watches": False,
            "file_integrity_watches": [{"name": "own", "paths": [str(self.watched)]}],
            "file_integrity_state_dir": str(directory / "state"),
        }

    def scan(self) -> str:
        return self.scanner.scan(**{**self._variables, "bulwark_store": self.url}).stdout

    def findings(self) -> list[Finding]:
        with contextlib.closing(Store.open(self.url, mode="read")) as store:
            return store.query(Query())

    def command(self, name: str) -> str:
        """Return a command for the only finding, as findings_info and the report have it."""
        (finding,) = self.findings()
        case = finding_commands.Case.of(finding, self.url)
        return next(each.command for each in finding_commands.commands(case) if each.name == name)

    def paste(self, command: str) -> tuple[int, str]:
        """Run a command in sh; return the exit code and what was said, without line breaks."""
        program = shlex.quote(self.scanner.controller.program("ansible-playbook"))
        variables = {"bulwark_become": "false", "file_integrity_state_dir": str(self.directory / "state")}
        more = " ".join(f"-e {shlex.quote(f'{name}={value}')}" for name, value in variables.items())
        line = f"{command.replace('ansible-playbook', program, 1)} -i {shlex.quote(str(THIS_MACHINE))} {more}"
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.directory, env=environment, capture_output=True, text=True, check=False
        )
        assert not (self.directory / "pwned").exists()
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def state(self) -> list[tuple[str, str | None]]:
        return [(each.status, each.status_reason) for each in self.findings()]


@pytest.mark.requires("root")
def test_a_change_is_suppressed_restored_and_accepted_by_the_commands_of_its_finding(tmp_path: pathlib.Path) -> None:
    desk = Desk(tmp_path)
    desk.scan()
    desk.file.write_text("after")
    said = desk.scan()
    (finding,) = desk.findings()
    assert finding.uid[:13] in said
    assert f" {finding.alert}: " in said
    assert "bulwark.servers.suppress -e bulwark_findings=ID" in said

    code, said = desk.paste(desk.command("suppress"))
    assert (code, desk.state()) == (2, [("new", None)])
    assert "bulwark_reason is missing: write why" in said
    code, said = desk.paste(desk.command("suppress").replace("WHY", "CHG-1"))
    assert (code, desk.state()) == (0, [("suppressed", "CHG-1")]), said
    assert f"localhost: {finding.alert} about " in said
    assert "is suppressed (was new)" in said
    assert "UTC; reason: CHG-1" in said
    code, said = desk.paste(desk.command("restore").replace("WHY", "CHG-2"))
    assert (code, desk.state()[0][0]) == (0, "open"), said
    # Somebody changes the file again after the person read what it was: before the next scan, and after it.
    read = desk.command("accept").replace("WHY", "CHG-3")
    desk.file.write_text("a back door")
    code, said = desk.paste(read)
    assert code == 2, said
    assert "nothing was accepted" in said
    desk.scan()
    code, said = desk.paste(read)
    assert code == 2, said
    assert "has changed since you read it" in said
    code, said = desk.paste(desk.command("accept").replace("WHY", "CHG-3"))
    assert code == 0, said
    assert "Accepted into the baseline of localhost; the next scan resolves the findings: " in said
    assert f"{desk.watched}/--limit" in said
    desk.scan()
    assert desk.state() == [("resolved", "accepted into the baseline: CHG-3")]


def test_what_names_nothing_is_refused_with_what_comes_close(tmp_path: pathlib.Path) -> None:
    url = f"sqlite:///{tmp_path}/findings.db"
    with contextlib.closing(Store.open(url)) as store:
        request = store.jit_request(WANTED, now=200).request.id
        store.jit_decide(request, "approved", by=person("bob", login="carol"), reason="CHG-3", now=210)
    answers = _answers(
        tmp_path,
        url,
        ("findings", {"state": "resolved", "host": "wbe1", "reason": "x"}),
        ("findings", {"state": "resolved", "uids": ["00000000"], "reason": "x"}),
        ("findings", {"state": "resolved", "uids": ["web1"], "reason": "x"}),
        ("findings_info", {"hosts": ["wbe1"]}),
        ("findings_info", {"uids": ["0000000000"]}),
        ("jit_requests_info", {"requesters": ["nobody at all"]}),
        ("jit_requests_info", {"requesters": [WANTED.requested_for[:-1]]}),
        ("jit_requests_info", {"hosts": ["nowhere"]}),
    )
    for answer, words in zip(
        answers,
        (
            "no finding of these is about 'wbe1': findings_info lists what the store has",
            "the store has no finding '00000000': copy its uid again",
            "'web1' is not a uid of a finding: copy it from the table, the report or findings_info",
            "there is no host 'wbe1': did you mean web1?",
            "the store has no finding '0000000000'",
            "there is no request of 'nobody at all': leave the name out to see them all",
            f"did you mean {WANTED.requested_for}",
            "there is no host 'nowhere': neither the store nor the inventory has a host of that name",
        ),
        strict=True,
    ):
        assert answer["failed"]
        assert words in answer["msg"]


def _answers(tmp_path: pathlib.Path, url: str, *tasks: tuple[str, dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    from tests.integration.store.test_findings import Play, task

    play = Play(controller("2.21"), tmp_path)
    made = [task(module, once=True, store=url, **options) for module, options in tasks]
    return t.cast("list[dict[str, t.Any]]", play.each(*made))


def test_openings_are_listed_with_who_why_and_how_to_close_them(tmp_path: pathlib.Path) -> None:
    scanner = _scans.Scanner(controller("2.21"), THIS_MACHINE, tmp_path)
    with contextlib.closing(Store.open(scanner.store_url)) as store:
        request = store.jit_request(WANTED, now=200).request.id
        store.jit_decide(request, "approved", by=person("bob", login="carol"), reason="CHG-3", now=210)
    said = scanner.play("bulwark.servers.jit_list", jit_state="approved,expired").stdout
    assert WANTED.justification in said
    assert WANTED.host in said
    empty = scanner.play("bulwark.servers.jit_list", jit_state="open").stdout
    assert "nothing is open, approved or waiting for a decision" in empty
    wrong = scanner.play("bulwark.servers.jit_list", jit_state="opened", check=False)
    assert wrong.returncode == 2
