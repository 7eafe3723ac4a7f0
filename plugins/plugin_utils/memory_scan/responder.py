# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take actions on the processes of one host: keep evidence first, and end no process whose evidence is missing."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.response_rules import (
    CAPTURE,
    KILL,
    STOP,
    Response,
)

# The module names its options; the user has set them as variables of the role memory_scan.
_OPTION = re.compile(r"\b(max_dump|max_captures|lock_timeout|state_dir)\b")


class ResponseError(Exception):
    """An action was not taken on a process; the message is the reason."""


# Takes one action on the host and returns the result of memory_response; raises ResponseError.
Run = t.Callable[[Response], t.Mapping[str, t.Any]]


@dataclasses.dataclass
class Outcome:
    """What was done on a host. messages and failures: sentences on what was done, and on what was not."""

    messages: list[str] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)
    responses: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    is_changed: bool = False


def respond(responses: t.Sequence[Response], run: Run) -> Outcome:
    """Take all actions, and go on where one fails. responses: in the order in which they are to be taken."""
    outcome = Outcome()
    uncaptured: list[int] = []
    unkilled: list[int] = []
    stopped: list[int] = []
    to_kill = {_process(response) for response in responses if response.action == KILL}
    for response in responses:
        if response.action == KILL and response.pid in uncaptured:
            unkilled.append(response.pid)
            continue
        # A process that is ended need not be stopped before. One whose evidence is missing is stopped only: its memory
        # stays for whoever comes to keep it.
        if response.action == STOP and _process(response) in to_kill and response.pid not in uncaptured:
            continue
        is_done = _take(response, run, outcome)
        if response.action == CAPTURE and not is_done:
            uncaptured.append(response.pid)
        if response.action == STOP and is_done and response.pid in uncaptured:
            stopped.append(response.pid)
    outcome.failures += [f"Process {pid} was not ended, as no evidence of it was kept." for pid in unkilled]
    outcome.failures += [f"Process {pid} was stopped; its evidence is in its memory only." for pid in stopped]
    return outcome


def _take(response: Response, run: Run, outcome: Outcome) -> bool:
    """Take one action and add it to the outcome; return whether it succeeded."""
    try:
        result = run(response)
    except ResponseError as error:
        reason = _OPTION.sub(r"memory_scan_\1", str(error))
        outcome.failures.append(f"Process {response.pid}, {response.action}: {reason}")
        return False
    outcome.is_changed = outcome.is_changed or bool(result.get("changed"))
    outcome.messages.append(result["message"])
    capture = {"capture": result["capture"]} if "capture" in result else {}
    outcome.responses.append({**dataclasses.asdict(response), "message": result["message"], **capture})
    return True


def _process(response: Response) -> tuple[int, int]:
    return response.pid, response.started
