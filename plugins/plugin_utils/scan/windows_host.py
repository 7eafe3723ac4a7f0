# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows host as a scan talks to it: each question runs a module, by the connection that Ansible has to the host."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils import windows_platform
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Tampered

# Runs a module for what a look asks, by the name of the look, and returns the module's result.
RunModule = t.Callable[[str, Request], dict[str, t.Any]]
# Returns the result of the action platform_facts.
RunFacts = t.Callable[[], dict[str, t.Any]]
_BUDGET = "time_budget"


class WindowsHost:
    """One Windows host during a scan; the attributes are those of ``Host``, and it keeps no code.

    platform: what ``windows_platform`` knows of it.
    """

    def __init__(
        self, run: RunModule, run_facts: RunFacts, seconds: float, clock: t.Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare a conversation. seconds: for all modules together, 0 for no limit."""
        self._run = run
        self._run_facts = run_facts
        self._clock = clock
        self._deadline = clock() + seconds if seconds else None
        self._seconds = seconds
        self.pins: dict[str, str] = {}
        self.answers: dict[str, dict[str, t.Any]] = {}
        self.facts: dict[str, t.Any] | None = None
        self.platform: dict[str, t.Any] = {}
        self.problem: t.Mapping[str, t.Any] | None = None
        self.reached = False
        self.notes: list[str] = []
        self.tampered: list[Tampered] = []

    def ask(self, requests: t.Mapping[str, Request]) -> dict[str, dict[str, t.Any]]:
        """Return the result of each module; after the facts, which say whether any can run.

        What several looks ask in the same words, and what changes nothing, is asked once.
        """
        if self.facts is None and self.problem is None:
            self._learn_facts()
        results: dict[str, dict[str, t.Any]] = {}
        for name, request in requests.items():
            same = next((other for other in results if request.check_mode and requests[other] == request), None)
            results[name] = self._result(name, request) if same is None else dict(results[same])
        self.answers.update(results)
        return results

    def _learn_facts(self) -> None:
        result = self._attempt(self._run_facts)
        if result.get("msg") == windows.CONSTRAINED:
            # The rest of the result is PowerShell's own words for it.
            self.problem = {"failed": True, "msg": windows.CONSTRAINED}
            return
        if result.get("failed"):
            self.problem = result
            return
        self.reached = True
        self.facts = dict(result.get("ansible_facts") or {})
        self.platform = dict(result.get("windows") or {})

    def _result(self, name: str, request: Request) -> dict[str, t.Any]:
        if self.problem is not None:
            return dict(self.problem)
        remaining = None if self._deadline is None else self._deadline - self._clock()
        if remaining is not None and remaining <= 0:
            return {"failed": True, "msg": f"the scan reached its time limit of {self._seconds:g} s before this began"}
        result = self._attempt(lambda: self._run(name, _within(request, remaining)))
        if result.get("unreachable"):
            # Every other module would wait for the same timeout.
            self.problem = result
        return result

    def _attempt(self, run: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
        """Return a module's result; a failed one for what ansible-core raises on the way."""
        try:
            result = run()
        except AnsibleConnectionFailure as error:
            return {"failed": True, "unreachable": True, "msg": error.message.strip()}
        except AnsibleError as error:
            return {"failed": True, "msg": error.message.strip()}
        except Exception as error:  # noqa: BLE001 - ansible-core stumbles over what a host may print
            return {"failed": True, "msg": f"the host's result could not be used: {type(error).__name__}: {error}"}
        # That is for the connection to say, by what it raises, and not for the host.
        return {name: value for name, value in result.items() if name != "unreachable"}

    def coverage(self) -> dict[str, t.Any] | None:
        """Return the coverage entry of what no capability sees on this host, None if nothing is out of sight."""
        return windows_platform.coverage(self.platform)


def _within(request: Request, remaining: float | None) -> Request:
    """Return a request whose module ends in time, if it can be told to."""
    budget = request.arguments.get(_BUDGET)
    if remaining is None or not isinstance(budget, int) or 0 < budget <= remaining:
        return request
    return Request(
        request.module, {**request.arguments, _BUDGET: max(1, int(remaining))}, request.check_mode, request.entry
    )
