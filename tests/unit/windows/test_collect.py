# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at the event log: what is read, what rules find in it, and what is said of the rest."""

from __future__ import annotations

import datetime as dt
import functools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.support.windows import evtx_writer, toolchain
from tests.support.windows.evtx_writer import hex64, text
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

# One second of a processor; more only on a machine that is shared.
_SECONDS = 600
HERE = pathlib.Path(__file__).parent
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
EPOCH = START.timestamp()
SYSMON = "Microsoft-Windows-Sysmon/Operational"
EVENTLOG = "Microsoft-Windows-Eventlog"


def rule(name: str, source: str, condition: list[t.Any], **members: t.Any) -> dict[str, t.Any]:
    return {
        "id": name,
        "alert": "audit_sigma_match",
        "title": name,
        "severity": "high",
        "techniques": ["T1059"],
        "source": source,
        "fields": [],
        "condition": condition,
        **members,
    }


def ends(field: str, value: str) -> list[t.Any]:
    return ["text", field, "endswith", [value]]


def equals(field: str, *values: str) -> list[t.Any]:
    return ["text", field, "equals", list(values)]


WHOAMI = rule("whoami", "process_creation", ends("Image", "\\whoami.exe"))
SERVICE = rule("service", "System", equals("EventID", "7045"))
BY_MSHTA = rule(
    "by mshta", "process_creation", ["and", [ends("Image", "\\cmd.exe"), ends("ParentImage", "\\mshta.exe")]]
)
NOT_SIGNED = rule("unsigned", "process_creation", ["and", [ends("Image", "\\x.exe"), ["not", equals("Company", "us")]]])


@functools.cache
def program() -> driver.Driver:
    sources = [HERE / "CollectScript.cs", HERE / "RecordedEventLog.cs", HERE / "PlainStateFiles.cs"]
    return driver.Driver("events.Collect", sources=sources)


def process(number: int, image: str, **members: t.Any) -> evtx_writer.Record:
    data = [
        ("SubjectUserSid", evtx_writer.sid("S-1-5-21-1-2-3-1001")),
        ("SubjectUserName", text("eve")),
        ("SubjectDomainName", text("SHOP")),
        ("SubjectLogonId", hex64(0x3E7F)),
        ("NewProcessId", hex64(0x1A4)),
        ("NewProcessName", text(image)),
        ("ProcessId", hex64(0x64)),
        ("ParentProcessName", text("C:\\Windows\\System32\\mshta.exe")),
        ("CommandLine", text(f"{image} /all")),
    ]
    members.setdefault("time", START + dt.timedelta(seconds=number))
    return evtx_writer.event(number, event_id=4688, data=data, **members)


def plain(number: int, event_id: int, channel: str, *data: tuple[str, str], **members: t.Any) -> evtx_writer.Record:
    members.setdefault("time", START + dt.timedelta(seconds=number))
    values = [(name, text(value)) for name, value in data]
    return evtx_writer.event(number, event_id=event_id, channel=channel, data=values, **members)


class Host:
    """The event log of a host, and its state."""

    def __init__(self, directory: pathlib.Path, *rules: dict[str, t.Any], **compiled: t.Any) -> None:
        self._directory = directory
        self._count = 0
        (directory / "C").mkdir()
        self._content = payload.packed({"version": 1, "rules": list(rules), "correlations": [], **compiled})

    def file(self, *records: evtx_writer.Record, most: int | None = None) -> str:
        self._count += 1
        path = self._directory / f"{self._count}.evtx"
        path.write_bytes(evtx_writer.log(records, most) if records else evtx_writer.log_of([]))
        return str(path)

    def channel(self, first: int, *records: evtx_writer.Record, **members: t.Any) -> dict[str, t.Any]:
        return {"file": self.file(*records), "Oldest": first if records else 0, "Count": len(records), **members}

    def looks(self, *each: dict[str, t.Any], method: str = "Looks") -> list[dict[str, t.Any]]:
        case = driver.call(f"CollectScript.{method}", str(self._directory), self._content, list(each))
        (outcome,) = program().run([case], seconds=_SECONDS)
        if outcome.error is not None:
            raise driver.CSharpError(outcome.error, outcome.message)
        results: list[dict[str, t.Any]] = outcome.result
        return results

    def exports(self) -> list[str]:
        return [file.name for file in (self._directory / "C/state/exports").iterdir() if file.name != "lock"]


def reasons(result: dict[str, t.Any]) -> dict[str, str]:
    return {each["subject"]: each["reason"] for each in result["coverage"][0]["skipped"]}


def found(result: dict[str, t.Any]) -> dict[str, int]:
    return {f"{each['alert']} {each['subject']}": each["count"] for each in result.get("detections", ())}


def test_a_match_says_who_did_what_and_where_it_is_recorded(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, WHOAMI)
    security = host.channel(
        1, process(1, "C:\\Windows\\System32\\whoami.exe"), process(2, "C:\\a.exe"), process(3, "C:\\whoami.exe")
    )
    (result,) = host.looks({"channels": {"Security": security, "System": host.channel(1)}})
    assert result["audit_events"]["events"] == 3
    assert result["audit_events"]["first_time"] == EPOCH + 1
    first, second = sorted(result["detections"], key=lambda each: each["first_time"])
    assert first["subject"] == "whoami: SHOP\\eve C:\\Windows\\System32\\whoami.exe"
    assert second["subject"] == "whoami: SHOP\\eve C:\\whoami.exe"
    assert (first["count"], first["severity"], first["techniques"]) == (1, "high", ["T1059"])
    (evidence,) = first["evidences"]
    assert evidence["actor"]["user"] == {"name": "SHOP\\eve", "uid": "S-1-5-21-1-2-3-1001"}
    assert evidence["process"]["pid"] == 0x1A4
    assert evidence["process"]["cmd_line"] == "C:\\Windows\\System32\\whoami.exe /all"
    assert evidence["process"]["session"] == {"uid": "0x3e7f"}
    assert evidence["process"]["parent_process"]["path"] == "C:\\Windows\\System32\\mshta.exe"
    assert evidence["data"]["Channel"] == "Security"
    assert evidence["data"]["EventRecordID"] == "1"
    assert dt.datetime.fromisoformat(evidence["data"]["TimeCreated"]).timestamp() == EPOCH + 1
    assert host.exports() == []


@pytest.mark.parametrize(
    ("provider", "user", "expected"),
    [
        ("Microsoft-Windows-Sysmon", "SHOP\\eve", {"name": "SHOP\\eve"}),
        ("Microsoft-Windows-Sysmon", "", None),
        ("Microsoft-Windows-TaskScheduler", "SHOP\\eve", {"name": "SHOP\\eve"}),
        ("Microsoft-Windows-PowerShell", "", {"uid": "S-1-5-18"}),
    ],
)
def test_the_account_of_a_service_is_not_that_of_the_person_whom_its_record_names(
    tmp_path: pathlib.Path, provider: str, user: str, expected: dict[str, str] | None
) -> None:
    data = [("ServiceName", "s"), *([("User", user)] if user else [])]
    record = plain(1, 7045, "System", *data, provider=provider, user="S-1-5-18")
    host = Host(tmp_path, SERVICE)
    (result,) = host.looks({"channels": {"System": host.channel(1, record)}})
    (evidence,) = result["detections"][0]["evidences"]
    assert evidence.get("actor", {}).get("user") == expected


def test_every_record_counts_once_whatever_becomes_of_a_run(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    all_of_them = [plain(n, 7045, "System", ("ServiceName", "s")) for n in range(1, 10)]

    def look(most: int, **members: t.Any) -> dict[str, t.Any]:
        return {"channels": {"System": host.channel(1, *all_of_them[:most])}, **members}

    results = host.looks(look(3), look(5, lost=True), look(6), look(6), look(9, check=True), look(9))
    assert [sum(found(result).values()) for result in results] == [3, 2, 3, 0, 3, 3]


def test_a_run_that_is_killed_anywhere_is_read_again(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    all_of_them = [plain(n, 7045, "System", ("ServiceName", "s")) for n in range(1, 10)]
    before = {"channels": {"System": host.channel(1, *all_of_them[:3])}}
    after = {"channels": {"System": host.channel(1, *all_of_them)}}
    for call in (1, 8, 12, 16, 20, 26, 32):
        results = host.looks(before, {**after, "killed_at": call}, after)
        # Each case begins anew, with its own first look.
        assert sum(count for result in results for count in found(result).values()) == 9, call
        assert host.exports() == []


def test_a_lost_checkpoint_is_an_alert_and_all_is_read_again(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    look = {"channels": {"System": host.channel(1, plain(1, 7045, "System", ("ServiceName", "s")))}}
    lost = {**look, "options": {"_token": "0123456789abcdef-" + "0" * 64}}
    results = host.looks(look, lost)
    assert found(results[1]) == {
        "audit_sigma_match service": 1,
        "audit_state_tampered checkpoint of audit_events": 1,
    }
    assert "checkpoint" in reasons(results[1])


def test_archived_logs_are_read_and_the_log_goes_on(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    each = [plain(n, 7045, "System", ("ServiceName", "s")) for n in range(1, 10)]
    (tmp_path / "Archive-System-2026-01-01-00-00-00-001.evtx").write_bytes(evtx_writer.log(each[:5]))
    (tmp_path / "Archive-System-2026-01-01-00-00-00-002.evtx").write_bytes(evtx_writer.log(each[5:7]))
    results = host.looks(
        {"channels": {"System": host.channel(1, *each[:3])}},
        {"channels": {"System": host.channel(8, *each[7:], Path=str(tmp_path / "System.evtx"), IsArchived=True)}},
    )
    assert [sum(found(result).values()) for result in results] == [3, 6]
    assert reasons(results[1]) == {}


def test_records_that_are_gone_are_an_alert(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE, WHOAMI)
    each = [process(n, "C:\\a.exe") for n in range(1, 10)]
    clearing = plain(1, 104, "System", ("Channel", "Security"), ("SubjectUserName", "eve"), provider=EVENTLOG)
    results = host.looks(
        {"channels": {"Security": host.channel(1, *each[:3]), "System": host.channel(1)}},
        {"channels": {"Security": host.channel(7, *each[6:]), "System": host.channel(1, clearing)}},
    )
    assert found(results[1]) == {"event_log_records_missing Security": 3}
    assert "it was cleared by eve" in reasons(results[1])["Security"]


def test_a_stopped_service_is_an_alert_and_nothing_is_checked(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    (result,) = host.looks({"channels": {"Security": {"error": 1722}, "System": {"error": 1722}}})
    assert found(result) == {"event_log_reduced EventLog": 1}
    assert result["coverage"][0]["status"] == "not_checked"
    assert "does not run" in result["coverage"][0]["reason"]


def test_what_cannot_be_read_is_said(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE, WHOAMI)
    system = host.channel(1, plain(1, 7045, "System", ("ServiceName", "s")))
    (result,) = host.looks({"channels": {"Security": {"error": 5}, "System": system}})
    assert "connect as an administrator" in reasons(result)["Security"]
    assert result["coverage"][0]["status"] == "partial"
    assert sum(found(result).values()) == 1


def test_without_any_channel_nothing_is_checked(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    (result,) = host.looks({"channels": {}})
    assert result["coverage"][0]["status"] == "not_checked"


def test_a_query_that_windows_refuses_is_made_without_event_ids(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    system = host.channel(1, plain(1, 7045, "System", ("ServiceName", "s")), refuses="EventID")
    (result,) = host.looks({"channels": {"System": system}})
    assert sum(found(result).values()) == 1
    queries = [query for channel, query in result["queries"] if channel == "System"]
    assert len(queries) == 2
    assert "EventID = 7045" in queries[0]
    assert queries[1] == "*[System[EventRecordID >= 0]]"


def test_rules_that_need_what_the_host_does_not_record_are_named(tmp_path: pathlib.Path) -> None:
    pipe = rule("pipe", "pipe_created", ends("PipeName", "\\evil"))
    host = Host(tmp_path, SERVICE, pipe)
    (result,) = host.looks({"channels": {"System": host.channel(1)}})
    assert reasons(result)["Sysmon"] == "not recorded on this host: 1 rule needs it, as 'pipe'"
    (result,) = host.looks({"channels": {"System": host.channel(1), SYSMON: host.channel(1)}})
    assert reasons(result) == {}


def test_what_most_rules_need_is_named_first(tmp_path: pathlib.Path) -> None:
    pipe = rule("pipe", "pipe_created", ends("PipeName", "\\evil"))
    scripts = [rule(f"script {number}", "ps_script", ends("ScriptBlockText", "evil")) for number in range(2)]
    host = Host(tmp_path, SERVICE, pipe, *scripts)
    without = {"powershell": {"script_blocks": False}, "powershell_core": {"script_blocks": False}}
    options = {"_recording": payload.packed(without)}
    (result,) = host.looks({"channels": {"System": host.channel(1)}, "options": options})
    scripts_need = "channel Microsoft-Windows-PowerShell/Operational and PowerShell script block logging"
    assert list(reasons(result).items()) == [
        (scripts_need, "not recorded on this host: 2 rules need it, as 'script 0', 'script 1'"),
        ("Sysmon", "not recorded on this host: 1 rule needs it, as 'pipe'"),
    ]


def test_a_match_that_needs_what_windows_does_not_record_does_not_count(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, NOT_SIGNED, BY_MSHTA)
    security = host.channel(1, process(1, "C:\\x.exe"), process(2, "C:\\cmd.exe"))
    (result,) = host.looks({"channels": {"Security": security}})
    assert found(result) == {"audit_sigma_match by mshta: SHOP\\eve C:\\cmd.exe": 1}
    assert result["audit_events"]["uncertain"] == 1


def test_files_of_other_machines_have_no_checkpoint_and_findings_name_the_machine(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE)
    below = tmp_path / "logs" / "below"
    below.mkdir(parents=True)
    each = [plain(n, 7045, "System", ("ServiceName", "s"), computer="other.example") for n in range(1, 4)]
    (below / "System.evtx").write_bytes(evtx_writer.log(each))
    (below / "damaged.evtx").write_bytes(b"no log")
    own = host.file(plain(9, 7045, "System", ("ServiceName", "s")))
    options = {"paths": [str(tmp_path / "logs"), own, str(tmp_path / "missing.evtx")]}
    results = host.looks({"options": options}, {"options": options})
    assert [found(result) for result in results] == [
        {
            "audit_sigma_match service": 1,
            "audit_sigma_match service (computer other.example)": 3,
        }
    ] * 2
    assert "checkpoint" not in results[0]
    assert results[0]["coverage"][0]["status"] == "partial"
    assert {pathlib.Path(subject).name for subject in reasons(results[0])} == {"damaged.evtx", "missing.evtx"}


def test_correlations_go_on_over_runs(tmp_path: pathlib.Path) -> None:
    correlation = {
        "id": "many",
        "alert": "audit_sigma_match",
        "title": "many",
        "key": "many",
        "severity": "critical",
        "techniques": [],
        "type": "event_count",
        "span": 60,
        "parts": [[0]],
        "group": [{"name": "ServiceName", "fields": ["ServiceName"]}],
        "operator": "gte",
        "count": 3,
    }
    host = Host(tmp_path, {**SERVICE, "component": True}, correlations=[correlation])
    each = [plain(n, 7045, "System", ("ServiceName", "s")) for n in range(1, 4)]
    results = host.looks(
        {"channels": {"System": host.channel(1, *each[:2])}}, {"channels": {"System": host.channel(1, *each)}}
    )
    assert found(results[0]) == {}
    assert list(found(results[1]).values()) == [3]
    (detection,) = results[1]["detections"]
    assert (detection["first_time"], detection["last_time"]) == (EPOCH + 1, EPOCH + 3)


def test_nothing_before_a_time_is_judged_and_only_the_worst_findings_are_returned(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, SERVICE, rule("low", "System", equals("EventID", "7036"), severity="low"))
    records = [plain(n, 7045 if n % 2 else 7036, "System", ("ServiceName", str(n))) for n in range(1, 7)]
    options = {"since": EPOCH + 3, "max_findings": 1}
    (result,) = host.looks({"channels": {"System": host.channel(1, *records)}, "options": options})
    assert [each["severity"] for each in result["detections"]] == ["high"]
    assert result["detections"][0]["count"] == 2
    left_out = "the least severe findings were left out (1); raise max_findings (audit_max_findings of the role)"
    assert reasons(result)["findings"] == left_out
    # Other events were not: nothing about them is said.
    assert "events" not in reasons(result)


def test_without_rules_nothing_is_checked_and_nothing_counts_as_read(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    system = host.channel(1, plain(1, 7045, "System", ("ServiceName", "s")))
    (result,) = host.looks({"channels": {"System": system}})
    assert result["coverage"][0]["status"] == "not_checked"
    assert result["audit_events"]["events"] == 0
