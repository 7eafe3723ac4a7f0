# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ClamAV for real: a daemon with signatures of our own on a harmless marker, and files that it finds."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import typing as t

import pytest

from tests.support import commands
from tests.support.edr_alerts import Controller, options
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root", "command:clamd", "command:clamdscan"), pytest.mark.xdist_group("clamd")]

MARKER = b"BULWARK-HARMLESS-TEST"
SIGNATURE = "Bulwark.Test.Body.UNOFFICIAL"
# The second line is one that clamd itself could have written.
FORGING = "x\nSat Nov 28 12:05:14 2026 -> /usr/bin/sudo: Eicar FOUND\ny"


class Clamd:
    """A running daemon. files: what it is asked to look at."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory, self.files = directory, directory / "files"
        self.log, self.configuration = directory / "clamd.log", directory / "clamd.conf"
        self.socket = directory / "clamd.sock"

    def write(self, name: str, content: bytes = MARKER) -> pathlib.Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def look(self) -> None:
        """Have the daemon look at all files."""
        command = ["clamdscan", f"--config-file={self.configuration}", "--no-summary", "--quiet", str(self.files)]
        assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode in (0, 1)


@pytest.fixture
def clamd(tmp_path: pathlib.Path) -> t.Iterator[Clamd]:
    daemon = Clamd(tmp_path / "clamd")
    database = daemon.directory / "db"
    for directory in (daemon.directory, daemon.files, database):
        directory.mkdir()
    (database / "own.ndb").write_text(f"Bulwark.Test.Body:0:*:{MARKER.hex()}\n", encoding="ascii")
    settings = {
        "DatabaseDirectory": database,
        "LogFile": daemon.log,
        "LocalSocket": daemon.socket,
        "LogTime": "yes",
        "ExtendedDetectionInfo": "yes",
        "Foreground": "yes",
    }
    daemon.configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")
    command = [str(commands.find("clamd")), f"--config-file={daemon.configuration}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(daemon.socket.exists, 60)
            yield daemon
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def controller(tmp_path: pathlib.Path, clamd: Clamd) -> Controller:
    given = options(tmp_path, products=["clamav"], paths={"clamav": [str(clamd.log)]})
    return Controller(f"sqlite:///{tmp_path}/findings.db", given)


def subject(path: pathlib.Path) -> str:
    return f"ClamAV: {SIGNATURE} in {path}".replace("\n", "\\n")


def statuses(controller: Controller) -> dict[str, str]:
    return {name: finding.status for name, finding in controller.findings().items()}


def test_a_file_is_found_seen_again_and_resolved_after_it_is_gone(clamd: Clamd, controller: Controller) -> None:
    path = clamd.write("marker.txt")
    clamd.write("harmless.txt", b"nothing")
    clamd.look()
    assert controller.run().new == 1
    (finding,) = controller.findings().values()
    assert (finding.subject, finding.alert, finding.severity) == (subject(path), "edr_malware_found", "high")
    digest = hashlib.md5(MARKER).hexdigest()  # noqa: S324 - what clamd names a file by
    assert finding.event["evidences"][0]["file"]["hashes"][0]["value"] == digest
    assert finding.event["malware"][0]["name"] == SIGNATURE
    # Nobody scans any more: clamd is asked whether it is still there.
    assert controller.run().seen_again == 1
    assert controller.run().seen_again == 1
    (finding,) = controller.findings().values()
    assert (finding.status, finding.count) == ("open", 3)
    assert finding.event["evidences"][0]["file"]["hashes"][0]["value"] == digest
    assert finding.event["message"] == f"ClamAV alerted: {SIGNATURE} in {path}."
    path.unlink()
    assert controller.run().resolved == 1
    (finding,) = controller.findings().values()
    assert (finding.status, finding.status_reason) == ("resolved", "the file is gone")
    clamd.write("marker.txt")
    clamd.look()
    assert controller.run().reopened == 1
    # What was asked is in clamd's log as well, and is no alert.
    assert clamd.log.read_text(encoding="utf-8").count(" FOUND\n") > 4
    assert len(controller.findings()) == 1


def test_a_name_with_a_newline_is_one_file_and_forges_no_other(clamd: Clamd, controller: Controller) -> None:
    names = ["name\nwith newline.txt", FORGING, "plain.txt"]
    paths = [clamd.write(name) for name in names]
    clamd.look()
    assert b"-> /usr/bin/sudo: Eicar FOUND\n" in clamd.log.read_bytes()
    controller.run()
    assert set(controller.findings()) == {subject(path) for path in paths}
    for path in paths:
        path.unlink()
    assert controller.run().resolved == 3


def test_without_the_daemon_nothing_is_resolved_or_dropped(
    clamd: Clamd, controller: Controller, tmp_path: pathlib.Path
) -> None:
    path = clamd.write("marker.txt")
    forging = clamd.write(FORGING)
    clamd.look()
    clamd.socket.rename(tmp_path / "elsewhere.sock")
    controller.run()
    found = statuses(controller)
    # Who can't ask reports what the log says, the forged line with it.
    assert found[subject(path)] == found[subject(forging)] == "new"
    assert found["ClamAV: Eicar in /usr/bin/sudo"] == "new"
    controller.run()
    assert "clamd's socket" in str(controller.results[-1]["coverage"])
    assert set(statuses(controller).values()) == {"open"}


def test_a_file_that_was_never_seen_stays_a_finding(clamd: Clamd, controller: Controller) -> None:
    path = clamd.write("marker.txt")
    clamd.look()
    path.unlink()
    controller.run()
    controller.run()
    assert statuses(controller) == {subject(path): "open"}


def test_a_changed_file_that_clamd_does_not_know_stays_a_finding(clamd: Clamd, controller: Controller) -> None:
    path = clamd.write("marker.txt")
    clamd.look()
    controller.run()
    path.write_bytes(b"somebody changed a byte")
    controller.run()
    assert statuses(controller) == {subject(path): "open"}


def test_two_controllers_see_each_file_once(clamd: Clamd, controller: Controller, tmp_path: pathlib.Path) -> None:
    other = Controller(f"sqlite:///{tmp_path}/other.db", controller.options)
    path = clamd.write("marker.txt")
    clamd.look()
    for each in (controller, other, controller, other, controller, other):
        each.run()
    assert list(controller.findings()) == list(other.findings()) == [subject(path)]
    path.unlink()
    assert (controller.run().resolved, other.run().resolved) == (1, 1)


def test_a_file_that_is_passed_without_a_name_is_an_alert(clamd: Clamd, controller: Controller) -> None:
    path = clamd.write("marker.txt")
    command = ["clamdscan", f"--config-file={clamd.configuration}", "--stream", "--quiet", str(path)]
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 1
    controller.run()
    (name,) = controller.findings()
    assert name.startswith(f"ClamAV: {SIGNATURE} in a file that clamd got without its name (MD5 ")
