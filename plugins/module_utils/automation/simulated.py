# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of simulated attacks, as the controller recorded them: only what happened in them is simulated.

These rules decide, and an intruder can't bend them:

- Each program and each record of a simulation has a session of its own. The kernel numbers it when the account of the
  sign-in is set (audit_set_loginuid in kernel/audit.c), and writes number and account into each event. Only root can
  get a session, and its number is always a new one.
- The number counts only together with the account and the time of the simulation. Numbers begin anew with each boot;
  the time tells the boots apart.
- A session covers only the alerts that its simulation raises. Everything else in it is real.
- Names, texts, paths, addresses and process ids are not looked at.

While a simulation runs, root can add sessions of its own to it. The same limits hold for them, and the store shows
their findings with the simulation.
"""

from __future__ import annotations

import math
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act, Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.automation.sessions import opened_by, sender_of, who_acted
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import SIMULATION, Explanation

# No other module makes sentences that begin like this.
_SENTENCE = "Simulation %s of %s"
_SENTENCES = re.compile(r"Simulation ([0-9a-f-]{36}) of [0-9: -]+ UTC")
# The kernel stamps events with the time of its last tick, and a record may be made while the program ends.
_TOLERANCE = 1.0


class _Session(t.NamedTuple):
    """A session. begin, end: in seconds since the epoch. explanation: for the events in it."""

    begin: float
    end: float
    explanation: Explanation


class SimulatedSessions(Explainer[Act]):
    """Explains what happens in sessions of simulated attacks."""

    name, kind = "simulated", SIMULATION

    def __init__(self, simulations: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """simulations: each ``id``, ``started`` and ``sessions``, a list of number, account, begin, end and alerts.

        Raises UsageError for anything else.
        """
        # By number and account: numbers begin anew with each boot, and so two simulations can have the same ones.
        self._known: dict[tuple[bytes, bytes], list[_Session]] = {}
        try:
            for simulation in simulations:
                self._add(simulation)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UsageError("_simulated: a simulation is damaged: %s" % error) from error

    def explain(self, act: Act) -> Explanation | None:
        event = act.event
        opened = opened_by(event.raw) if event.first == b"LOGIN" else None
        if opened is not None:
            return self._of(opened[1], opened[0], event.time)
        who = who_acted(act)
        return None if who is None else self._of(who[2], who[1], event.time)

    def explain_record(self, raw: bytes, at: float) -> Explanation | None:
        """Return what explains a record of user space. at: its time, in seconds since the epoch."""
        sender = sender_of(raw)
        return None if sender is None else self._of(sender[1], sender[0], at)

    def _of(self, number: bytes, account: bytes, at: float) -> Explanation | None:
        sessions = self._known.get((number, account), ())
        return next((each.explanation for each in sessions if each.begin <= at <= each.end), None)

    def _add(self, simulation: t.Mapping[str, t.Any]) -> None:
        begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(simulation["started"]))
        sentence = _SENTENCE % (simulation["id"], begun)
        for number, account, begin, end, alerts in simulation["sessions"]:
            if not math.isfinite(begin) or not math.isfinite(end):
                raise ValueError("a time is not a number")
            key = b"%d" % number, b"%d" % account
            explanation = Explanation(SIMULATION, sentence, str(simulation["id"]), frozenset(alerts))
            session = _Session(begin - _TOLERANCE, end + _TOLERANCE, explanation)
            self._known.setdefault(key, []).append(session)


def simulation_of(sentence: str) -> str | None:
    """Return the id of the simulation that a sentence is about, None if it is about something else."""
    match = _SENTENCES.fullmatch(sentence)
    return match.group(1) if match is not None else None


def sessions_of(params: t.Mapping[str, t.Any]) -> SimulatedSessions | None:
    """Return the simulated sessions that the controller knows of this host, None if there are none."""
    packed = params.get("_simulated")
    if not packed:
        return None
    from ansible_collections.bulwark.servers.plugins.module_utils import _payload

    try:
        return SimulatedSessions(t.cast("t.Any", _payload.unpack(packed))["simulations"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("_simulated: %s" % error) from error
