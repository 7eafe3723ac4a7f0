# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that puts a change on trial: it is confirmed by coming in once more."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import (
    CapabilityActionBase,
    Conversation,
    Request,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Connections that lead through the network to the host's own ports, by the last part of their names.
_THROUGH_THE_NETWORK = frozenset(("ssh", "paramiko", "paramiko_ssh", "libssh"))
_OWN_ARGUMENTS = frozenset(("_confirm", "_withdraw", "_through_network"))
# Of a module that said nothing, as its program could not run.
_ERROR_OUTPUT = "module_stderr"
# Seconds between two tries to come in.
_PAUSE = 1.0
# Seconds that the kernel may take longer than the clock here to be back at the former rules.
_GRACE = 1.0
_LONGEST_REASON = 300
# Whatever the configuration of ssh says: the first value counts.
_ONE_CONNECTION = "-o ControlMaster=no -o ControlPath=none"


class TrialActionBase(CapabilityActionBase):
    """Put a change on trial, come in once more by a new connection, and confirm it by that.

    Nobody is needed for the way back: where nobody comes in, the host goes back to what it had before by itself. An
    action of it sets ``ADVICE``, what to do where that happened, and where it isn't rules of a firewall that are on
    trial, ``PROPOSED`` and ``FORMER``, what is and what was before.
    """

    ADVICE: t.ClassVar[str]
    PROPOSED: t.ClassVar[str] = "the proposed rules"
    FORMER: t.ClassVar[str] = "the former rules"
    # Keys of a result that only the trial knows.
    TRIED: t.ClassVar[tuple[str, ...]] = ("diff",)

    def run_module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Conversation:
        # These are for this action to say.
        arguments = {name: value for name, value in arguments.items() if name not in _OWN_ARGUMENTS}
        started = time.monotonic()
        result = yield from self.execute(arguments, task_vars)
        trial = result.pop("trial", None)
        token, seconds = (trial.get("token"), trial.get("seconds")) if isinstance(trial, dict) else (None, None)
        if result.get("failed") or not isinstance(token, str) or not isinstance(seconds, int):
            return result
        left = trial.get("left") if isinstance(trial, dict) else None
        if isinstance(left, int):
            # The host needed a while before the trial began.
            started = time.monotonic() + left - seconds
        return (yield from self._confirm(self.confirming(arguments, token), task_vars, result, started, seconds))

    def confirming(self, arguments: dict[str, t.Any], token: str) -> dict[str, t.Any]:
        """Return the arguments that confirm a trial."""
        return {**arguments, "_confirm": token, "_through_network": self._is_through_network()}

    def is_lost(self, error: AnsibleError) -> bool:
        """Say whether an error means that nobody came in, which another try may change."""
        return isinstance(error, AnsibleConnectionFailure)

    def _confirm(
        self,
        arguments: dict[str, t.Any],
        task_vars: dict[str, t.Any],
        tried: dict[str, t.Any],
        started: float,
        seconds: int,
    ) -> Conversation:
        """Return the answer that came through a new connection, or that of the trial as a failure."""
        reason = ""
        while time.monotonic() < started + seconds:
            try:
                self._connection.reset()
                with self._own_connection():
                    result = yield from self.execute(arguments, task_vars)
            except AnsibleError as error:
                if not self.is_lost(error):
                    raise
                reason = error.message
                time.sleep(_PAUSE)
                continue
            if result.get("unreachable") or (result.get("failed") and _ERROR_OUTPUT in result):
                reason = str(result.get(_ERROR_OUTPUT) or result.get("msg") or "")
                time.sleep(_PAUSE)
                continue
            if result.get("failed") and time.monotonic() >= started + seconds:
                # It came in when the former rules were in force again.
                reason = reason or "one came through only after that"
                break
            result.pop("trial", None)
            # What was there before is what the trial found.
            return self.with_proof({**result, **{key: tried[key] for key in self.TRIED if key in tried}})
        time.sleep(max(0.0, started + seconds + _GRACE - time.monotonic()))
        yield from self._clear_away(arguments, task_vars)
        shown = visible(" ".join(reason.split()), _LONGEST_REASON)
        return {
            "changed": False,
            "failed": True,
            "confirmed": False,
            "msg": f"No new connection came through {self.PROPOSED} within {seconds} seconds ({shown}), so the host "
            f"restored {self.FORMER} by itself: {self.ADVICE}.",
        }

    def _clear_away(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> t.Generator[Request, dict[str, t.Any], None]:
        """Remove what is left of a trial that is over, which denies nobody; where that fails, nothing depends on it."""
        withdrawn = {**arguments, "_confirm": None, "_withdraw": arguments["_confirm"]}
        # Through the former rules, by a connection that is new again.
        with contextlib.suppress(AnsibleError):
            self._connection.reset()
            yield from self.execute(withdrawn, task_vars)

    def _is_through_network(self) -> bool:
        return str(self._connection.transport).rpartition(".")[2] in _THROUGH_THE_NETWORK

    @contextlib.contextmanager
    def _own_connection(self) -> t.Iterator[None]:
        """Have ssh share no connection with anybody: one that it keeps open is older than the rules."""
        if str(self._connection.transport).rpartition(".")[2] != "ssh":
            yield
            return
        before = self._connection.get_option("ssh_args")
        self._connection.set_option("ssh_args", f"{_ONE_CONNECTION} {before or ''}".strip())
        try:
            yield
        finally:
            self._connection.set_option("ssh_args", before)

    def with_proof(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the answer, with a warning where the new connection proves nothing about the network."""
        if result.get("failed") or result.get("proven"):
            return result
        transport = str(self._connection.transport)
        why = "comes from the host itself" if self._is_through_network() else "does not lead through the network"
        notice = (
            f"The connection '{transport}' {why} to this host's ports: that it works does not prove that anybody else "
            "still gets in."
        )
        return {**result, "notices": [*(result.get("notices") or []), notice]}
