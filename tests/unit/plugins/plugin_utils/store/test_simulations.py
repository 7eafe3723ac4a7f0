# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated findings are resolved at once and counted apart; whatever a simulation does not cover is real."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Query,
    SimulatedSession,
    Store,
    StoreError,
)

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, start

ALERT = finding(lifecycle="event")["unmapped"]["alert"]


def simulate(store: Store, *, host: str = "web1", alerts: tuple[str, ...] = (ALERT,), begin: float = 100.0) -> str:
    identity = store.start_simulation(host, alerts, by="alice", now=begin)
    store.end_simulation(identity, [SimulatedSession(7, 2_147_000_000, begin, begin + 5, alerts)], now=begin + 6)
    return identity


def seen(simulation: str | None, at: float = 102.0, subject: str = "x") -> dict[str, t.Any]:
    event = finding(subject, at, lifecycle="event")
    event |= {"start_time": int(at * 1000), "end_time": int(at * 1000)}
    if simulation is not None:
        event["unmapped"]["simulation"] = simulation
    return event


def record(store: Store, *events: dict[str, t.Any], now: float) -> t.Any:
    return store.record(start(store, now), "web1", CAPABILITY, events, [checked()], now)


def states(store: Store) -> dict[str, tuple[str, bool]]:
    return {each.subject: (each.status, each.simulation is not None) for each in store.query(now=1_000.0)}


def test_a_simulated_finding_is_resolved_and_counts_apart(store: Store) -> None:
    identity = simulate(store)
    done = record(store, seen(identity), seen(None, subject="real"), now=110)
    assert (done.new, done.simulated) == (1, 1)
    assert states(store) == {"x": ("resolved", True), "real": ("new", False)}
    counts = store.counts(now=1_000.0)
    assert (counts.total, counts.by_status["resolved"], counts.simulated) == (1, 0, 1)
    (simulated,) = store.query(Query(simulated=True), 1_000.0)
    assert (simulated.status_by, simulated.status_reason) == ("alice", f"simulated by alice ({identity})")
    assert [each.subject for each in store.query(Query(simulated=False), 1_000.0)] == ["real"]
    (simulation,) = store.simulations(["web*"])
    assert (simulation.id, simulation.by, simulation.findings) == (identity, "alice", 1)
    assert [entry.action for entry in store.history(Query(simulated=True), 1_000.0)] == ["resolved", "new"]


@pytest.mark.parametrize("at", [98.9, 106.1])
def test_what_a_simulation_does_not_cover_is_real(store: Store, at: float) -> None:
    identity = simulate(store)
    record(store, seen(identity, at), now=110)
    assert states(store) == {"x": ("new", False)}


def test_another_alert_another_host_or_an_unknown_simulation_is_real(store: Store) -> None:
    other_alert, other_host = simulate(store, alerts=("other",)), simulate(store, host="db1")
    unended = store.start_simulation("web1", [ALERT], by="mallory", now=100)
    claims = [other_alert, other_host, unended, "no simulation"]
    record(store, *(seen(claim, subject=str(at)) for at, claim in enumerate(claims)), now=110)
    assert set(states(store).values()) == {("new", False)}


def test_a_real_finding_of_the_same_subject_stays_open(store: Store) -> None:
    record(store, seen(None, 50.0), now=60)
    identity = simulate(store)
    record(store, seen(identity), now=110)
    assert states(store) == {"x": ("open", False)}


def test_a_real_event_opens_a_simulated_finding_whenever_it_was(store: Store) -> None:
    identity = simulate(store)
    record(store, seen(identity), now=110)
    # Older than what was simulated, from a log that was read late.
    record(store, seen(None, 90.0), now=120)
    assert states(store) == {"x": ("open", False)}


def test_a_second_simulation_resolves_it_again(store: Store) -> None:
    record(store, seen(simulate(store)), now=110)
    second = simulate(store, begin=200.0)
    record(store, seen(second, 203.0), now=210)
    assert states(store) == {"x": ("resolved", True)}
    assert [each.findings for each in store.simulations()] == [1, 0]


def test_a_simulation_ends_once(store: Store) -> None:
    identity = simulate(store)
    with pytest.raises(StoreError, match=r"has no simulation .* that has not ended"):
        store.end_simulation(identity, [], now=120)


def test_old_simulations_are_pruned_with_their_findings(store: Store) -> None:
    record(store, seen(simulate(store)), now=110)
    store.prune(before=105)
    assert len(store.simulations()) == 1
    store.prune(before=300)
    assert store.simulations() == []
