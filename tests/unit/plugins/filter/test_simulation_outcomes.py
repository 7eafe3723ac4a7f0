# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that holds what was simulated against what was seen; both come from hosts."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.simulation_outcomes import simulation_outcomes

ENTRY = {"alert": "cron_job_written", "status": "done", "from": 1, "to": 2, "pids": [7], "marks": ["m"], "left": []}


def test_what_was_not_seen_is_bad() -> None:
    answer = simulation_outcomes({"simulations": [ENTRY]}, [], ["cron_job_*"])
    assert (answer["good"], answer["bad"]) == (False, ["cron_job_written"])
    assert [row["status"] for row in answer["rows"]] == ["missing", "none"]
    assert len(answer["lines"]) == 4


def test_lines_are_safe_to_show() -> None:
    entry = {"alert": "cron_job_written", "status": "failed", "reason": "a\x1b[2Jb\nc"}
    answer = simulation_outcomes({"simulations": [entry]}, [], ["cron_job_written"])
    assert all(line.isprintable() for line in answer["lines"])


@pytest.mark.parametrize(
    ("simulated", "findings", "alerts", "words"),
    [
        ("text", [], None, "the input is not a result of bulwark.servers.attack_simulation"),
        ({"simulations": "text"}, [], None, "the input is not a result of bulwark.servers.attack_simulation"),
        ({"simulations": []}, "text", None, "findings is not a list of findings"),
        ({"simulations": []}, [], ["cron_jib"], "'cron_jib' matches no alert"),
        ({"simulations": ["text"]}, [], None, "a finding or simulation is damaged"),
        ({"simulations": [{**ENTRY, "pids": 1}]}, [{}], None, "a finding or simulation is damaged"),
        ({"simulations": [ENTRY]}, ["text"], None, "a finding or simulation is damaged"),
    ],
)
def test_what_makes_no_sense_is_named(simulated: t.Any, findings: t.Any, alerts: t.Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^simulation_outcomes: .*{words}"):
        simulation_outcomes(simulated, findings, alerts)


def test_an_alert_that_is_missing_for_a_path_that_is_says_so_and_what_to_do() -> None:
    entry = {**ENTRY, "alert": "user_unit_written"}
    reason = (
        "the host has no /root/.config/systemd, so that no audit rule watches it: make it, run bulwark.servers.protect,"
        " and simulate again"
    )
    unwatched = ["/root/.config/systemd"]
    answer = simulation_outcomes(
        {"simulations": [entry, ENTRY]}, [], ["user_unit_written", "cron_job_written"], unwatched
    )
    rows = {row["alert"]: row["reason"] for row in answer["rows"]}
    assert rows == {"user_unit_written": reason, "cron_job_written": None}
    assert answer["hints"] == [f"user_unit_written: {reason}."]
    assert any(line.endswith(reason) for line in answer["lines"])
    # Another path that begins the same is another path.
    other = simulation_outcomes({"simulations": [entry]}, [], ["user_unit_written"], ["/root/.config/systemd-x", "/ro"])
    assert other["hints"] == []


def test_paths_that_are_no_list_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="unwatched is not a list of paths"):
        simulation_outcomes({"simulations": []}, [], None, "/root")
