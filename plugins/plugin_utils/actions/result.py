# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take from a module's result what Ansible must not act on: whoever controls the host wrote it.

Ansible obeys some keys of a result and takes others for the controller's own. It prints others as they are, with
escape sequences for the terminal in them.
"""

from __future__ import annotations

import contextlib
import re
import signal
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils import display
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Only the controller makes findings. The rest makes Ansible add hosts, facts or statistics, take the task for a loop,
# which ends ansible-core 2.18 for all hosts, or for one that never reached its host; no module of ours does any of it.
# The content that was sent to the module (invocation) would stay in every host's registered result.
_CONTROLLER_KEYS = frozenset(
    (
        *("findings", "capability", "ansible_facts", "ansible_stats", "add_host", "add_group", "invocation"),
        *("results", "skipped", "unreachable", "argument_errors"),
        # Ansible prints them as they are; since ansible-core 2.19 also objects, with parts of the host's choice.
        *("warnings", "deprecations", "exception", "notices", "msg", "diff"),
        # Only a task that failed has it.
        "usage_error",
    )
)
_MAX_NOTICES = 20
# The number of -v from which on a traceback is shown, and the number of its lines.
_SHOW_TRACEBACK = 3
_MAX_TRACEBACK = 100
# The number of signals of Linux.
_SIGNALS = 64
_MAX_DEPTH = 50
# Characters that a terminal acts on or that reorder text. A connection with a terminal ends lines with \r\n.
_CONTROLS = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class SanitizingActionBase(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """An action that runs a module; Ansible itself prints nothing of the module's output."""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        windows.leave_out_become(self._connection)
        return t.cast("dict[str, t.Any]", super().run(tmp, task_vars))

    def _execute_module(self, module_name: str | None = None, **given: t.Any) -> dict[str, t.Any]:
        windows.refuse_linux_modules(self._connection, module_name or self._task.action)
        windows.separate_modules(self._connection)
        return t.cast("dict[str, t.Any]", super()._execute_module(module_name=module_name, **given))

    def _parse_returned_data(self, res: dict[str, t.Any], *arguments: t.Any) -> t.Any:
        # ansible-core quotes what isn't as it should be, before an action sees it: text around the result, and since
        # 2.21 also warnings in it and values of the wrong type. In JSON the escapes mean the same.
        text = _CONTROLS.sub(_escape, res["stdout"])
        with _without_warnings():
            return super()._parse_returned_data({**res, "stdout": text}, *arguments)


def _without_warnings() -> contextlib.AbstractContextManager[t.Any]:
    """Return a context that drops warnings, where ansible-core has one."""
    context = getattr(getattr(display, "_display_utils", None), "DeferredWarningContext", None)
    return context(variables={}) if context is not None else contextlib.nullcontext()


def sanitize(output: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a module's output without the controller's keys, and with text that is safe to print.

    ``notices``, the module's own warnings, become Ansible's.
    """
    result = {key: value for key, value in output.items() if key not in _CONTROLLER_KEYS}
    message = _end_by_signal(output)
    crash = _early_crash(output)
    if message is not None:
        result["msg"] = message
    elif windows.is_constrained(output):
        result["msg"] = windows.CONSTRAINED
    elif crash:
        result["msg"] = f"the module crashed before it began: {visible(crash[-1])}; -vvv shows the traceback"
        if display.Display().verbosity >= _SHOW_TRACEBACK:
            result["traceback"] = crash
    elif isinstance(output.get("msg"), str):
        result["msg"] = visible(output["msg"].replace("\r\n", "\n"), multiline=True)
    notices = output.get("notices")
    if isinstance(notices, list) and notices:
        result["warnings"] = [visible(notice) for notice in notices[:_MAX_NOTICES]]
    if "diff" in output:
        result["diff"] = _diff(output["diff"])
    if output.get("usage_error") is True and output.get("failed") is True:
        result["usage_error"] = True
    # Ansible only looks whether they are true. It prints the rest of a failed task as it is.
    result.update((key, bool(output[key])) for key in ("changed", "failed") if key in output)
    escape = _printable if result.get("failed") else _without_controls
    return {escape(key): _escaped(value, escape) for key, value in result.items()}


def _escaped(value: t.Any, escape: t.Callable[[str], str], depth: int = 0) -> t.Any:
    if isinstance(value, str):
        return value if value.isprintable() else escape(value)
    if isinstance(value, (list, dict)) and depth == _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_escaped(item, escape, depth + 1) for item in value]
    if isinstance(value, dict):
        return {escape(key): _escaped(item, escape, depth + 1) for key, item in value.items()}
    return value


def _printable(text: str) -> str:
    return visible(text, len(text), multiline=True)


def _without_controls(text: str) -> str:
    """Return a text with its control characters escaped: Ansible prints it only with -v, playbooks work with it.

    Modules of ours send none: they turned the names of the host into text.
    """
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


def _escape(control: re.Match[str]) -> str:
    return f"\\u{ord(control.group()):04x}"


def _end_by_signal(output: t.Mapping[str, t.Any]) -> str | None:
    """Return the message for a module that a signal ended before it returned a result, None for any other."""
    code = output.get("rc")
    # Ansible adds module_stdout to output that is no result. A shell gives 128 more than the number of the signal.
    if "module_stdout" not in output or not isinstance(code, int) or not (code < 0 or 128 < code <= 128 + _SIGNALS):
        return None
    number = -code if code < 0 else code - 128
    try:
        name = f" ({signal.Signals(number).name})"
    except ValueError:
        name = ""
    advice = (
        "a user of the host did that, or the kernel because memory ran out; if journalctl -k shows the latter, give "
        "the host more memory or the module less to do"
        if number == signal.SIGKILL
        else "see the host's journal (journalctl)"
    )
    return f"the module was ended by signal {number}{name} before it returned a result: {advice}, and run it again"


def _early_crash(output: t.Mapping[str, t.Any]) -> list[str]:
    """Return the traceback of a module that crashed before it could describe that itself, empty for any other.

    Since 2.19 ansible-core returns that as an object, and no message.
    """
    event = getattr(output.get("exception"), "event", None)
    if event is None or output.get("msg") or output.get("failed") is not True:
        return []
    text = getattr(event, "formatted_traceback", None) or getattr(event, "msg", None)
    lines = text.split("\n")[-_MAX_TRACEBACK:] if isinstance(text, str) else []
    return [line for line in lines if line.strip()]


def _diff(value: t.Any) -> t.Any:
    """Return a difference of texts, or a list of them, and nothing of other kinds."""
    if isinstance(value, list):
        return [_diff(item) for item in value if isinstance(item, dict)]
    texts = value.items() if isinstance(value, dict) else ()
    return {key: visible(text, len(text), multiline=True) for key, text in texts if isinstance(text, str)}
