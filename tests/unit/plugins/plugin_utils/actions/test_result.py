# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import types
import typing as t
import unicodedata

import pytest
from ansible.utils.display import Display
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.result import sanitize
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.ocsf.test_hostile import JSON

TRUE: dict[str, t.Any] = {
    "changed": True,
    "failed": True,
    "msg": "/srv/a\\x1bb cannot be read:\nno such file",
    "coverage": [{"scope": "s"}],
    "diff": {"before": "a\n", "after": "b\\n\n" * 9000},
}


def test_a_true_answer_stays_as_it_is() -> None:
    assert sanitize(TRUE) == TRUE
    assert sanitize({"diff": [TRUE["diff"]]}) == {"diff": [TRUE["diff"]]}


def test_notices_become_warnings_which_a_module_cannot_send_itself() -> None:
    answer = {"notices": ["one\x1b[31m", 2] + ["more"] * 100, "warnings": ["three"], "deprecations": [{"msg": "four"}]}
    assert sanitize(answer) == {"warnings": ["one\\x1b[31m", "2", *["more"] * 18]}


@pytest.mark.parametrize(("said", "kept"), [(True, True), (False, False), ("yes", False), ({"a": 1}, False)])
def test_only_a_task_that_failed_can_have_had_a_wrong_option(said: t.Any, kept: bool) -> None:
    assert ("usage_error" in sanitize({"failed": True, "usage_error": said})) is kept
    assert "usage_error" not in sanitize({"usage_error": said})


@pytest.mark.parametrize(
    "key",
    ["argument_errors", "ansible_facts", "add_host", "results", "skipped", "unreachable", "findings", "exception"],
)
def test_what_only_the_controller_may_say_is_left_out(key: str) -> None:
    assert sanitize({key: True, "changed": False}) == {"changed": False}


_KILLED = (
    "the module was ended by signal 9 (SIGKILL) before it returned a result: a user of the host did that, or the "
    "kernel because memory ran out; if journalctl -k shows the latter, give the host more memory or the module less "
    "to do, and run it again"
)
_LOOK = "see the host's journal (journalctl), and run it again"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (137, _KILLED),
        (-9, _KILLED),
        (139, "the module was ended by signal 11 (SIGSEGV) before it returned a result: " + _LOOK),
        (162, "the module was ended by signal 34 (SIGRTMIN) before it returned a result: " + _LOOK),
        (1, "MODULE FAILURE"),
        (127, "MODULE FAILURE"),
        (255, "MODULE FAILURE"),
        ("137", "MODULE FAILURE"),
        (None, "MODULE FAILURE"),
    ],
)
def test_a_module_that_was_ended_says_by_what(code: t.Any, said: str) -> None:
    answer = {"failed": True, "msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": "Killed\n", "rc": code}
    assert sanitize(answer)["msg"] == said


def test_a_module_that_answered_was_not_ended() -> None:
    assert sanitize({"failed": True, "msg": "no such file", "rc": 137})["msg"] == "no such file"


def _core_error(traceback: t.Any, message: t.Any = "bad \x1b[2J") -> types.SimpleNamespace:
    """Return an error as ansible-core reports it."""
    return types.SimpleNamespace(event=types.SimpleNamespace(msg=message, formatted_traceback=traceback))


_TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: bad \x1b[2J\n'


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (_core_error(_TRACEBACK), "ValueError: bad \\x1b[2J"),
        (_core_error(None), "bad \\x1b[2J"),
        (_core_error("x\n" * 10**6 + "y" * 10**6), "y" * 2000 + " … (998,000 more characters)"),
    ],
)
def test_a_module_that_could_not_even_begin_says_why(error: t.Any, text: str) -> None:
    answer = {"failed": True, "exception": error}
    message = f"the module crashed before it began: {text}; -vvv shows the traceback"
    assert sanitize(answer) == {"failed": True, "msg": message}


@pytest.mark.parametrize(
    "answer",
    [
        {"failed": False, "exception": _core_error(_TRACEBACK)},
        {"failed": True, "exception": _TRACEBACK},
        {"failed": True, "exception": _core_error(["x"], 7)},
        {"failed": True, "exception": _core_error(" \n ", "")},
    ],
)
def test_other_errors_of_ansible_say_nothing(answer: dict[str, t.Any]) -> None:
    assert sanitize(answer) == {"failed": answer["failed"]}
    assert sanitize({**answer, "msg": "m"}) == {"failed": answer["failed"], "msg": "m"}


def test_the_traceback_is_shown_with_three_v(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Display(), "verbosity", 3)
    lines = sanitize({"failed": True, "exception": _core_error(_TRACEBACK)})["traceback"]
    assert lines == [
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "ValueError: bad \\x1b[2J",
    ]


@given(st.dictionaries(st.sampled_from(["msg", "diff", "notices", "warnings", "exception"]), JSON))
def test_what_ansible_prints_holds_no_control_characters(answer: dict[str, t.Any]) -> None:
    def texts(value: t.Any) -> t.Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                yield from texts(item)

    for text in texts(sanitize(answer)):
        categories = {unicodedata.category(char) for char in text if char not in "\n\t"}
        assert not categories & {"Cc", "Cf", "Cs"}


def test_a_good_answer_has_no_controls_for_a_terminal_and_is_otherwise_the_same() -> None:
    fine = {
        "text": "a\tb\n",
        "name": "caf\u00e9 \u00a0\U0001f600",
        "number": 1.5,
        "nothing": None,
        "list": ["x", {"y": True}],
    }
    assert sanitize({"changed": False, **fine}) == {"changed": False, **fine}
    forged = "\x1b[31m\x9b\u202e\x07"
    shown = "\\u001b[31m\\u009b\\u202e\\u0007"
    assert sanitize({forged: [{forged: forged}]}) == {shown: [{shown: shown}]}
