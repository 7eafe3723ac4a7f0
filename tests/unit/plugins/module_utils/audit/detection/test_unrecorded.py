# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made where no audit rule records it is judged once, by what is there."""

from __future__ import annotations

import json
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import unrecorded
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

RULES = RuleSet(_payload.unpack(detections.load().payload))


class Host:
    """A home, and what was remembered of the look before."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.state: dict[str, t.Any] = {}
        self.entry: dict[str, t.Any] = {}

    def look(self, *names: str, tally: Tally | None = None, since: float | None = None) -> list[tuple[str, str]]:
        """Return alerts and subjects of what is new below names in the home that are not watched."""
        paths = [str(self.home / name) for name in names]
        return self.look_at(unrecorded.Gaps(paths, {}, [str(self.home)], []), tally, since)

    def look_at(
        self, gaps: unrecorded.Gaps, tally: Tally | None = None, since: float | None = None
    ) -> list[tuple[str, str]]:
        tally = tally or Tally("events")
        scope = ScopeCoverage("events")
        look = unrecorded.Look(self.state, since)
        now = time.time()
        look.judge(gaps, RULES, tally, scope)
        if since is None:
            self.state = json.loads(json.dumps(look.state(now)))
        self.entry = scope.entry()
        return [(found["alert"], found["subject"]) for found in tally.detections(1000)[0]]

    def make(self, name: str) -> str:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret content")
        return str(path)

    def wait(self) -> None:
        """Let so much time pass that what was made before is older than the look."""
        self.state["until"] = time.time() + unrecorded._GRAIN + 1


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    home = tmp_path / "home" / "bob"
    home.mkdir(parents=True)
    return Host(home)


def test_what_was_made_is_the_alert_of_the_same_thing_recorded_and_told_once(host: Host) -> None:
    key, unit = host.make(".ssh/authorized_keys"), host.make(".config/systemd/user/x.service")
    host.make(".config/systemd/user/notes")
    assert sorted(host.look(".ssh", ".config/systemd")) == [("ssh_key_added", key), ("user_unit_written", unit)]
    assert host.entry["status"] == "partial"
    assert [entry["reason"] for entry in host.entry["skipped"]] == [
        "there was no audit rule for it when it appeared, so events in it are not recorded; "
        f"{count} new files there were judged by their names and owners: run bulwark.servers.protect"
        for count in (1, 2)
    ]
    host.wait()
    assert host.look(".ssh", ".config/systemd") == []
    assert host.entry["status"] == "partial"


def test_the_time_that_somebody_sets_is_not_what_makes_a_file_new(host: Host) -> None:
    host.make(".ssh/config")
    host.look(".ssh")
    key = host.make(".ssh/authorized_keys")
    os.utime(key, (1, 1))
    os.utime(host.home / ".ssh", (1, 1))
    assert host.look(".ssh") == [("ssh_key_added", key)]


def test_a_directory_that_was_filled_before_and_moved_there_is_new_with_all_that_is_in_it(host: Host) -> None:
    host.make("x/user/y.service")
    host.wait()
    host.look(".config/systemd")
    host.wait()
    (host.home / ".config").mkdir()
    (host.home / "x").rename(host.home / ".config/systemd")
    host.wait()
    unit = str(host.home / ".config/systemd/user/y.service")
    assert host.look(".config/systemd") == [("user_unit_written", unit)]


def test_what_was_recorded_is_told_as_it_was_recorded(host: Host) -> None:
    key = host.make(".ssh/authorized_keys")
    tally = Tally("events")
    tally.add("ssh_key_added", key, {"process": {"pid": 1}}, 1.0, severity="informational")
    host.look(".ssh", tally=tally)
    (found,) = tally.detections(10)[0]
    assert (found["severity"], found["count"], found["evidences"]) == ("informational", 1, [{"process": {"pid": 1}}])


def test_a_file_of_a_service_account_is_judged_by_its_owner(host: Host) -> None:
    page = host.make("www/html/.htaccess")
    assert host.look("www") == []
    host.state = {}
    os.chown(page, 33, 33)
    assert host.look("www") == [("web_htaccess_changed", page)]


def test_no_content_travels_and_no_link_is_followed(host: Host) -> None:
    host.make("elsewhere/authorized_keys")
    (host.home / ".ssh").symlink_to("elsewhere")
    (host.home / ".config").symlink_to("/etc")
    tally = Tally("events")
    assert [alert for alert, _subject in host.look(".ssh", ".config/systemd", tally=tally)] == ["ssh_key_added"]
    (found,) = tally.detections(10)[0]
    (evidence,) = found["evidences"]
    assert evidence["file"]["path"] == found["subject"] == str(host.home / ".ssh")
    assert evidence["data"]["target"] == "elsewhere"
    assert "secret" not in json.dumps(found)


def test_what_was_made_before_a_rule_was_loaded_is_judged_and_what_is_recorded_since_is_not(host: Host) -> None:
    key = host.make(".ssh/authorized_keys")
    watched = time.time()
    gaps = unrecorded.Gaps([], {str(host.home / ".ssh"): watched}, [str(host.home)], [])
    assert host.look_at(gaps) == [("ssh_key_added", key)]
    assert host.entry["status"] == "checked"
    gaps.closed[str(host.home / ".ssh")] = watched - unrecorded._GRAIN - 60
    host.state = {}
    assert host.look_at(gaps) == []


def test_a_time_that_is_asked_for_is_kept_to(host: Host) -> None:
    host.make(".ssh/authorized_keys")
    assert host.look(".ssh", since=time.time() + 60) == []
    assert len(host.look(".ssh", since=time.time() - 60)) == 1
    assert host.state == {}


def test_a_home_of_a_new_account_is_named(host: Host) -> None:
    host.look_at(unrecorded.Gaps([], {}, [str(host.home)], [str(host.home)]))
    assert host.entry["skipped"][0]["reason"].startswith("it is a home without audit rules, as its account is new")


def test_somebody_who_makes_thousands_of_files_stops_nothing_and_is_said(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unrecorded, "_MOST_IN_PATH", 20)
    monkeypatch.setattr(unrecorded, "_LEAST_IN_PATH", 20)
    key = host.make(".ssh/authorized_keys")
    for number in range(40):
        host.make(f".config/systemd/user/{number}.service")
    found = host.look(".config/systemd", ".ssh")
    assert len(found) < 20
    assert ("ssh_key_added", key) in found
    assert "names and owners, and not all that are there: run" in host.entry["skipped"][0]["reason"]
    assert "not all" not in host.entry["skipped"][1]["reason"]


def test_a_file_system_of_another_machine_is_left_alone_and_that_is_said(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.make(".ssh/authorized_keys")
    monkeypatch.setattr(
        unrecorded._mountinfo, "own_file_systems", lambda: {b"/": "ext4", os.fsencode(host.home.parent): "nfs4"}
    )
    assert host.look(".ssh") == []
    words = "it is on a file system of another machine, or a link leads to it, and nothing there was judged"
    assert words in host.entry["skipped"][0]["reason"]


@pytest.mark.parametrize("state", [{"until": "soon"}, {"seen": {"/x": [1]}}, {"seen": 5}, []])
def test_a_state_that_is_damaged_is_said_and_all_is_judged_anew(state: t.Any, tmp_path: pathlib.Path) -> None:
    look, gaps, problem = unrecorded.start_look(str(tmp_path / "state"), state, None)
    assert look.until == 0.0
    assert gaps is None
    assert problem is not None
    assert problem.startswith("the saved state of files without audit rules can't be used")
