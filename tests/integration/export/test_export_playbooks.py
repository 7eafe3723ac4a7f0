# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports as a user runs them: the playbooks, a real store, and a receiver on a socket of this machine."""

from __future__ import annotations

import json
import re
import time
import typing as t

import pytest

from tests.integration.export._team import Collector, Team, closed_port, is_changed, shown, to

# What hangs on how an ansible-core templates and shows results is tried with the oldest, too.
_BOTH = pytest.mark.parametrize("ansible", ["2.18", "2.21"], indirect=True)


@_BOTH
def test_each_change_arrives_once_and_in_order(team: Team, collector: Collector) -> None:
    configured = [to(collector.server_address[1], coverage=False)]
    assert team.export(bulwark_export=configured).returncode == 0
    team.found("/a", "/b")
    team.found("/b")
    answer = team.export(bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    assert "3 sent, 0 waiting" in shown(answer)
    assert is_changed(answer)
    *first, last = collector.names()
    assert (sorted(first), last) == (["new /a", "new /b"], "resolved /a")
    assert len({event["metadata"]["uid"] for event in collector.events}) == 3
    answer = team.export(bulwark_export=configured)
    assert "0 sent, 0 waiting" in shown(answer)
    assert not is_changed(answer)
    assert len(collector.events) == 3


def test_a_scan_writes_what_has_changed_into_a_file(team: Team) -> None:
    file = team.directory / "export" / "findings.ndjson"
    file.parent.mkdir()
    team.found("/a")
    configured = [{"name": "collector", "since": "1d", "file": {"path": str(file)}}]
    answer = team.play("bulwark.servers.scan", bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [event["class_uid"] for event in events if event["class_uid"] != 6007] == [2004]
    assert {event["device"]["name"] for event in events if event["class_uid"] == 6007} == {"web1", "web2"}
    answer = team.export(bulwark_export=configured)
    assert not is_changed(answer)
    assert len(file.read_text().splitlines()) == len(events)


def test_a_first_export_has_the_findings_that_were_there(team: Team, collector: Collector) -> None:
    team.found("/a")
    answer = team.export(bulwark_export=[to(collector.server_address[1], since="1d")])
    assert answer.returncode == 0, shown(answer)
    assert collector.names() == ["existing /a"]


def test_check_mode_shows_how_it_would_read_and_sends_nothing(team: Team, collector: Collector) -> None:
    team.found("/a")
    configured = [to(collector.server_address[1], since="1d")]
    answer = team.export("--check", bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    assert "0 sent, 1 waiting" in shown(answer)
    (message,) = re.findall(r'"body": "(<1\d\d>1 .*)",', shown(answer))
    assert "/a" in message
    assert collector.events == []
    with team.store() as store:
        assert store.destinations() == []


def test_a_dead_receiver_stops_no_other_and_fails_only_what_is_strict(team: Team, collector: Collector) -> None:
    configured = [to(closed_port(), "dead", coverage=False), to(collector.server_address[1], "siem", coverage=False)]
    team.export(bulwark_export=configured)
    team.found("/a")
    answer = team.export(bulwark_export=configured, bulwark_export_time_limit=2)
    assert answer.returncode == 0, shown(answer)
    assert "The destination 'dead' is behind by 1 change: " in shown(answer)
    assert collector.names() == ["new /a"]
    answer = team.export(bulwark_export=configured, bulwark_export_time_limit=2, bulwark_export_strict=True)
    assert answer.returncode == 2, shown(answer)
    assert "The destination 'dead' is behind by 1 change: " in shown(answer)
    assert "The destination 'siem'" not in shown(answer)
    result = shown(team.task("findings_export_info", gather=["waiting"]))
    assert '"last_error": "' in result
    assert '"change": "new"' in result


def test_a_destination_is_removed_with_what_waits_only_when_that_is_said(team: Team) -> None:
    team.export(bulwark_export=[to(closed_port(), coverage=False)])
    team.found("/a")
    answer = team.task("findings_export", state="absent", names=["siem"])
    assert answer.returncode == 2
    assert "the destination 'siem' still has changes that it did not get (1 wait, 0 were set aside)" in shown(answer)
    answer = team.task("findings_export", state="absent", names=["siem"], discard=True)
    assert '"discarded": 1' in shown(answer)
    assert not is_changed(team.task("findings_export", state="absent", names=["siem"]))


@_BOTH
def test_a_scan_exports_at_its_end_and_raises_the_alert_of_a_receiver_that_is_behind(
    team: Team, collector: Collector
) -> None:
    configured = [to(closed_port(), "dead"), to(collector.server_address[1], "siem")]
    team.export(bulwark_export=configured)
    team.found("/a", now=100)
    answer = team.play("bulwark.servers.scan", bulwark_export=configured, bulwark_export_time_limit=3)
    assert answer.returncode == 0, shown(answer)
    assert team.behind() == [("dead", "new")]
    assert "Export destination is behind" in answer.stdout.partition("Show the findings")[2]
    assert "Export to siem (syslog, 127.0.0.1:" in answer.stdout
    assert "Export destination is behind" in (team.directory / "report.html").read_text()
    # The receiver that works hears of the one that does not in the same scan, and of the hosts that did not answer.
    assert "new dead" in collector.names()
    scans = [event for event in collector.events if event["class_uid"] == 6007]
    assert {event["device"]["name"] for event in scans} >= {"web1", "web2"}
    # A scan that was configured for no destination says that the store has some, and the alert stays.
    answer = team.play("bulwark.servers.scan")
    warned = " ".join(shown(answer).split())
    assert "for the destination 'dead' cannot be sent: bulwark_export does not have it any more." in warned
    assert team.behind() == [("dead", "open")]
    with team.store() as store:
        assert store.remove_destination("dead", discard=True, now=time.time())
    answer = team.play("bulwark.servers.scan", bulwark_export=configured[1:])
    assert team.behind() == [("dead", "resolved")]


def test_a_destination_that_lacks_its_directory_stops_no_scan(team: Team, collector: Collector) -> None:
    missing = {
        "name": "archive",
        "coverage": False,
        "file": {"path": str(team.directory / "nowhere" / "findings.jsonl")},
    }
    team.found("/a")
    configured = [{**missing, "since": "1d"}, to(collector.server_address[1], since="1d")]
    answer = team.play("bulwark.servers.scan", bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    assert "nowhere is not a directory; make it, or name a file elsewhere" in shown(answer)
    assert collector.names()
    (team.directory / "nowhere").mkdir()
    assert team.export(bulwark_export=configured, bulwark_export_names=["archive"]).returncode == 0
    assert (team.directory / "nowhere" / "findings.jsonl").stat().st_size > 0


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        (to(0), "destination 'siem': syslog: port is 0; write a number from 1 to 65535"),
        (to(514, alerts=["fim_file_modifed"]), "destination 'siem': alerts: there is no alert 'fim_file_modifed'"),
        (to(514, groups=["wbe"]), "destination 'siem': groups: the inventory has no group 'wbe'"),
        ({"name": "siem"}, "one of the following is required: "),
        ({**to(514), "hots": ["web1"]}, "destination 'siem': 'hots' is not an option; did you mean 'hosts'?"),
    ],
)
def test_wrong_settings_end_a_scan_before_it_begins(team: Team, destination: dict[str, t.Any], message: str) -> None:
    answer = team.play("bulwark.servers.scan", bulwark_export=[destination])
    assert answer.returncode == 2
    assert message in shown(answer)
    if (team.state / "bulwark" / "findings.db").exists():
        with team.store() as store:
            assert (store.runs(), store.destinations()) == ([], [])
