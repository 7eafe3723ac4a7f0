# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down each event that AWX would keep, as a line of JSON: its name, the host and the task."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: bench_events
type: notification
short_description: Writes down the events of a run
description: Writes a line for each event that ansible-runner's callback hands to AWX.
requirements: [BULWARK_BENCH_EVENTS in the environment names the file]
"""

# The methods of ansible-runner's callback.
_RESULTS = (
    "v2_runner_on_ok",
    "v2_runner_on_failed",
    "v2_runner_on_skipped",
    "v2_runner_on_unreachable",
    "v2_runner_item_on_ok",
    "v2_runner_item_on_failed",
    "v2_runner_item_on_skipped",
    "v2_runner_retry",
)
_OTHERS = (
    "v2_playbook_on_start",
    "v2_playbook_on_include",
    "v2_playbook_on_play_start",
    "v2_playbook_on_task_start",
    "v2_playbook_on_cleanup_task_start",
    "v2_playbook_on_handler_task_start",
    "v2_playbook_on_no_hosts_matched",
    "v2_playbook_on_no_hosts_remaining",
    "v2_playbook_on_notify",
    "v2_playbook_on_stats",
    "v2_on_file_diff",
    "v2_runner_on_start",
)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "bench_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = open(os.environ["BULWARK_BENCH_EVENTS"], "a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def _note(self, name: str, host: str | None, task: str | None) -> None:
        self._file.write(json.dumps([name, host, task]) + "\n")


def _of_result(name: str) -> t.Callable[..., None]:
    def method(self: CallbackModule, result: t.Any, *_more: t.Any, **_options: t.Any) -> None:
        self._note(name, result._host.get_name(), result._task.get_name())

    return method


def _of_other(name: str) -> t.Callable[..., None]:
    def method(self: CallbackModule, *_arguments: t.Any, **_options: t.Any) -> None:
        self._note(name, None, None)

    return method


for _name in _RESULTS:
    setattr(CallbackModule, _name, _of_result(_name))
for _name in _OTHERS:
    setattr(CallbackModule, _name, _of_other(_name))
