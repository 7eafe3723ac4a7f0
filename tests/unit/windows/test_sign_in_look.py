# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at the sign-ins of a Windows host: what is read exactly once, and what our rules find in it."""

from __future__ import annotations

import collections
import functools
import pathlib
import random
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import detect, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.history import LEARNING, History
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.summary import Summary
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS

from tests.support.windows import evtx_writer, toolchain
from tests.support.windows.evtx_writer import text
from tests.unit.windows import driver
from tests.unit.windows.sign_ins import (
    SESSIONS,
    SSH,
    WINRM,
    Event,
    explicit,
    failed_logon,
    logon,
    rdp_failure,
    rdp_success,
    security,
    session,
    ssh_failure,
    ssh_success,
)

pytestmark = pytest.mark.requires(*toolchain.MONO)

# One second of a processor; more only on a machine that is shared.
_SECONDS = 600
HERE = pathlib.Path(__file__).parent
# 2026-01-01, as events of sign_ins.py count (since 1601) and as detections do.
EPOCH = 1_767_225_600.0
START = EPOCH + 11_644_473_600
DAY = 86_400
PUBLIC = "203.0.113.9"


@functools.cache
def program() -> driver.Driver:
    names = ("SignInLookScript", "LogLooks", "RecordedEventLog", "PlainStateFiles")
    sources = [HERE / f"{name}.cs" for name in names]
    return driver.Driver("sign_ins.Collect", sources=sources)


@functools.cache
def views_program() -> driver.Driver:
    return driver.Driver("sign_ins.SignIns", "sign_ins.Needs", sources=[HERE / "SignInsScript.cs"])


@functools.cache
def content() -> str:
    return detections.load(sources=detections.SIGN_IN_SOURCES, platform=WINDOWS).payload


class Host:
    """The event log of a host, and its state. Records of a channel are numbered as they are added."""

    def __init__(self, directory: pathlib.Path, rules: str | None = None) -> None:
        self._directory = directory
        self._records: dict[str, list[evtx_writer.Record]] = {"Security": []}
        self._files = 0
        self._content = content() if rules is None else rules
        (directory / "C").mkdir()

    def add(self, *events: Event) -> None:
        for each in sorted(events, key=lambda event: t.cast("float", event["at"])):
            channel = self._records.setdefault(each["channel"], [])
            channel.append(_record(len(channel) + 1, each))

    def channels(self, without: int = 0, **members: t.Any) -> dict[str, t.Any]:
        """Return the channels as they are now. without: how many old records of each are lost."""
        return {
            name: {
                "file": self.file(*records[without:]),
                "Oldest": without + 1 if len(records) > without else 0,
                "Count": len(records) - without,
                **members,
            }
            for name, records in self._records.items()
        }

    def file(self, *records: evtx_writer.Record) -> str:
        self._files += 1
        path = self._directory / f"{self._files}.evtx"
        path.write_bytes(evtx_writer.log(records) if records else evtx_writer.log_of([]))
        return str(path)

    def looks(self, *each: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        (outcome,) = program().run(
            [driver.call("SignInLookScript.Looks", str(self._directory), self._content, list(each))], seconds=_SECONDS
        )
        if outcome.error is not None:
            raise driver.CSharpError(outcome.error, outcome.message)
        results: list[dict[str, t.Any]] = outcome.result
        return results

    def look(self, **look: t.Any) -> dict[str, t.Any]:
        (result,) = self.looks({"channels": self.channels(), **look})
        return result


def _record(number: int, each: Event, computer: str = "HOST") -> evtx_writer.Record:
    data = [(name, text(value)) for name, value in each["fields"].items()]
    ticks = round(each["at"] * 10_000_000)
    return evtx_writer.event(
        number, event_id=each["id"], channel=each["channel"], data=data, time=ticks, computer=computer
    )


def reasons(result: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(each["subject"], each["reason"]) for each in result["coverage"][0]["skipped"]]


def counts(result: dict[str, t.Any]) -> dict[str, int]:
    return {f"{each['alert']} {each['subject']}": each["count"] for each in result["detections"]}


def failures(number: int, every: float, user: str = "administrator", source: str = PUBLIC) -> list[Event]:
    """Return so many wrong passwords over the network; {n} in the account or the source is the number."""
    return [
        failed_logon(START + n * every, user.format(n=n), "3", source.format(n=n % 200 + 1), TargetUserSid="S-1-0-0")
        for n in range(number)
    ]


def test_one_mistyped_password_is_no_attack(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(*rdp_failure(START, "alice", "10.0.0.5"), *rdp_success(START + 20, "alice", "10.0.0.5"))
    result = host.look()
    assert counts(result) == {}
    signed = result["sign_ins"]
    assert (signed["failures"], signed["successes"]) == (1, 1)
    assert signed["services"] == {"rdp": {"failures": 1, "successes": 1}}
    assert signed["logs"]["Security"] == 7
    assert result["coverage"][0]["examined"] == 10


@pytest.mark.parametrize(
    ("attack", "alerts"),
    [
        (failures(20, 10), {f"logon_brute_force_failed {PUBLIC}": 20}),
        (failures(35, 3600), {f"logon_brute_force_failed {PUBLIC} administrator": 35}),
        (failures(12, 120, source="203.0.113.{n}"), {"logon_brute_force_failed administrator": 12}),
        (failures(9, 200, user="user{n}"), {f"logon_password_spraying {PUBLIC}": 9}),
        (failures(13, 12_000, user="user{n}"), {f"logon_password_spraying {PUBLIC}": 13}),
    ],
    ids=["fast", "slow", "spread", "sprayed", "sprayed slowly"],
)
def test_an_attack_is_one_finding_and_a_success_after_it_another(
    attack: list[Event], alerts: dict[str, int], tmp_path: pathlib.Path
) -> None:
    host = Host(tmp_path)
    host.add(*attack)
    (first,) = host.looks({"channels": host.channels()})
    assert counts(first) == alerts

    account = attack[-1]["fields"]["TargetUserName"]
    host.add(logon(attack[-1]["at"] + 60, account, "3", attack[-1]["fields"]["IpAddress"]))
    _, second = host.looks(
        {"channels": {name: {**each} for name, each in host.channels().items()}, "lost": True},
        {"channels": host.channels()},
    )
    assert any(name.startswith("logon_brute_force_succeeded") for name in counts(second)) == (
        "spraying" not in next(iter(alerts)) or attack[1]["at"] - attack[0]["at"] < 1000
    ), counts(second)


@pytest.mark.parametrize("split", [0, 5])
def test_a_clock_that_is_set_back_hides_nothing(tmp_path: pathlib.Path, split: int) -> None:
    host = Host(tmp_path)
    now = time.time() + START - EPOCH
    host.add(failed_logon(now - 100 * DAY, "old", "3", PUBLIC), failed_logon(now - DAY, "alice", "3", PUBLIC))
    looks = [{"channels": host.channels()}]
    attack = [failed_logon(now - 400 * DAY + 10 * n, "administrator", "3", PUBLIC) for n in range(20)]
    for part in (attack[:split], attack[split:]):
        host.add(*part)
        looks.append({"channels": host.channels()})
    results = host.looks(*({**look, "options": {"first_days": 30}} for look in looks))
    assert [result["sign_ins"]["failures"] for result in results] == [1, split, 20 - split]
    assert f"logon_brute_force_failed {PUBLIC}" in counts(results[2])
    assert "it was set back by more than a day" in dict(reasons(results[1 if split else 2]))["clock"]


def test_an_attack_goes_on_over_runs_and_every_record_counts_once(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    attack = failures(20, 10)
    looks = []
    for part in (attack[:7], attack[7:14], attack[14:], [], [logon(START + 300, "administrator", "3", PUBLIC)]):
        host.add(*part)
        looks.append({"channels": host.channels()})
    results = host.looks(*looks)
    assert [result["sign_ins"]["failures"] for result in results] == [7, 7, 6, 0, 0]
    assert [sorted(counts(result)) for result in results] == [
        [],
        [],
        [f"logon_brute_force_failed {PUBLIC}"],
        [],
        [f"logon_brute_force_succeeded {PUBLIC}", f"password_sign_in_from_internet administrator {PUBLIC}"],
    ]
    assert results[-1]["sign_ins"]["successes"] == 1


def test_a_run_that_is_lost_or_killed_at_any_point_loses_and_repeats_nothing(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(*failures(10, 10))
    first = {"channels": host.channels()}
    host.add(*[{**each, "at": each["at"] + 100} for each in failures(10, 10)])
    second = {"channels": host.channels()}
    for killed_at in (1, 8, 14, 20, 26, 32, 44):
        results = host.looks(first, {**second, "killed_at": killed_at}, second)
        complete = [result for result in results if "killed" not in result]
        assert [result["sign_ins"]["failures"] for result in complete if counts(result)] == [10], killed_at
        assert sum(result["sign_ins"]["failures"] for result in complete) == 20
    _, lost, again = host.looks(first, {**second, "lost": True}, second)
    assert counts(lost) == counts(again)
    assert [name for name in (tmp_path / "C/state/exports").iterdir() if name.name != "lock"] == []


def test_a_sign_in_whose_events_may_still_come_waits_for_the_next_run(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    now = time.time() + START - EPOCH
    events = rdp_success(now, "alice", "10.0.0.5")
    host.add(*[each for each in events if each["at"] < now + 5])
    first = {"channels": host.channels()}
    host.add(*[each for each in events if each["at"] >= now + 5], logon(now + 60, "bob", "2"))
    results = host.looks(first, {"channels": host.channels()})
    assert [result["sign_ins"]["successes"] for result in results] == [0, 2]
    assert results[1]["sign_ins"]["services"] == {"rdp": {"successes": 1}, "console": {"successes": 1}}


def test_what_is_new_is_known_after_a_week_and_over_runs(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(*rdp_success(START, "alice", "10.0.0.5"))
    looks = [{"channels": host.channels()}]
    host.add(*rdp_success(START + 8 * DAY, "alice", "10.0.0.77"), *rdp_success(START + 8 * DAY + 99, "eve", "10.0.0.5"))
    looks.append({"channels": host.channels()})
    host.add(*ssh_success(START + 9 * DAY, "alice", PUBLIC))
    looks.append({"channels": host.channels()})
    results = host.looks(*looks)
    assert [counts(result) for result in results] == [
        {},
        {"account_unusual_sign_in eve": 1},
        {f"account_unusual_sign_in alice {PUBLIC}": 1, f"password_sign_in_from_internet alice {PUBLIC}": 1},
    ]


def test_the_scans_own_sign_ins_are_nothing_new(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(logon(START, "alice", "2"))
    own = logon(START + 9 * DAY, "ansible", "3", PUBLIC, TargetLogonId="0xabc")
    winrm = {
        "channel": WINRM,
        "id": 169,
        "at": START + 9 * DAY + 1,
        "fields": {"username": "CORP\\ansible", "authenticationMechanism": "NTLM"},
    }
    host.add(own, winrm)
    assert counts(host.look(host={"Logon": "0xABC"})) == {}
    others = {"account_unusual_sign_in ansible": 1, f"password_sign_in_from_internet ansible {PUBLIC}": 1}
    assert counts(host.look(host={"Logon": "0xdef"})) == others
    # Somebody's of an earlier start of Windows may have had the same number.
    since = str(int(START + 10 * DAY) * 10_000_000)
    assert counts(host.look(host={"Logon": "0xABC", "LogonsSince": since})) == others


def test_locked_accounts_and_credentials_for_other_hosts_are_told(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(
        security(4740, START, TargetUserName="bob", TargetSid="S-1-5-21-1-2-3-1002", TargetDomainName="CLIENT7"),
        *[
            explicit(
                START + 100 + n,
                f"user{n}",
                "dc1.corp.example",
                SubjectUserSid="S-1-5-21-1-2-3-1001",
                SubjectUserName="Eve",
                SubjectDomainName="CORP",
            )
            for n in range(8)
        ],
    )
    result = host.look()
    assert counts(result) == {"account_locked bob": 1, "logon_password_spraying eve": 8}
    evidence = {each["alert"]: each["evidences"] for each in result["detections"]}
    assert evidence["account_locked"][0]["data"]["workstation"] == "CLIENT7"
    assert evidence["account_locked"][0]["actor"]["user"] == {"name": "bob", "uid": "S-1-5-21-1-2-3-1002"}
    assert evidence["account_locked"][0]["data"]["records"] == "Security 1"
    assert result["sign_ins"]["attempts"] == 8


def test_a_first_look_goes_back_so_many_days(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    now = time.time() + START - EPOCH
    host.add(*[logon(now - days * DAY - 60, f"user{days}", "2") for days in (40, 20, 1)])
    counts = [
        host.look(options=options)["sign_ins"]["successes"]
        for options in ({"first_days": 30}, {"first_days": 0}, {"since": now - START + EPOCH - 25 * DAY})
    ]
    assert counts == [2, 0, 2]


def test_a_host_that_records_too_little_is_said(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    guid = "{0CCE9215-69AE-11D9-BED3-505054503030}"
    recording = {
        "subcategories": {"Logon": {"guid": guid, "success": True, "failure": False}},
        "unknown": [{"subject": "PowerShell", "reason": "not readable"}],
    }
    result = host.look(options={"_recording": payload.packed(recording)}, host={"HasOpenSsh": True})
    by_subject = dict(reversed(reasons(result)))
    assert by_subject["PowerShell"] == "not readable"
    needs = [reason for subject, reason in reasons(result) if subject == "sign-ins"]
    assert any("failed sign-ins; set the audit subcategory Logon (failure)" in each for each in needs)
    assert any(SSH in each for each in needs)
    assert not any("successful sign-ins; set" in each for each in needs)
    # Nothing is known of the audit policy, and sshd is not there.
    needs = [reason for _, reason in reasons(host.look())]
    assert needs
    assert all("channel" in each and SSH not in each for each in needs)


def test_what_there_was_no_time_for_is_said_and_read_by_the_next_run(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(*failures(300, 40, user="user{n}"))
    slow = {"channels": {"Security": {**host.channels()["Security"], "seconds": 2}}, "options": {"time_budget": 1}}
    results = host.looks(slow, {"channels": host.channels()})
    # The last one that was read may have events among those that were not.
    assert [result["sign_ins"]["failures"] for result in results] == [255, 45]
    assert "the next run continues" in dict(reasons(results[0]))["newer events"]
    assert [counts(result)[f"logon_password_spraying {PUBLIC}"] for result in results] == [255, 45]


@pytest.mark.parametrize("option", ["first_days", "max_findings", "time_budget"])
def test_a_number_that_would_hide_everything_is_refused(option: str, tmp_path: pathlib.Path) -> None:
    least = int(option == "max_findings")
    assert Host(tmp_path).look(options={option: -1})["failed"] == f"{option} is -1; use {least} or more"


def test_without_the_security_log_nothing_counts_as_checked(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(session(START, "alice", "10.0.0.5"))
    for members in ({"error": 5}, {"export_error": 5}):
        channels = {**host.channels(), "Security": {**host.channels()["Security"], **members}}
        (result,) = host.looks({"channels": channels})
        (entry,) = result["coverage"]
        assert entry["status"] == "not_checked"
        assert "the Security log could not be read: access is denied" in entry["reason"]
        assert result["sign_ins"]["successes"] == 1
    (result,) = host.looks({"channels": {"Security": {"error": 1062}}})
    assert "does not run" in result["coverage"][0]["reason"]


def test_records_that_are_missing_are_a_finding_of_channels_that_no_other_look_reads(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(*[session(START + n * 100, "alice", "10.0.0.5") for n in range(4)], *failures(4, 100))
    first = {"channels": host.channels()}
    host.add(*[session(START + 900 + n * 100, "alice", "10.0.0.5") for n in range(4)], *failures(4, 100))
    second = {"channels": host.channels(without=6)}
    gone = {name: each for name, each in host.channels().items() if name == "Security"}
    results = host.looks(first, second, {"channels": gone})
    assert counts(results[0]) == {}
    assert {name: count for name, count in counts(results[1]).items() if name.startswith("event_log")} == {
        f"event_log_records_missing {SESSIONS}": 2
    }
    assert {subject for subject, reason in reasons(results[1]) if "not in" in reason} == {"Security", SESSIONS}
    assert f"event_log_reduced {SESSIONS}" in counts(results[2])


def test_logs_of_other_machines_are_read_together_and_told_apart(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    logs = tmp_path / "logs"
    logs.mkdir()
    by_channel: dict[str, list[evtx_writer.Record]] = collections.defaultdict(list)
    for each in [*rdp_failure(START, "alice", PUBLIC), *rdp_success(START + 30, "alice", PUBLIC)]:
        by_channel[each["channel"]].append(_record(len(by_channel[each["channel"]]) + 1, each, "web1.example"))
    for number, records in enumerate(by_channel.values()):
        (logs / f"{number}.evtx").write_bytes(evtx_writer.log(records))
    # The same account and time at another computer is another sign-in; its log is in two files.
    attack = [_record(n + 1, each, "web2.example") for n, each in enumerate(failures(20, 10))]
    (logs / "a-newer.evtx").write_bytes(evtx_writer.log(attack[10:]))
    (logs / "z-older.evtx").write_bytes(evtx_writer.log(attack[:10]))
    (logs / "damaged.evtx").write_bytes(b"no log")
    options = {"paths": [str(logs), str(tmp_path / "missing.evtx")], "first_days": 1}
    results = host.looks({"options": options}, {"options": options})
    assert [counts(result) for result in results] == [
        {
            f"logon_brute_force_failed {PUBLIC} (computer web2.example)": 20,
            f"password_sign_in_from_internet alice {PUBLIC} (computer web1.example)": 1,
        }
    ] * 2
    assert results[0]["sign_ins"]["services"] == {"network": {"failures": 20}, "rdp": {"failures": 1, "successes": 1}}
    assert "checkpoint" not in results[0]
    assert {pathlib.Path(subject).name for subject, _ in reasons(results[0])} == {"damaged.evtx", "missing.evtx"}
    (result,) = host.looks({"options": {"paths": [str(tmp_path / "missing.evtx")]}})
    assert result["coverage"][0]["status"] == "not_checked"


def test_a_checkpoint_that_is_gone_or_damaged_is_a_finding_or_said(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.add(*failures(3, 10))
    channels = host.channels()
    (result,) = host.looks({"channels": channels})
    for file in (tmp_path / "C/state/checkpoints").iterdir():
        if file.name != "lock":
            file.unlink()
    (again,) = host.looks({"channels": channels, "options": {"_token": result["checkpoint"]["token"]}})
    assert counts(again) == {"audit_state_tampered checkpoint of sign_ins": 1}
    assert again["sign_ins"]["failures"] == 3


def test_without_rules_sign_ins_are_counted_and_the_lack_is_said(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, rules=payload.packed({"version": 1}))
    host.add(*failures(30, 10))
    result = host.look()
    assert result["sign_ins"]["failures"] == 30
    assert "there are no rules for sign-ins" in dict(reasons(result))["rules"]
    assert result["coverage"][0]["status"] == "partial"


def _random_events(seed: int) -> list[Event]:
    """Return attacks and people, more than half a minute apart, so that no two are one attempt."""
    randomness = random.Random(seed)  # noqa: S311 - the same events in each run, nothing secret
    events: list[Event] = []
    # Not at a full second, on both sides of which it may come to be as a number with a fraction.
    at = START + 0.25
    for _ in range(400):
        at += 120_000 if randomness.random() < 0.04 else randomness.choice([31, 31, 40, 60, 200])
        user = randomness.choice(["alice", "bob", "eve", f"user{randomness.randrange(30)}"])
        source = randomness.choice(["10.0.0.5", PUBLIC, f"198.51.100.{randomness.randrange(40)}", "2001:db8::7"])
        if randomness.random() < 0.2:
            events += ssh_success(at, user, source) if randomness.random() < 0.5 else rdp_success(at, user, source)
        else:
            events += ssh_failure(at, user, source) if randomness.random() < 0.5 else rdp_failure(at, user, source)
    return events


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_history_summary_and_detections_are_those_of_linux(
    seed: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = sorted(_random_events(seed), key=lambda event: t.cast("float", event["at"]))
    host = Host(tmp_path)
    host.add(*events)
    result = host.look()

    signs = views_program().call("SignInsScript.Of", events, [], [])
    assert len(signs) > 200
    assert signs[-1]["time"] - signs[0]["time"] > LEARNING + DAY
    detector, summary = detect.Detector(_payload.unpack(content()), {}, History()), Summary()
    for sign in signs:
        view = sign["view"]
        sign_in = SignIn(
            sign["time"] - START + EPOCH,
            view["Outcome"],
            view["Service"],
            view.get("User", ""),
            view.get("SourceIp", ""),
            method=view.get("Method", ""),
        )
        monkeypatch.setattr(views, "of_sign_in", lambda _one, view=view: view)
        detector.sign_in(sign_in)
        summary.add(sign_in)
    expected, left_out = detector.tally.detections(1000)
    assert left_out == 0
    names = ("alert", "subject", "severity", "count", "message")
    assert len({each["alert"] for each in expected}) >= 3
    assert sorted([each.get(name) or "" for name in names] for each in result["detections"]) == sorted(
        [each.get(name) or "" for name in names] for each in expected
    )
    times = {(each["alert"], each["subject"]): (each["first_time"], each["last_time"]) for each in expected}
    for each in result["detections"]:
        assert (each["first_time"], each["last_time"]) == pytest.approx(times[each["alert"], each["subject"]], abs=1e-3)
    figures = {name: value for name, value in result["sign_ins"].items() if name not in ("attempts", "logs")}
    assert figures == summary.result()
