# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller accepts only plausible sessions of a simulation, and only their findings as simulated."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.options import PEOPLE
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import simulated_sessions
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation.content import Simulation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import SimulatedSession
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation as Recorded

CHOSEN = [Simulation("cron_job_written", {}, {"file_written": "the same"}, (), None)]
ENTRY: dict[str, t.Any] = {
    "alert": "cron_job_written",
    "status": "done",
    "person": PEOPLE,
    "sessions": [57],
    "from": 101.0,
    "to": 103.0,
}
ALERTS = ("app_alert", "audit_system_reached", "cron_job_written", "file_written")


def read(*entries: t.Any) -> simulated_sessions.AcceptedSessions:
    return simulated_sessions.read({"simulations": list(entries)}, CHOSEN, ["app_alert"], 100.0, 110.0)


def test_a_session_counts_for_the_alerts_that_were_asked_for() -> None:
    assert read(ENTRY) == ([SimulatedSession(57, PEOPLE, 101.0, 103.0, ALERTS)], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"alert": "ssh_key_added"},
        {"status": "skipped"},
        {"person": 0},
        {"person": PEOPLE + 1},
        {"person": True},
        {"sessions": [0, -1, 2**32 - 1, "57", 57.0, True]},
        {"sessions": "57"},
        {"from": "101"},
        {"to": float("nan")},
        {"from": 104.0},
    ],
)
def test_what_was_not_asked_for_is_not_believed(changes: dict[str, t.Any]) -> None:
    assert read({**ENTRY, **changes}).sessions == []


@pytest.mark.parametrize("answer", [{}, {"simulations": "x"}, {"simulations": [7, None]}])
def test_an_answer_of_the_wrong_kind_has_no_sessions(answer: dict[str, t.Any]) -> None:
    assert simulated_sessions.read(answer, CHOSEN, [], 100.0, 110.0).sessions == []


@pytest.mark.parametrize("shift", [-400.0, 400.0])
def test_another_time_than_the_controller_waited_is_not_believed(shift: float) -> None:
    accepted = read({**ENTRY, "from": 101.0 + shift, "to": 103.0 + shift})
    assert accepted.sessions == []
    assert "the clocks of this host and the controller differ" in accepted.problems[0]


def test_a_longer_time_than_the_controller_waited_is_not_believed() -> None:
    assert read({**ENTRY, "from": 90.0, "to": 105.0}).sessions == []


def test_a_host_without_sessions_is_said_to_be_one() -> None:
    assert "simulated actions have no session of their own" in read({**ENTRY, "sessions": []}).problems[0]


@pytest.mark.parametrize("sessions", [[], [57]])
def test_attempts_from_the_network_are_real_even_if_the_host_reports_a_session(sessions: list[int]) -> None:
    alert = "jit_locked_port_attempts"
    visit = [*CHOSEN, Simulation(alert, {"alert": alert, "visits": ["locked_port"]}, {}, (), None)]
    entries = [ENTRY, {**ENTRY, "alert": alert, "sessions": sessions}]
    accepted = simulated_sessions.read({"simulations": entries}, visit, [], 100.0, 110.0)
    known = Recorded("id", "web1", 100.0, 110.0, "alice", ("cron_job_written", alert), tuple(accepted.sessions))
    attempt = {"alert": alert, "simulation": "id", "first_time": 102.0, "last_time": 102.0}

    assert [session.alerts for session in accepted.sessions] == [
        ("audit_system_reached", "cron_job_written", "file_written")
    ]
    assert simulated_sessions.drop_uncovered_claims([attempt], [known]) == [
        {name: attempt[name] for name in attempt if name != "simulation"}
    ]


def test_a_simulation_of_packets_alone_needs_no_session() -> None:
    visit = Simulation("jit_locked_port_attempts", {"visits": ["locked_port"]}, {}, (), None)
    entry = {**ENTRY, "alert": visit.alert, "sessions": []}
    assert simulated_sessions.read({"simulations": [entry]}, [visit], [], 100.0, 110.0) == ([], [])


def test_only_a_finding_that_a_simulation_covers_keeps_its_claim() -> None:
    session = SimulatedSession(57, PEOPLE, 101.0, 103.0, ALERTS)
    known = Recorded("id", "web1", 100.0, 110.0, "alice", ("cron_job_written",), (session,))
    good = {"alert": "cron_job_written", "simulation": "id", "first_time": 101.5, "last_time": 102.5}
    bad = [
        {**good, "alert": "other"},
        {**good, "simulation": "none"},
        {**good, "simulation": ["id"]},
        {**good, "last_time": 104.1},
        {**good, "first_time": None},
    ]
    covered, *real = simulated_sessions.drop_uncovered_claims([good, *bad], [known])
    assert covered == good
    assert [each for each in real if "simulation" in each] == []
    assert simulated_sessions.drop_uncovered_claims([good], ()) == [
        {name: good[name] for name in good if name != "simulation"}
    ]
    assert simulated_sessions.drop_uncovered_claims("damaged", [known]) == "damaged"
