# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of prefixes, and policies whose sources need no grant."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.action import jit_access
from ansible_collections.bulwark.servers.plugins.plugin_utils import prefix_sets
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import trial
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation, Request, alone
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import policy as jit_policy

from tests.support import paths


def test_sets_are_compared_however_they_are_written() -> None:
    assert prefix_sets.merged(["198.51.100.128/25", "198.51.100.7/25", "2001:db8::1"]) == [
        "198.51.100.0/24",
        "2001:db8::1",
    ]
    found = prefix_sets.difference(["198.51.100.0/24", "2001:db8::/48"], ["198.51.100.0/25", "192.0.2.7"])
    assert found == (["192.0.2.7"], ["198.51.100.128/25", "2001:db8::/48"])
    assert prefix_sets.difference(["198.51.100.0/25", "198.51.100.128/25"], ["198.51.100.0/24"]) == ([], [])
    assert prefix_sets.covers(["198.51.100.0/25", "198.51.100.128/25"], ["198.51.100.0/24"])
    assert not prefix_sets.covers(["198.51.100.0/25"], ["198.51.100.0/24"])
    assert not prefix_sets.covers(["0.0.0.0/0"], ["2001:db8::1"])
    assert prefix_sets.within(["10.0.0.0/8"], ["10.1.0.0/16", "192.0.2.1"]) == ["10.1.0.0/16"]


def test_large_sets_take_no_longer_than_a_moment() -> None:
    begun = time.process_time()
    before = [
        f"{11 + number % 100}.{number // 250 % 250}.{number % 250}.{number * 7 % 250}" for number in range(20_000)
    ]
    assert prefix_sets.difference(before, before[::-1]) == ([], [])
    assert time.process_time() - begun < 20


def test_what_is_no_prefix_is_named() -> None:
    with pytest.raises(prefix_sets.PrefixSetError, match="'x' is not an address or prefix"):
        prefix_sets.merged(["x"])


@pytest.mark.parametrize(("version", "found"), [(None, "missing"), ("0.10.1", "0.10.1")])
def test_without_netaddr_the_way_to_get_it_is_named(
    monkeypatch: pytest.MonkeyPatch, version: str | None, found: str
) -> None:
    monkeypatch.setattr(prefix_sets, "_NETADDR", version)
    with pytest.raises(prefix_sets.PrefixSetError) as error:
        prefix_sets.merged([])
    expected = f"comparing prefixes needs netaddr 1 on the controller ({found}): pip install 'netaddr>=1'"
    assert str(error.value) == expected
    assert jit_policy.useless([{"port": "22", "sources": ["10.1.2.3"]}], ["10.0.0.0/8"]) == [
        f"always_allow was not compared with sources: {expected}."
    ]


def test_everything_can_be_imported_without_netaddr() -> None:
    code = (
        "import sys\nsys.modules['netaddr'] = None\n"
        "from ansible_collections.bulwark.servers.plugins.action import jit_access, network_rules_draft\n"
        "from ansible_collections.bulwark.servers.plugins.plugin_utils import prefix_sets\n"
        "try:\n    prefix_sets.require()\nexcept prefix_sets.PrefixSetError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("comparing prefixes needs netaddr 1"), answer.stderr


@pytest.mark.parametrize(
    ("sources", "always", "words"),
    [
        (["10.1.2.3", "10.2.0.0/16"], ["10.0.0.0/9", "10.128.0.0/9"], "always_allow has all of its sources"),
        (["10.0.0.0/24"], ["10.0.0.0/25", "10.0.0.128/25"], "always_allow has all of its sources"),
        (["10.1.2.3", "192.0.2.0/24"], ["10.0.0.0/8"], "always_allow has 10.1.2.3. Name them in one of the two."),
        (["10.0.0.0/8"], ["10.1.2.3"], None),
        (["2001:db8::/32"], ["10.0.0.0/8"], None),
        (None, ["10.0.0.0/8"], None),
        (["10.1.2.3"], [], None),
    ],
)
def test_a_lock_whose_sources_may_come_anyway_is_named(sources: t.Any, always: list[str], words: str | None) -> None:
    said = jit_policy.useless([{"port": "22", "sources": sources}, {"port": 23}, "x"], always)
    assert [words in one for one in said if words] == ([True] if words else [])
    assert len(said) == (1 if words else 0)


def test_what_is_no_policy_is_left_to_the_module() -> None:
    assert jit_policy.useless("x", ["10.0.0.0/8"]) == []
    assert jit_policy.useless([{"port": 22, "sources": ["nonsense"]}], ["10.0.0.0/8"]) != []


@pytest.mark.parametrize(
    ("failed", "expected"), [(False, ["of the host", "The lock of port 22"]), (True, ["of the host"])]
)
def test_the_action_warns_of_them(monkeypatch: pytest.MonkeyPatch, failed: bool, expected: list[str]) -> None:
    def of_the_host(*_given: t.Any) -> Conversation:
        return (yield Request("jit_access", {}, check_mode=False))

    monkeypatch.setattr(trial.TrialActionBase, "run_module", of_the_host)
    action = jit_access.ActionModule.__new__(jit_access.ActionModule)
    policy = {"ports": [{"port": "22", "sources": ["10.1.2.3"]}], "always_allow": ["10.0.0.0/8"]}
    answer = alone(action.run_module(policy, {}), lambda _request: {"failed": failed, "notices": ["of the host"]})
    assert [said[: len(start)] for said, start in zip(answer["notices"], expected, strict=True)] == expected
