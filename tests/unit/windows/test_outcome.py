# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Windows module returns for what its action returns or throws."""

from __future__ import annotations

import functools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _argspec

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

HERE = pathlib.Path(__file__).parent


@functools.cache
def program() -> driver.Driver:
    names = ("Errors", "Outcome")
    return driver.Driver(*(f"contracts.{name}" for name in names), sources=[HERE / "OutcomeScript.cs"])


RESULTS: list[dict[str, t.Any]] = [
    {"changed": False},
    {"changed": True, "diff": {"before": "", "after": "x"}},
    {"changed": True, "warnings": ["w"]},
    {"failed": True, "msg": "m", "warnings": ["w"]},
]


def test_results_are_those_of_python() -> None:
    cases = [(result, diff_mode) for result in RESULTS for diff_mode in (True, False)]
    outcomes = program().run([driver.call("OutcomeScript.Returning", {}, mode, result) for result, mode in cases])
    for (result, diff_mode), outcome in zip(cases, outcomes, strict=True):
        assert outcome.result == _argspec.outcome(lambda _params, _check, r=result: dict(r), {}, False, diff_mode)


def test_expected_errors_are_one_sentence() -> None:
    kinds = ("usage", "host", "damaged", "newer")
    results = program().run([driver.call("OutcomeScript.Throwing", kind, "what: do this") for kind in kinds])
    usage, *others = [outcome.result for outcome in results]
    assert usage == [{"failed": True, "msg": "what: do this", "usage_error": True}, None]
    assert others == [[{"failed": True, "msg": "what: do this"}, None]] * 3


def test_an_unexpected_error_is_a_clear_failure_without_escapes_of_terminals() -> None:
    outcome, trace = program().call("OutcomeScript.Throwing", "other", "secret-word \x1b[2J" + "x" * 1000)
    assert outcome["failed"] is True
    assert outcome["msg"].startswith("the module crashed: InvalidOperationException: secret-word \\x1b[2Jxxx")
    assert outcome["msg"].endswith("...; if this comes again, report it with the exception that -vvv shows")
    assert len(outcome["msg"]) < 700
    # No message is part of the trace: Ansible removes secrets only from msg.
    assert trace.startswith("System.InvalidOperationException\n")
    assert "System.FormatException\n" in trace
    assert "OutcomeScript" in trace
    assert "secret-word" not in trace


def test_memory_that_ran_out_says_what_to_do() -> None:
    outcome, trace = program().call("OutcomeScript.Throwing", "memory", "x")
    assert outcome["msg"] == "the module ran out of memory: give the host more memory or the module less to do"
    assert trace is None


def test_options_are_plain_values() -> None:
    options, check_mode, diff_mode = program().call("OutcomeScript.Options")
    assert options == {
        "text": "t",
        "number": 5,
        "flag": True,
        "none": None,
        "texts": ["a", "b"],
        "nested": [{"n": [1, 2.5]}],
    }
    assert (check_mode, diff_mode) == (True, False)
