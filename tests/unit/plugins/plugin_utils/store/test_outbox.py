# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is written into the history of a finding also waits for each destination."""

from __future__ import annotations

import collections
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Accepted,
    CapabilityResult,
    Selection,
    Store,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.recording import FLEET_SCOPE

from tests.support import paths
from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store.outboxes import changes, register, waiting
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, record, start

EVERYTHING = Selection(host="*")


def _accepted_by_seal(store: Store) -> None:
    record(store, 10, [finding()])
    accepted = Accepted(CAPABILITY, 1, ({"id": "1", "subject": "/etc/passwd", "kind": "modified"},), True)
    store.propose_seal("web1", "default", "aa", by="alice", reason="CHG-1", now=20, accepted=accepted)
    store.confirm_seal("web1", "default", "aa", now=21)
    record(store, 30)


def _ended_by_allowlist(store: Store) -> None:
    record(store, 10, [finding(lifecycle="event")])
    ended = {"alert": "test_alert_event", "subject": "/etc/passwd", "reason": "allowed"}
    run = start(store, 20)
    store.record_host(run, "web1", [CapabilityResult(CAPABILITY, [], [checked()], ended=[ended])], 20)


def _fleet(store: Store) -> None:
    run = start(store, 10)
    store.record_fleet(run, CAPABILITY, [finding(host=FLEET, scope=FLEET_SCOPE)], 10)
    store.record_fleet(run, CAPABILITY, [], 20)


def _severity(store: Store) -> None:
    record(store, 10, [finding()])
    record(store, 20, [finding(severity="high")])


def _reopened(store: Store) -> None:
    for now, seen in ((10, [finding()]), (20, []), (30, [finding()])):
        record(store, now, seen)


def _suppressed(store: Store) -> None:
    record(store, 10, [finding()])
    store.suppress(EVERYTHING, reason="r", by="alice", now=20)
    store.unsuppress(EVERYTHING, reason="s", by="bob", now=30)
    store.resolve(EVERYTHING, reason="t", by="carol", now=40)


def _suppressed_by_rule(store: Store) -> None:
    store.suppress(EVERYTHING, reason="r", by="alice", now=5, future=True)
    record(store, 10, [finding()])


def _worse_than_suppressed(store: Store) -> None:
    record(store, 10, [finding(severity="low")])
    store.suppress(EVERYTHING, reason="r", by="alice", now=20)
    record(store, 30, [finding(severity="high")])


def _suppression_ended_before_a_run(store: Store) -> None:
    record(store, 10, [finding()])
    store.suppress(EVERYTHING, reason="r", by="alice", now=20, until=25)
    record(store, 30, [finding(severity="high")])


def _suppression_ended(store: Store) -> None:
    record(store, 10, [finding()])
    store.suppress(EVERYTHING, reason="r", by="alice", now=20, until=25)
    assert store.lift_ended_suppressions(24) == 0
    assert store.lift_ended_suppressions(26) == 1
    assert store.lift_ended_suppressions(27) == 0


def _several_results(store: Store) -> None:
    results = [CapabilityResult(CAPABILITY, [finding(severity=severity)], [checked()]) for severity in ("low", "high")]
    store.record_host(start(store, 10), "web1", [*results, CapabilityResult(CAPABILITY, [], [checked()])], 10)


def _refused_result(store: Store) -> None:
    results = [CapabilityResult(CAPABILITY, [finding("a\0b"), finding()], [checked()])]
    store.record_host(start(store, 10), "web1", [*results, CapabilityResult(CAPABILITY, [finding()], [checked()])], 10)


WRITERS: dict[str, tuple[t.Callable[[Store], None], list[str]]] = {
    "accepted by a seal": (_accepted_by_seal, ["new", "resolved"]),
    "ended by an allowlist": (_ended_by_allowlist, ["new", "resolved"]),
    "about the fleet": (_fleet, ["new", "resolved"]),
    "another severity": (_severity, ["new", "severity_changed"]),
    "reopened": (_reopened, ["new", "resolved", "reopened"]),
    "decisions": (_suppressed, ["new", "suppressed", "unsuppressed", "resolved"]),
    "suppressed by rule": (_suppressed_by_rule, ["new", "suppressed"]),
    "worse than suppressed": (_worse_than_suppressed, ["new", "suppressed", "unsuppressed"]),
    "suppression ended before a run": (
        _suppression_ended_before_a_run,
        ["new", "suppressed", "unsuppressed", "severity_changed"],
    ),
    "suppression ended": (_suppression_ended, ["new", "suppressed", "unsuppressed"]),
    "several results at once": (_several_results, ["new", "severity_changed", "resolved"]),
    "a result that the database refuses": (_refused_result, ["new"]),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_the_history_has_waits(store: Store, writer: str) -> None:
    register(store)
    work, expected = WRITERS[writer]
    work(store)
    queued = waiting(store)
    history = collections.Counter((entry.time, entry.uid, entry.action) for entry in store.history())
    assert collections.Counter((change.at, change.key, change.change) for change in queued) == history
    if writer != "a result that the database refuses":  # SQLite takes it
        assert [change.change for change in queued] == expected
    assert len({change.uid for change in queued}) == len(queued)
    for change in queued:
        assert schema.errors(change.event) == []
        assert change.event["unmapped"]["change"] == change.change
        assert (change.event["metadata"]["uid"], change.event["device"]["name"]) == (change.uid, change.host)
        assert change.event["time"] == int(change.at * 1000)


def test_no_other_code_writes_the_history() -> None:
    """Fails with a new caller of add_history, or another insertion: it has to fill the outbox, and be tried above."""
    root = paths.ROOT / "plugins"
    texts = {str(file.relative_to(root)): file.read_text() for file in sorted(root.rglob("*.py"))}

    def having(words: str) -> list[str]:
        return [name.removeprefix("plugin_utils/store/") for name, text in texts.items() if words in text]

    assert having("tables().history.insert") == ["findings.py"]
    assert having("add_history(connection") == ["decisions.py", "findings.py", "host_log.py"]
    assert having("bulwark_history") == ["schema.py"]


def test_without_destinations_nothing_waits(store: Store) -> None:
    _suppressed(store)
    register(store, 100)
    assert waiting(store) == []


def test_a_change_that_is_undone_does_not_wait(store: Store) -> None:
    register(store)
    run = start(store, 10)
    with pytest.raises(Exception, match="is not about web1"):
        store.record(run, "web1", CAPABILITY, [finding(host="web2")], [checked()], 10)
    assert changes(store) == []


def test_a_store_in_check_mode_queues_only_for_itself(store_url: str, store: Store) -> None:
    register(store)
    record(store, 10, [finding()])
    store.close()
    checking = Store.open(store_url, mode="check")
    record(checking, 20)
    assert changes(checking) == ["new", "resolved"]
    checking.close()
    reading = Store.open(store_url, mode="read")
    assert changes(reading) == ["new"]
    reading.close()
