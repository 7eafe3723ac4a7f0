# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import typing as t
import unicodedata

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _argspec, _crash, _finding
from hypothesis import given
from hypothesis import strategies as st


class _SpitefulError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class _RaisingMapping(dict[str, t.Any]):
    """Options whose access is the error of a module."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def __getitem__(self, key: str) -> t.Any:
        raise self._error


def _raised(error: BaseException) -> BaseException:
    """Return the error as code of the collection that calls foreign code raises it."""
    with contextlib.suppress(type(error)):
        _finding._shortened([_RaisingMapping(error)])
    return error


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs") for char in text)


def test_the_message_names_the_error_and_the_last_line_of_the_collection() -> None:
    message = _crash.describe(_raised(ValueError("no digits")))

    start, _, end = message.partition("_finding.py:")
    assert start == "the module crashed: ValueError: no digits (plugins/module_utils/"
    line, _, advice = end.partition(")")
    assert line.isdigit()
    assert advice == "; if this comes again, report it with the traceback that -vvv shows"


def test_an_error_without_text_or_traceback_has_a_name() -> None:
    assert _crash.describe(KeyError()).startswith("the module crashed: KeyError; if")
    assert _crash.describe(_SpitefulError()).startswith("the module crashed: _SpitefulError; if")


def test_a_module_without_memory_is_no_bug() -> None:
    message = _crash.describe(_raised(MemoryError()))

    assert message.startswith("the module ran out of memory (plugins/module_utils/_finding.py:")
    assert message.endswith("): give the host more memory or the module less to do")


@given(st.text())
def test_what_an_error_quotes_holds_no_control_characters(text: str) -> None:
    error = _raised(OSError(text))

    assert not any(_has_controls(line) for line in [_crash.describe(error), *_crash.format_traceback(error)])


def test_a_long_text_is_cut() -> None:
    error = _raised(ValueError("x" * 1_000_000))

    assert len(_crash.describe(error)) < 1000
    assert sum(map(len, _crash.format_traceback(error))) < 5000


def test_the_traceback_shows_the_causes_too() -> None:
    try:
        try:
            raise _raised(KeyError("pid"))
        except KeyError as error:
            raise _SpitefulError from error
    except _SpitefulError as error:
        lines = _crash.format_traceback(error)

    assert any("KeyError: 'pid'" in line for line in lines)
    assert any("_finding.py" in line for line in lines)
    assert "_SpitefulError" in lines[-1]


def test_a_long_traceback_keeps_both_ends() -> None:
    error: BaseException = ValueError("first")
    for number in range(200):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following

    lines = _crash.format_traceback(error)

    assert (lines[0], lines[-1]) == ("ValueError: first", "ValueError: 199")
    assert len(lines) == 121
    assert "lines left out" in lines[60]


def test_the_crash_of_a_child_is_described_as_it_was_there() -> None:
    child = _raised(ValueError("bad"))
    error = _crash.ChildError(_crash.summarize(child), _crash.format_traceback(child))

    assert _crash.describe(error) == _crash.describe(child)
    assert _crash.format_traceback(error) == _crash.format_traceback(child)


class _FailedError(Exception):
    """Where a module would have ended."""


class _Module:
    """What ``run_module`` needs of AnsibleModule."""

    params: t.ClassVar[dict[str, t.Any]] = {}
    check_mode = False
    _diff = False

    def __init__(self, verbosity: int) -> None:
        self._verbosity = verbosity
        self.result: dict[str, t.Any] = {}

    def fail_json(self, **result: t.Any) -> t.NoReturn:
        self.result = result
        raise _FailedError


@pytest.mark.parametrize(("verbosity", "keys"), [(0, {"msg"}), (2, {"msg"}), (3, {"msg", "traceback"})])
def test_a_module_fails_with_the_description(verbosity: int, keys: set[str]) -> None:
    module = _Module(verbosity)
    with pytest.raises(_FailedError):
        _argspec.run_module(t.cast("t.Any", module), lambda params, check_mode: {"sum": params["a"] + check_mode})
    assert module.result.keys() == keys
    assert module.result["msg"].startswith("the module crashed: KeyError: 'a' (plugins/module_utils/_argspec.py:")
