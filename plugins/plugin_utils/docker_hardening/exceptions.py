# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions of the operator: people name a control by its number, hosts know its id."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

QUOTES = 'write the control in quotes, as "5.10"'


def check_quotes(exceptions: t.Any) -> None:
    """Raise ContentError for a control without quotes, as YAML reads 5.10 as 5.1, which is another one.

    exceptions: as they were written, before a number becomes text.
    """
    for number, exception in enumerate(exceptions if isinstance(exceptions, (list, tuple)) else (), 1):
        if isinstance(exception, t.Mapping) and not isinstance(exception.get("control", ""), str):
            raise ContentError(f"exceptions: entry {number}: {QUOTES}")


def with_ids(
    exceptions: t.Sequence[t.Mapping[str, t.Any]], benchmark: Benchmark, edition: str
) -> list[dict[str, t.Any]]:
    """Return exceptions that name their controls by id; ContentError for a control that the edition does not have."""
    ids = {
        control.numbers[edition]: control.id for control in benchmark.controls.values() if edition in control.numbers
    }
    ids.update({identifier: identifier for identifier in ids.values()})
    identified = []
    for number, exception in enumerate(exceptions, 1):
        control = exception["control"]
        if control not in ids:
            advice = spelling.advice(control, ids, "write its number, or its id")
            raise ContentError(
                f"exceptions: entry {number} names the control '{control}', which {benchmark.title} {edition} does not"
                f" have: {advice}"
            )
        identified.append({**exception, "control": ids[control]})
    return identified
