# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each control says of the engines of the tests: ``controls_SECTION.yml``, which the documentation's table reads.

test: the file that tests it. kind: ``engine`` and ``swarm`` are real ones, ``recorded`` is an answer that was recorded
or made, where this kernel lacks what is judged. also: the test of what these engines can't show. cases: in which run
of conftest.py it has which status, and an item of it, as ``NAME: DETAIL``, or how that begins.
"""

from __future__ import annotations

import pathlib
import typing as t

import yaml

CONTROLS: dict[str, dict[str, t.Any]] = {}
for _path in sorted(pathlib.Path(__file__).parent.glob("controls_*.yml")):
    CONTROLS.update(yaml.safe_load(_path.read_text(encoding="utf-8")))
AUDITED = [control for control in CONTROLS if control.startswith("docker_audit_")]


def check(control: str, runs: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
    """AssertionError where a control has another status in a run, or does not show the item."""
    for case in CONTROLS[control]["cases"]:
        result = runs[case["run"]][control]
        shown = [f"{item['name']}: {item['detail']}" for item in result["evidences"]]
        assert result["status"] == case["status"], (case, result)
        assert "shows" not in case or any(text.startswith(case["shows"]) for text in shown), (case, shown)


def unknown(runs: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[tuple[str, str, str]]:
    """Return what was not checked, by run and control, with the reason."""
    return [
        (run, control, result["reason"])
        for run, results in runs.items()
        for control, result in results.items()
        if result["status"] == "not_checked"
    ]
