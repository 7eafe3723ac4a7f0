# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the coverage says of logs that cannot be read in full, or not believed."""

from __future__ import annotations

import gzip
import os
import pathlib
import time
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import alive
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

NOBODY = 65534
_LINE = "type=DAEMON_START msg=audit(1700000000.1:1): op=start res=success\n"


def look(log: pathlib.Path, **options: t.Any) -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in collect_spec().items()}
    given = {"state_dir": str(log.parent / "state"), "paths": [str(log)], "priority": "normal"}
    given.update(_content=detections.load().payload, _token=None, _advance=False)
    return collect.collect({**params, **given, **options}, check_mode=False)


def coverage(log: pathlib.Path, **options: t.Any) -> dict[str, t.Any]:
    (entry,) = look(log, **options)["coverage"]
    return t.cast("dict[str, t.Any]", entry)


def reasons(entry: dict[str, t.Any]) -> list[str]:
    return [skipped["reason"] for skipped in entry["skipped"]]


@pytest.mark.requires("root")
def test_a_log_that_somebody_else_can_write_is_checked_partly(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    assert coverage(log)["status"] == "checked"
    os.chown(log, NOBODY, NOBODY)
    entry = coverage(log)
    assert entry["status"] == "partial"
    reason = "it can be written by nobody, who may have changed its content"
    assert entry["skipped"] == [{"subject": str(log), "reason": reason}]


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(_LINE.replace(":1)", ":0)").encode())[:-6] + b"damage"],
    ids=["none", "damaged"],
)
def test_a_damaged_archive_is_said_in_words(tmp_path: pathlib.Path, content: bytes) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    (tmp_path / "audit.log.1.gz").write_bytes(content)
    entry = coverage(log)
    assert entry["status"] == "partial"
    words = "its name ends in .gz, but it is not compressed or is damaged"
    assert entry["skipped"] == [{"subject": f"{log}.1.gz", "reason": f"cannot be read to its end: {words}"}]


def test_what_is_written_while_the_log_is_read_is_not_missing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.log"
    now = int(time.time())
    log.write_text("".join(f"type=USER msg=audit({now}.000:{number}): pid=1\n" for number in (1, 2, 4)))
    clock, look_for = [now], collect.Follower.open

    def slowly(follower: collect.Follower, paths: t.Sequence[str]) -> list[collect.LogFile]:
        files = look_for(follower, paths)
        clock[0] += 60
        return files

    monkeypatch.setattr(collect.Follower, "open", slowly)
    monkeypatch.setattr(collect, "time", types.SimpleNamespace(time=lambda: clock[0], monotonic=time.monotonic))
    assert coverage(log)["status"] == "checked"
    assert coverage(log)["status"] == "partial"


def test_an_empty_log_is_not_checked(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "audit.log"
    log.touch()
    entry = coverage(log)
    assert (entry["status"], entry["reason"]) == ("not_checked", f"the audit log {log} is empty")
    log.with_name("audit.log.1").write_text(_LINE)
    assert coverage(log)["status"] == "checked"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"garbage\n" * 3, "3 lines were not understood (no audit records), 0 events were; the first: garbage"),
        (b'{"ID":"1.2:3","SYSCALL":{}}\n', "1 line was not understood (JSON: read the log that auditd writes"),
        (b"type=SYSCALL msg=audit(1780000000.1:1): arch=c000003e\n", "1 event was not understood (system calls whose"),
        (b"\n\n", "it has no lines"),
    ],
)
def test_a_log_of_which_nothing_is_understood_is_not_checked(
    content: bytes, words: str, tmp_path: pathlib.Path
) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(content)
    entry = coverage(log)
    assert entry["status"] == "not_checked"
    assert entry["reason"].startswith(f"nothing of the audit log {log} was understood; {words}")


def test_a_share_that_is_not_understood_makes_it_partial(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text("mysql --password=hunter2\n" + _LINE + "type=PATH msg=aud")
    os.utime(log, (1_700_000_000, 1_700_000_000))
    (tmp_path / "audit.log.1").write_text(_LINE.replace("1700000000", "1600000000"))
    result = look(log)
    (entry,) = result["coverage"]
    assert entry["status"] == "partial"
    assert entry["skipped"] == [
        {
            "subject": str(log),
            "reason": "1 line was not understood (no audit records), 1 event was; the first: mysql --password=***",
        },
        {
            "subject": str(log),
            "reason": "1 line was not understood (audit records that are cut off), 1 event was; the first: "
            "type=PATH msg=aud",
        },
    ]
    figures = result["audit_events"]
    assert (figures["damaged_lines"], figures["events"], figures["unknown_events"]) == (2, 2, 0)


def test_a_log_without_a_whole_line_is_partial(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text("x" * 100)
    assert reasons(coverage(log)) == ["has no line that is complete yet"]


def test_a_copy_of_a_log_is_checked_and_said_to_be_one(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    result = look(log)
    (entry,) = result["coverage"]
    assert entry["status"] == "checked"
    words = "This is not the log that this host's audit daemon writes; its last event is of 2023-11-14T22:13:20Z."
    assert entry["note"] == words
    assert result["audit_events"]["log_active"] is None


@pytest.mark.parametrize("reason", [None, "it receives no records: no audit daemon receives the kernel's records"])
def test_the_host_s_own_log_has_to_be_written_now(
    reason: str | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    asked: list[tuple[list[str], bool]] = []

    def prove(paths: list[str], expected: bool) -> alive.Proof:
        asked.append((paths, expected))
        return alive.Proof(True, reason)

    monkeypatch.setattr(collect.alive, "prove", prove)
    monkeypatch.setattr(collect, "DEFAULT_PATHS", (str(log),))
    result = look(log, paths=None)
    (entry,) = result["coverage"]
    assert asked == [([str(log)], True)]
    assert result["audit_events"]["log_active"] is (reason is None)
    assert "note" not in entry
    if reason is None:
        assert entry["status"] == "checked"
    else:
        assert entry["status"] == "partial"
        assert reasons(entry) == [f"{reason}; its last event is of 2023-11-14T22:13:20Z"]


def test_a_log_that_was_written_once_has_to_be_for_ever(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lets the daemon write elsewhere does not turn the log into a copy."""
    log = tmp_path / "audit.log"
    log.write_text(_LINE)
    expected: list[bool] = []
    proofs = [alive.Proof(True, None, str(log)), alive.Proof(True, "x"), alive.Proof(True, "x")]

    def prove(_paths: list[str], is_expected: bool) -> alive.Proof:
        expected.append(is_expected)
        return proofs[len(expected) - 1]

    monkeypatch.setattr(collect.alive, "prove", prove)
    token = None
    for _run in proofs:
        token = look(log, _token=token, _advance=True)["checkpoint"]["token"]
    # Of another log nothing is claimed.
    other = tmp_path / "other.log"
    other.write_text(_LINE)
    proofs.append(alive.Proof(False, None))
    assert look(other, _token=token, _advance=True)["coverage"][0]["status"] == "checked"
    assert expected == [False, True, True, False]


@pytest.mark.parametrize("is_live", [True, False])
def test_the_log_that_the_daemon_writes_is_no_excerpt(
    is_live: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names another log in the daemon's configuration does not turn its own into somebody's choice."""
    log = tmp_path / "audit.log"
    log.write_text("".join(f"type=USER msg=audit(1700000000.1:{number}): pid=1\n" for number in range(1, 200, 3)))
    monkeypatch.setattr(collect.alive, "prove", lambda _paths, _expected: alive.Proof(is_live, None))
    alerts = [found["alert"] for found in look(log)["detections"]]
    assert ("audit_events_missing" in alerts) is is_live
