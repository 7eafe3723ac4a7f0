# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import MOST_GROUPS, Tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit.log_scan import LogScan

_LEFT_OUT = "the least severe findings were left out (2); raise max_findings (audit_max_findings of the role)"
_DROPPED = (
    f"3 events that match rules were left out, as there were {MOST_GROUPS} findings already; filter what is noise, or"
    " scan more often"
)


@pytest.mark.parametrize(
    ("subjects", "most", "expected"),
    [
        (3, 3, {}),
        (3, 1, {"findings": _LEFT_OUT}),
        (MOST_GROUPS + 3, MOST_GROUPS, {"events": _DROPPED}),
        (MOST_GROUPS + 3, MOST_GROUPS - 2, {"findings": _LEFT_OUT, "events": _DROPPED}),
    ],
)
def test_what_is_left_out_is_said_with_its_remedy(
    tmp_path: pathlib.Path, subjects: int, most: int, expected: dict[str, str]
) -> None:
    options = {"state_dir": str(tmp_path / "state"), "_token": None, "_advance": False, "_content": None}
    scan = LogScan({**options, "priority": "normal", "max_findings": most}, False, "audit_events", 1, "events")
    tally = Tally("events")
    for number in range(subjects):
        tally.add("web_shell", str(number), {}, 1.0)
    assert len(scan.detections(tally)) == min(subjects, most, MOST_GROUPS)
    assert {each["subject"]: each["reason"] for each in scan.scope.entry()["skipped"]} == expected
