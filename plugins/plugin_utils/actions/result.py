# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module answered, as far as Ansible may act on it: whoever controls the host wrote the answer.

Some keys of a result are orders to Ansible or the controller's own word, others are printed as they are, with escape
sequences for the terminal in them.
"""

from __future__ import annotations

import contextlib
import re
import signal
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils import display
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Findings are made on the controller alone. The rest makes Ansible add hosts, facts or statistics, take the task for a
# loop, which ends ansible-core 2.18 for all hosts, or for one that never reached its host, all of which no module of
# ours does. The content that was sent to the module (invocation) would be kept with every host's registered result.
_NOT_THE_HOSTS = frozenset(
    (
        *("findings", "capability", "ansible_facts", "ansible_stats", "add_host", "add_group", "invocation"),
        *("results", "skipped", "unreachable", "argument_errors"),
        # Printed as they are; since ansible-core 2.19 they may also be objects, of which the host chose the parts.
        *("warnings", "deprecations", "exception", "notices", "msg", "diff"),
        # Only said by a task that failed.
        "usage_error",
    )
)
_NOTICES = 20
# Linux has so many.
_SIGNALS = 64
_DEEPEST = 50
# Those that a terminal acts on or that reorder text. A connection with a terminal ends lines with both.
_CONTROLS = re.compile("\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class AnsweredActionBase(ActionBase):  # type: ignore[misc]
    """An action that runs a module, of whose answer Ansible by itself prints nothing."""

    def _parse_returned_data(self, res: dict[str, t.Any], *arguments: t.Any) -> t.Any:
        # ansible-core quotes what isn't as it should be: what is around the answer, and since 2.21 also warnings in it
        # and values of the wrong type, before an action has seen them. In JSON the escapes mean the same.
        text = _CONTROLS.sub(_escape, res["stdout"])
        with _unheard():
            return super()._parse_returned_data({**res, "stdout": text}, *arguments)


def _unheard() -> contextlib.AbstractContextManager[t.Any]:
    """Return a context whose warnings nobody sees, where ansible-core has that."""
    context = getattr(getattr(display, "_display_utils", None), "DeferredWarningContext", None)
    return context(variables={}) if context is not None else contextlib.nullcontext()


def readable(answer: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return an answer without what is not the host's to say, and with what Ansible prints made safe to print.

    ``notices``, the module's own warnings, become Ansible's.
    """
    result = {key: value for key, value in answer.items() if key not in _NOT_THE_HOSTS}
    ended = _ended(answer)
    if ended is not None:
        result["msg"] = ended
    elif isinstance(answer.get("msg"), str):
        result["msg"] = visible(answer["msg"].replace("\r\n", "\n"), multiline=True)
    notices = answer.get("notices")
    if isinstance(notices, list) and notices:
        result["warnings"] = [visible(notice) for notice in notices[:_NOTICES]]
    if "diff" in answer:
        result["diff"] = _diff(answer["diff"])
    if answer.get("usage_error") is True and answer.get("failed") is True:
        result["usage_error"] = True
    # Ansible only tells whether they are true, and prints the rest of a failed task as it is.
    result.update((key, bool(answer[key])) for key in ("changed", "failed") if key in answer)
    shown = _whole if result.get("failed") else _calm
    return {shown(key): _printed(value, shown) for key, value in result.items()}


def _printed(value: t.Any, shown: t.Callable[[str], str], depth: int = 0) -> t.Any:
    if isinstance(value, str):
        return value if value.isprintable() else shown(value)
    if isinstance(value, (list, dict)) and depth == _DEEPEST:
        return None
    if isinstance(value, list):
        return [_printed(item, shown, depth + 1) for item in value]
    if isinstance(value, dict):
        return {shown(key): _printed(item, shown, depth + 1) for key, item in value.items()}
    return value


def _whole(text: str) -> str:
    return visible(text, len(text), multiline=True)


def _calm(text: str) -> str:
    """Return a text of an answer that is only printed with -v, and otherwise worked with: the same but for controls.

    Modules of ours send none: what is a name on the host became text there.
    """
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"


def _ended(answer: t.Mapping[str, t.Any]) -> str | None:
    """Return what to say of a module that a signal ended before it answered, None of any other."""
    code = answer.get("rc")
    # Ansible's own account of output that is no answer. A shell gives 128 more than the number of the signal.
    if "module_stdout" not in answer or not isinstance(code, int) or not (code < 0 or 128 < code <= 128 + _SIGNALS):
        return None
    number = -code if code < 0 else code - 128
    try:
        name = f" ({signal.Signals(number).name})"
    except ValueError:
        name = ""
    advice = (
        "somebody on the host did that, or the kernel where memory ran out, which its journal says then "
        "(journalctl -k); in that case give the host more memory or the module less to do"
        if number == signal.SIGKILL
        else "look into the host's journal (journalctl)"
    )
    return f"the module was ended by signal {number}{name} before it answered: {advice}, and run it again"


def _diff(value: t.Any) -> t.Any:
    """Return a difference of texts, or a list of them, and nothing of other kinds."""
    if isinstance(value, list):
        return [_diff(item) for item in value if isinstance(item, dict)]
    texts = value.items() if isinstance(value, dict) else ()
    return {key: visible(text, len(text), multiline=True) for key, text in texts if isinstance(text, str)}
