# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps refuse what is missing before anything is done, and hand on what the next job needs."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitRequest

OPTIONS: dict[str, t.Any] = {
    "step": "request",
    "host": "web1",
    "ports": ["22"],
    "justification": "CHG-1",
    "request": [],
    "reason": None,
    "self_approval": False,
}


def made(identifier: str) -> JitRequest:
    asked = {"ports": ("22",), "protocol": "tcp", "sources": ("192.0.2.7",), "duration": 60, "justification": "x"}
    people = {"requested_by": "bob", "requested_for": "ada"}
    return JitRequest(id=identifier, host="web1", requested_at=1.0, valid_until=2.0, state="open", **asked, **people)


def test_the_next_job_gets_the_ids_of_all_hosts() -> None:
    assert steps.handed_on([made("a"), made("b")]) == {
        "data": {"jit_request": ["a", "b"]},
        "per_host": False,
        "aggregate": True,
    }


@pytest.mark.parametrize(
    ("changes", "is_limited", "message"),
    [
        ({"ports": [" "]}, False, "jit_ports is missing: jit_step=request needs jit_ports and jit_justification."),
        ({"host": None}, False, "jit_host is missing; name the hosts"),
        ({"step": "deny", "request": ["a"]}, False, "jit_reason is missing: jit_step=deny needs"),
        ({"step": "all"}, False, "Nothing was requested, as nobody may approve their own request"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, t.Any], is_limited: bool, message: str) -> None:
    with pytest.raises(steps.StepError, match=message):
        steps.check({**OPTIONS, **changes}, is_limited)


def test_a_limit_names_the_hosts_too() -> None:
    steps.check({**OPTIONS, "host": None}, is_limited=True)
    with pytest.raises(steps.StepError, match="jit_request and jit_host are missing"):
        steps.check_close([], is_named=False)
