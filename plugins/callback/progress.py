# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Ansible wants the documentation above the imports)
"""Show how far a run over a fleet is, and what it came to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Show the progress of a run over a fleet, and a summary at its end
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - On a terminal, updates a few lines at the bottom while a playbook runs. They show how many hosts are done, did not
    answer or have errors, how far each capability is and what it found, which hosts the run waits for, and how much
    time is left.
  - Elsewhere (a pipe, a log, AWX), writes a plain line for every tenth of the fleet. It also writes one after every
    O(progress_interval) without a line.
  - At the end, prints the number of scanned hosts, the summary, and the path that M(bulwark.servers.findings_report)
    returned. Then it lists the hosts that did not answer or had errors, hosts with the same reason together.
  - As the stdout callback, shows failures, warnings, deprecations, differences and the messages of
    M(ansible.builtin.debug), and nothing about successful tasks. With C(-v), it shows the same as
    P(ansible.builtin.default#callback).
  - Beside another stdout callback, adds only the progress and the summary.
  - Control characters in text from a host become backslash escapes. On a terminal, and as the stdout callback, this
    also holds for the texts of Ansible and other plugins.
requirements:
  - set as stdout callback, or listed in C(callbacks_enabled), in configuration
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  progress_mode:
    description:
      - V(live) updates lines on the terminal, V(plain) writes one line after the other.
      - V(auto) is V(live) on a terminal, and V(plain) without a terminal, if E(TERM) is V(dumb), and under AWX.
    type: str
    choices: [auto, live, plain]
    default: auto
    env:
      - name: BULWARK_PROGRESS
    ini:
      - section: bulwark
        key: progress
    version_added: 0.2.0
  progress_interval:
    description: Seconds after which a plain line is written even if no further tenth of the fleet is done.
    type: int
    default: 60
    env:
      - name: BULWARK_PROGRESS_INTERVAL
    ini:
      - section: bulwark
        key: progress_interval
    version_added: 0.2.0
"""

import atexit
import os
import sys
import time
import typing as t

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress import text
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.results import Result, title
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.show import Show
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.terminal import is_terminal, under_runner
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tracker

_NAME = "bulwark.servers.progress"
_SUMMARY = "bulwark.servers.protect_summary"
_ASKING = ("pause", "ansible.builtin.pause", "ansible.legacy.pause")


class CallbackModule(DefaultCallback):  # type: ignore[misc]  # Ansible ships no type information
    """Tell a Tracker what happens, and show it.

    The type is ``stdout`` only where this is configured as the stdout callback: ansible-core takes any type there, but
    as an additional callback any type except that one, and 2.18 would otherwise load it a second time.

    Three ways to speak: as the stdout callback with ``-v`` everything that Ansible's default shows (``_full``), without
    it what a person must know (``_brief``), and beside another stdout callback nothing but progress and summary.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout" if constants.DEFAULT_STDOUT_CALLBACK == _NAME else "aggregate"
    CALLBACK_NAME = _NAME
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._run = Tracker(time.monotonic)
        self._show: Show | None = None
        is_stdout = self.CALLBACK_TYPE == "stdout"
        self._full = is_stdout and self._display.verbosity > 0
        self._brief = is_stdout and not self._full

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        mode = self.get_option("progress_mode")
        self._show = Show(
            self._run,
            self._display,
            live=mode == "live" or (mode == "auto" and is_terminal(sys.stdout, os.environ)),
            guard=(self._full or self._brief) and not under_runner(os.environ),
            interval=self.get_option("progress_interval"),
        )
        self._show.open()
        atexit.register(self._leave)
        if self._full or self._brief:
            super().v2_playbook_on_start(playbook)

    def v2_playbook_on_vars_prompt(self, *args: t.Any, **kwargs: t.Any) -> None:
        if self._show:
            self._show.hold(True)

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        inventory = play.get_variable_manager()._inventory
        # A serial play starts once for each batch; the fleet is all of them.
        hosts = inventory.get_hosts(play.hosts, ignore_restrictions=True)
        with self._display._lock:
            self._run.play_started(play.get_name().strip(), (host.get_name() for host in hosts))
        if self._full:
            super().v2_playbook_on_play_start(play)
        if self._show:
            self._show.hold(False)
            self._show.play()

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._task(task)
        if self._full:
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self._task(task)
        if self._full:
            super().v2_playbook_on_handler_task_start(task)

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        with self._display._lock:
            self._run.host_started(host.get_name())
        if self._full:
            super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._finished(Result(result))
        if self._full:
            super().v2_runner_on_ok(result)
        elif self._brief:
            self._say(result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._finished(Result(result))
        if self._full:
            super().v2_runner_on_skipped(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        outcome = Result(result)
        self._finished(outcome)
        if not ignore_errors:
            with self._display._lock:
                self._run.host_failed(outcome.host, outcome.task_name, outcome.message)
        if self._full:
            super().v2_runner_on_failed(result, ignore_errors)
        elif self._brief:
            self._account(result, "failed, which is ignored" if ignore_errors else "failed", constants.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        outcome = Result(result)
        self._finished(outcome)
        with self._display._lock:
            news = self._run.host_unreachable(outcome.host, outcome.message)
        if self._full:
            super().v2_runner_on_unreachable(result)
        elif self._brief and news:
            self._account(result, "did not answer", constants.COLOR_UNREACHABLE)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        with self._display._lock:
            Result(result).tell(self._run)
        if self._full:
            super().v2_runner_item_on_ok(result)
        elif self._brief:
            self._say(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        if self._full:
            super().v2_runner_item_on_failed(result)
        elif self._brief:
            self._account(result, f"failed for {self._get_item_label(Result(result).data)}", constants.COLOR_ERROR)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._close()
        if self._full:
            super().v2_playbook_on_stats(stats)
        for line in text.summary(self._run):
            self._display.display(line)

    # What only -v shows.

    def v2_runner_item_on_skipped(self, result: t.Any) -> None:
        if self._full:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: t.Any) -> None:
        if self._full:
            super().v2_runner_retry(result)

    def v2_runner_on_async_poll(self, result: t.Any) -> None:
        if self._full:
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: t.Any) -> None:
        if self._full:
            super().v2_runner_on_async_ok(result)

    def v2_runner_on_async_failed(self, result: t.Any) -> None:
        if self._full:
            super().v2_runner_on_async_failed(result)

    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        if self._full:
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_notify(self, handler: t.Any, host: t.Any) -> None:
        if self._full:
            super().v2_playbook_on_notify(handler, host)

    # What the stdout callback shows with and without -v, and another one shows itself.

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if self._full or self._brief:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        if self._full or self._brief:
            super().v2_playbook_on_no_hosts_remaining()

    def v2_on_file_diff(self, result: t.Any) -> None:
        if self._full or self._brief:
            super().v2_on_file_diff(result)

    def _task(self, task: t.Any) -> None:
        with self._display._lock:
            self._run.task_started(task._uuid, title(task.get_name()), bool(task.run_once))
        if self._show:
            self._show.hold(task.action in _ASKING)

    def _finished(self, outcome: Result) -> None:
        with self._display._lock:
            self._run.host_finished(outcome.host, outcome.task_id)
            outcome.tell(self._run)

    def _say(self, result: t.Any) -> None:
        """Show what a task that went well has to say: warnings, and the output of those that are there to print."""
        outcome = Result(result)
        self._handle_warnings(outcome.data)
        if not outcome.data.get("_ansible_verbose_always"):
            return
        self._clean_results(outcome.data, outcome.action)
        words = outcome.data.get("msg")
        if outcome.action == _SUMMARY and isinstance(words, list):
            # Its lines name the hosts that they are about.
            for line in words:
                self._display.display(line)
            return
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            words = "\n".join(words)
        elif not isinstance(words, str):
            words = self._dump_results(outcome.data)
        self._display.display(text.message(outcome.host, words))

    def _account(self, result: t.Any, what: str, color: str) -> None:
        """Show what is known of a task that went wrong."""
        outcome = Result(result)
        self._handle_warnings(outcome.data)
        # The place of a task helps with its error, and not with a host that did not answer.
        location = None if outcome.data.get("unreachable") else outcome.location
        for line in text.failure(outcome.host, f"{what}: {outcome.task_name}", outcome.data, location):
            self._display.display(line, color=color, stderr=self.get_option("display_failed_stderr"))

    def _close(self) -> None:
        atexit.unregister(self._leave)
        if self._show:
            self._show.close()

    def _leave(self) -> None:
        """End the show of a run that did not come to its end: interrupted, or stopped by an error of the playbook."""
        self._close()
        self._display.display(text.interrupted(self._run))
