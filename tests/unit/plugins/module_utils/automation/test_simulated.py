# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what happened in a recorded session, by its account, at its time, is simulated."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.automation import simulated
from ansible_collections.bulwark.servers.plugins.module_utils.automation.simulated import SimulatedSessions

UID = "2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de"
ACCOUNT = 2_147_000_003
CALL = (
    "type=SYSCALL msg=audit({at:.3f}:7): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid=1"
    " pid=9 auid={account} uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses={number}"
    ' comm="{name}" exe="/tmp/{name}" key=(null)\n'
)
LOGIN = (
    "type=LOGIN msg=audit({at:.3f}:6): pid=9 uid=0 old-auid=4294967295 auid={account} tty=(none)"
    " old-ses=4294967295 ses={number} res=1\n"
)
MESSAGE = "type=USER_LOGIN msg=audit({at:.3f}:8): pid=9 uid=0 auid={account} ses={number} msg='op=login res=failed'\n"


class Act(t.NamedTuple):
    event: Event
    kind: str
    parent: None = None


def sessions() -> SimulatedSessions:
    session = [57, ACCOUNT, 1000.0, 1002.0, ["insmod_alert"]]
    return SimulatedSessions([{"id": UID, "started": 990.0, "sessions": [session]}])


def act(form: str = CALL, at: float = 1001.0, account: int = ACCOUNT, number: int = 57, name: str = "insmod") -> Act:
    raw = form.format(at=at, account=account, number=number, name=name).encode()
    first = raw[len(b"type=") :].split(b" ", 1)[0]
    event = Event(int(at), round(at % 1 * 1000), 7, first, raw)
    return Act(event, "message" if first == b"USER_LOGIN" else "execution")


@pytest.mark.parametrize("form", [CALL, LOGIN, MESSAGE])
def test_a_session_at_its_time_is_simulated(form: str) -> None:
    explanation = sessions().explain(act(form))
    assert explanation is not None
    assert (explanation.kind, explanation.simulation, explanation.alerts) == (
        "simulation",
        UID,
        frozenset({"insmod_alert"}),
    )
    assert simulated.simulation_of(explanation.sentence) == UID


@pytest.mark.parametrize("form", [CALL, LOGIN, MESSAGE])
@pytest.mark.parametrize(
    "changes",
    [
        {"number": 58},
        {"account": ACCOUNT + 1},
        {"account": 0},
        {"number": 4_294_967_295, "account": 4_294_967_295},
        {"at": 998.9},
        {"at": 1003.1},
    ],
)
def test_another_session_account_or_time_is_real(form: str, changes: dict[str, t.Any]) -> None:
    assert sessions().explain(act(form, **changes)) is None


def test_a_number_that_another_boot_gave_again_counts_for_both_simulations() -> None:
    older = {"id": UID.replace("2f4b", "0000"), "started": 90.0, "sessions": [[57, ACCOUNT, 100.0, 102.0, ["old"]]]}
    newer = {"id": UID, "started": 990.0, "sessions": [[57, ACCOUNT, 1000.0, 1002.0, ["new"]]]}
    for simulations in ([newer, older], [older, newer]):
        known = SimulatedSessions(simulations)
        explained = [known.explain(act(at=at)) for at in (101.0, 1001.0)]
        assert [each.alerts if each else None for each in explained] == [{"old"}, {"new"}]
        assert known.explain(act(at=500.0)) is None


def test_a_text_that_names_a_session_is_none_of_the_kernel() -> None:
    # A command line, or the text of a record that root of a session of its own sends.
    assert sessions().explain(act(number=60, name=f"x auid={ACCOUNT} ses=57")) is None
    forged = act(MESSAGE, number=60)
    raw = forged.event.raw.replace(b"op=login", b"op=login auid=2147000003 ses=57")
    assert sessions().explain(forged._replace(event=forged.event._replace(raw=raw))) is None


@pytest.mark.parametrize("sentence", ["Session 42 of ansible", f"Simulation {UID} of yesterday UTC", "bash 5.2"])
def test_other_sentences_are_about_no_simulation(sentence: str) -> None:
    assert simulated.simulation_of(sentence) is None


@pytest.mark.parametrize(
    "damaged",
    [
        [{}],
        [{"id": UID, "started": 1.0, "sessions": [[1, 2, 3.0]]}],
        [{"id": UID, "started": 1.0, "sessions": [[1, 2, float("inf"), 3.0, []]]}],
        [{"id": UID, "started": 1.0, "sessions": [["x", 2, 1.0, 3.0, []]]}],
        7,
    ],
)
def test_what_is_damaged_is_refused(damaged: t.Any) -> None:
    with pytest.raises(UsageError, match="_simulated: "):
        SimulatedSessions(damaged)
