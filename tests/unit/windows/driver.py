# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call the C# of Windows hosts from tests: ``Driver.cs`` with the utilities, compiled once, by mono or under Wine.

    driver = Driver("contracts.Json", "file_integrity.Lines")      # and what these name by ``using``
    driver.call("contracts.Json.Json.Write", {"b": 1, "a": None})  # '{"a":null,"b":1}', or raises CSharpError
    driver.run([call("contracts.Json.Json.Write", 1), new("contracts.Coverage.ScopeCoverage", "s", steps=[...])])
    driver.results(call("contracts.Json.Json.Write", 1))           # ["1"], or fails with the messages of exceptions

One process runs all cases of a ``run``. Arguments are JSON values: a parameter ``byte[]`` takes base64, an enum its
name, a list of any type a list. A result is JSON, too: bytes as base64, an object as its public fields and properties.
Sources of the test itself may be added, with helpers in C# where JSON is not enough.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing as t

from tests.support.windows import compiler, utilities

_DRIVER = pathlib.Path(__file__).with_name("Driver.cs")

Case = dict[str, t.Any]


class CSharpError(Exception):
    """The C# threw an exception: ``type`` is the name of its class."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.type = name
        self.message = message


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a case came to: its result, or the class and message of the exception."""

    result: t.Any = None
    error: str | None = None
    message: str = ""


def call(function: str, *arguments: t.Any) -> Case:
    """Return the case of a call: PACKAGE.File.Class.Method for a static method, Method for one of an object."""
    return {"call": function, "args": list(arguments)}


def assign(name: str, value: t.Any) -> Case:
    """Return the step that sets a field or property of an object."""
    return {"set": name, "value": value}


def new(name: str, *arguments: t.Any, steps: t.Sequence[Case]) -> Case:
    """Return the case that makes an object of a class and does the steps; its result is that of the last call."""
    return {"new": name, "args": list(arguments), "steps": list(steps)}


def as_input(cases: t.Iterable[Case]) -> str:
    """Return the cases as the program reads them from standard input."""
    return "".join(f"{json.dumps(case)}\n" for case in cases)


class Driver:
    """The program with some utilities and all that these use.

    target: what runs it. prefix: the Wine prefix, instead of the shared one. environment: more variables.
    """

    def __init__(
        self,
        *names: str,
        sources: t.Sequence[pathlib.Path] = (),
        target: compiler.Target = compiler.Target.MONO,
        prefix: pathlib.Path | None = None,
        environment: t.Mapping[str, str] | None = None,
    ) -> None:
        needed = utilities.sources("contracts.Json", *names)
        self.program = compiler.compile_program([*needed, _DRIVER, *sources], target)
        self._prefix = prefix
        self._environment = environment

    def run(self, cases: t.Sequence[Case], seconds: float = 60) -> list[Outcome]:
        """Return what each case came to."""
        completed = self.program.run(
            input=as_input(cases), seconds=seconds, prefix=self._prefix, environment=self._environment
        )
        output = completed.stdout
        # At idle priority mono warns on standard output that it does not know that policy.
        outcomes = [Outcome(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]
        assert len(outcomes) == len(cases), output[-2000:]
        return outcomes

    def results(self, *cases: Case, seconds: float = 180) -> list[t.Any]:
        """Return the result of each case; fail with the message of each that threw."""
        outcomes = self.run(cases, seconds)
        assert [outcome.message for outcome in outcomes if outcome.error is not None] == []
        return [outcome.result for outcome in outcomes]

    def call(self, function: str, *arguments: t.Any) -> t.Any:
        """Return the result of one call; raise CSharpError."""
        (outcome,) = self.run([call(function, *arguments)])
        if outcome.error is not None:
            raise CSharpError(outcome.error, outcome.message)
        return outcome.result
