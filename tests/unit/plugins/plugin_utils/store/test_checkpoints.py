# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import RecordResult, Store, StoreError

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, counts, finding, start


def read(
    store: Store,
    now: float,
    token: t.Any,
    after: t.Any = None,
    subjects: t.Sequence[str] = ("alice",),
    name: str = "audit_events",
    run_id: str | None = None,
) -> RecordResult:
    run_id = run_id or start(store, now)
    found = [finding(subject, now, lifecycle="event") for subject in subjects]
    said = {"name": name, "token": token, "after": after}
    return store.record(run_id, "web1", CAPABILITY, found, [checked()], now, said)


def test_the_token_of_what_was_recorded_is_the_one_to_go_on_from(store: Store) -> None:
    assert store.checkpoint("web1", "audit_events") is None
    read(store, 100, "t1")
    read(store, 200, "t2", after="t1")
    read(store, 300, "s1", name="sign_ins")
    assert store.checkpoint("web1", "audit_events") == "t2"
    assert store.checkpoint("web1", "sign_ins") == "s1"
    assert store.checkpoint("web2", "audit_events") is None


def test_what_another_run_recorded_meanwhile_is_not_recorded_twice(store: Store) -> None:
    read(store, 100, "t1")
    assert counts(read(store, 200, "t2", after="t1", subjects=["bob"])) == {"new": 1}
    # It read from t1, too, but its result arrives later.
    assert counts(read(store, 210, "other", after="t1", subjects=["bob", "carol"])) == {}
    assert store.checkpoint("web1", "audit_events") == "t2"
    assert {found.subject: found.count for found in store.query()} == {"alice": 1, "bob": 1}


def test_a_result_that_is_recorded_again_in_its_run_changes_nothing(store: Store) -> None:
    run_id = start(store, 100)
    for _time in range(2):
        read(store, 100, "t1", run_id=run_id)
    assert store.checkpoint("web1", "audit_events") == "t1"
    assert [found.count for found in store.query()] == [1]


def test_a_record_that_fails_leaves_the_token_as_it_was(store: Store) -> None:
    read(store, 100, "t1")
    with pytest.raises(StoreError):
        store.record(
            start(store, 200),
            "web1",
            CAPABILITY,
            [{"no": "finding"}],
            [checked()],
            200,
            {"name": "audit_events", "token": "t2", "after": "t1"},
        )
    assert store.checkpoint("web1", "audit_events") == "t1"


@pytest.mark.parametrize(
    "said",
    [
        "t1",
        {},
        {"name": "audit_events", "token": None},
        {"name": "audit_events", "token": "../../etc/passwd"},
        {"name": "audit_events", "token": "t" * 129},
        {"name": "Audit Events", "token": "t1"},
        {"name": "audit_events", "token": "t1", "after": 7},
    ],
)
def test_what_is_no_checkpoint_is_refused_with_all_that_came_with_it(store: Store, said: t.Any) -> None:
    with pytest.raises(StoreError, match="an invalid checkpoint"):
        store.record(start(store, 100), "web1", CAPABILITY, [finding()], [checked()], 100, said)
    assert (store.query(), store.checkpoint("web1", "audit_events")) == ([], None)


@pytest.mark.parametrize("capabilities", [(), (CAPABILITY,)])
def test_logs_whose_findings_are_forgotten_are_read_anew(store: Store, capabilities: tuple[str, ...]) -> None:
    read(store, 100, "t1")
    store.forget(["web1"], capabilities=["another"], by="bob", now=200)
    assert store.checkpoint("web1", "audit_events") == "t1"
    store.forget(["web1"], capabilities=capabilities, by="bob", now=200)
    assert store.checkpoint("web1", "audit_events") is None


def test_what_was_forgotten_of_a_host_is_read_anew(store: Store) -> None:
    read(store, 100, "t1")
    read(store, 200, "s1", name="sign_ins")
    store.forget_checkpoints("web2", [CAPABILITY])
    store.forget_checkpoints("web1", ["app_control"])
    assert store.checkpoint("web1", "sign_ins") == "s1"
    store.forget_checkpoints("web1", ["app_control", CAPABILITY])
    assert [store.checkpoint("web1", name) for name in ("audit_events", "sign_ins")] == [None, None]
