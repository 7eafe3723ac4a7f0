# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the documentation's tables of controls from the benchmarks of the collection.

    python3 tools/control_reference.py COLLECTION

COLLECTION is a copy of the collection, as for tools/alert_reference.py. The page docker_controls says of each control
how it is judged, from what, what to do, and which test proves it; the tests are looked for in this checkout.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re
import sys
import typing as t

import yaml
from reference_page import PREFIX, escape, heading, table, write

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark, Control
    from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert

NAME = "docker_controls"
TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
_BENCHMARK = "cis_docker"
_TITLES = ("control", "judged by", "evidence", "remediation", "test")
_WIDTHS = "22 16 20 24 18"
_KINDS = {"engine": "a real engine", "swarm": "a real swarm", "recorded": "a recorded answer"}
_LITERAL = re.compile(r"``(.+?)``")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="control_reference.py", description="Write the tables of controls into a copy of the collection."
    )
    parser.add_argument("collection", type=pathlib.Path, help="ansible_collections/bulwark/servers of the copy")
    collection = parser.parse_args(arguments).collection.absolute()
    sys.path.insert(0, str(collection.parents[2]))
    from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue

    benchmark = benchmarks.load()[_BENCHMARK]
    text = page(benchmark, catalogue.load().alert, tests_of(benchmark.controls, TESTS))
    write(collection / "docs" / "docsite", NAME, text)
    return 0


def tests_of(controls: t.Collection[str], directory: pathlib.Path) -> dict[str, list[str]]:
    """Return the tests of each control, below a directory: on a real engine first, then those that name it.

    ``integration/*/controls*.yml`` has those on a real engine, and says where a recorded answer has to do.
    """
    found: dict[str, list[str]] = collections.defaultdict(list)
    for path in sorted(directory.glob("integration/*/controls*.yml")):
        for control, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            files = [entry[name].removeprefix("tests/") for name in ("test", "also") if name in entry]
            found[control] += [f"{files[0]} ({_KINDS[entry['kind']]})", *files[1:]]
    for path in sorted(directory.rglob("test_*.py")):
        named = set(re.findall(r'"(\w+)"', path.read_text(encoding="utf-8")))
        file = str(path.relative_to(directory))
        for control in named.intersection(controls):
            if not any(test.startswith(file) for test in found[control]):
                found[control].append(file)
    return {control: tests for control, tests in found.items() if control in controls}


def page(benchmark: Benchmark, alert_of: t.Callable[[str], Alert], tests: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the page in reStructuredText: a table for each section, the controls in the order of their numbers."""
    controls = sorted(benchmark.controls.values(), key=lambda control: _order(benchmark, control))
    counts = collections.Counter(control.method for control in controls)
    parts = [_head(benchmark, counts)]
    for section, title in benchmark.sections.items():
        own = [control for control in controls if control.section == section]
        if own:
            rows = [_row(benchmark, control, alert_of(control.id), tests.get(control.id, ())) for control in own]
            parts += [heading(f"{section} {escape(title)}", "-"), table([_TITLES, *rows], _WIDTHS)]
    return "\n".join(parts)


def _head(benchmark: Benchmark, counts: t.Mapping[str, int]) -> str:
    editions = " and ".join(benchmark.editions)
    return f"""\
.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _{PREFIX}{NAME}:

{heading(f"Controls of the {escape(benchmark.title)}", "=")}
How each control is judged, from what, what to do where it fails, and which test proves it. The numbers are those of
the editions {escape(editions)}; those of 1.7.0 were not found. Titles and texts are ours.

A machine judges {counts["machine"]} controls alone. A variable turns {counts["parameter"]} questions into a verdict,
and a person decides about {counts["person"]}.

A test that names no engine uses facts of a host, with changes. A recorded answer is one of a kernel that has what the
control is about.

.. contents::
   :local:
   :depth: 1
"""


def _order(benchmark: Benchmark, control: Control) -> tuple[int, list[int]]:
    """Sort by the number in the newest edition that has the control."""
    edition = next(edition for edition in benchmark.editions if edition in control.numbers)
    return benchmark.editions.index(edition), [int(part) for part in control.numbers[edition].split(".")]


def _row(benchmark: Benchmark, control: Control, alert: Alert, tests: t.Sequence[str]) -> tuple[str, ...]:
    numbers = [control.numbers.get(edition, "none") for edition in benchmark.editions]
    others = ", ".join(
        f"{edition}: {number}"
        for edition, number in zip(benchmark.editions[1:], numbers[1:], strict=True)
        if number != numbers[0]
    )
    level = f"level {control.level}, {control.severity}" + (f", {others}" if others else "")
    reference = f":ref:`{escape(control.title)} <{PREFIX}alert_reference.{control.id}>`"
    judged = {"machine": "machine", "parameter": f"``{control.parameter}``", "person": "person"}[control.method]
    return (
        f"**{numbers[0]}** {reference} ({level})",
        f"{judged}. {_text(control.question)}" if control.question else judged,
        _text(control.evidence),
        _text(alert.remediation),
        "; ".join(escape(test) for test in tests) or "none",
    )


def _text(text: str) -> str:
    """Return a text in which only literals are marked as reStructuredText."""
    parts = _LITERAL.split(" ".join(text.split()))
    return "".join(f"``{part}``" if number % 2 else escape(part) for number, part in enumerate(parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
