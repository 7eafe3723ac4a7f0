# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of an export: a line, a warning, and how waiting changes would read there."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import outcome, preview
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.secrets import Redactor
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.settings import Settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, DestinationState

from tests.unit.plugins.plugin_utils.export import kind as test_kind
from tests.unit.plugins.plugin_utils.export.doubles import Receiver, change

DESTINATION = Destination("siem", "webhook", "https://siem.example.com/in")


def state(**fields: t.Any) -> DestinationState:
    numbers = dict.fromkeys(("waiting", "waiting_bytes", "set_aside", "sent", "dropped", "shortened", "attempts"), 0)
    rest = dict.fromkeys(("waiting_since", "last_sent", "retry_at", "last_error"))
    return DestinationState(**{"destination": DESTINATION, "registered": 1.0, **numbers, **rest, **fields})


def test_a_destination_that_has_everything_has_no_problem() -> None:
    result = outcome.of_destination(state(sent=900), Progress(sent=1200, is_done=True), 200.0)
    assert (result["behind_since"], result["error"], outcome.problem(result)) == (None, None, None)
    assert outcome.line(result) == "Export to siem (webhook, https://siem.example.com/in): 1,200 sent, 0 waiting"


def test_what_waits_is_said_with_its_reason() -> None:
    waiting = state(waiting=2, waiting_since=60.0, retry_at=3600.0, last_error="connection refused", set_aside=1)
    result = outcome.of_destination(waiting, Progress(is_done=True), 200.0)
    assert (result["behind_since"], result["retry_at"]) == (60.0, 3600.0)
    reason = "not tried before 1970-01-01 01:00 UTC: connection refused"
    assert outcome.problem(result) == f"The destination 'siem' is behind by 2 changes: {reason}."
    assert outcome.line(result).endswith(f": 0 sent, 2 waiting, 1 set aside; {reason}")
    result = outcome.of_destination(waiting, Progress(is_done=True), 3600.0)
    assert result["error"] == "due again after: connection refused"
    result = outcome.of_destination(state(waiting=1, waiting_since=60.0), Progress(error="reset"), 200.0)
    assert outcome.problem(result) == "The destination 'siem' is behind by 1 change: reset."
    result = outcome.of_destination(state(waiting=1, waiting_since=60.0), Progress(is_done=True), 200.0)
    assert result["error"] == "another exporter has the rest, or it was recorded meanwhile"


def test_what_a_dry_run_only_shows_has_no_reason_to_wait_but_a_former_failure() -> None:
    result = outcome.of_destination(state(waiting=3, waiting_since=60.0), Progress(), 200.0)
    assert outcome.line(result) == "Export to siem (webhook, https://siem.example.com/in): 0 sent, 3 waiting"
    failed = state(waiting=3, waiting_since=60.0, retry_at=100.0, last_error="reset")
    assert outcome.of_destination(failed, Progress(), 200.0)["error"] == "due again after: reset"


def test_what_was_refused_is_a_problem_and_says_what_to_do() -> None:
    result = outcome.of_destination(state(set_aside=1), Progress(sent=1, refused=1), 200.0)
    assert outcome.problem(result) == (
        "The destination 'siem' refused 1 change: findings_export_info shows why, and resend sends them again."
    )


def test_two_passes_are_added_up() -> None:
    merged = outcome.merged(Progress(1, 2, 3, None, True), Progress(10, 20, 30, "reset", True))
    assert merged == Progress(11, 22, 33, "reset", True)


def test_a_preview_shows_what_would_be_sent_and_no_secret(kind: test_kind.Kind) -> None:
    receiver = Receiver()
    receiver.unfit = {"uid-2"}
    kind.receivers = {"siem": receiver}
    event = {"severity": "High", "status": "New", "message": "s3cr3t \udcff", "removed": 1}
    shown = preview.of_changes(
        Settings(DESTINATION, {}, Redactor(["s3cr3t"])), [change(1, "a", event=event), change(2, "b")]
    )
    assert receiver.batches == []
    assert receiver.is_closed
    first, second = shown
    assert '"message": "******** \\udcff"' in first.pop("body")
    assert first.pop("size") > 100
    assert first == {
        "uid": "uid-1",
        "change": "new",
        "host": "web1",
        "alert": "fim_file_modified",
        "severity": "High",
        "status": "New",
        "time": 100.0,
        "removed_evidences": 1,
        "shortened_values": 0,
        "problem": None,
    }
    assert (second["body"], second["problem"]) == (None, "it has no host")
