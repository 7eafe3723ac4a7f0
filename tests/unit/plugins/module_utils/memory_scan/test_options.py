# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What memory scans are asked for, and what is said of what can't be."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Options, collect_spec, parse

SHA256 = "ab" * 32
ALLOWED = {"sha256": SHA256, "reason": "ours", "until": "2027-01-31"}


def asked(**given: t.Any) -> Options:
    found = ArgumentSpecValidator(collect_spec()).validate(given)
    assert found.error_messages == []
    return parse(found.validated_parameters)


def test_by_default_everything_is_looked_at() -> None:
    found = asked()
    assert found.whole_host
    assert found.scopes == ("processes", "host", "drift")
    assert asked(drift=False).scopes == ("processes", "host")
    assert found.read_budget == 4 << 30
    assert found.idle


@pytest.mark.parametrize("chosen", [{"pids": [1]}, {"users": ["www-data"]}, {"names": ["nginx*"]}])
def test_chosen_processes_say_nothing_of_the_host_which_the_coverage_has_to_say(chosen: dict[str, t.Any]) -> None:
    found = asked(**chosen)
    assert not found.whole_host
    assert found.scopes == ("processes", "host", "drift")
    assert asked(drift=False, **chosen).scopes == ("processes", "host")


def test_what_is_left_out_chooses_nothing() -> None:
    found = asked(exclude=[1])
    assert found.whole_host
    assert found.exclude == {1}


def test_an_entry_of_the_allowlist_holds_until_its_last_day_is_over() -> None:
    (entry,) = asked(allowlist=[{**ALLOWED, "sha256": SHA256.upper(), "path": "/usr/bin/x"}]).allowlist
    assert (entry.sha256, entry.path, entry.package, entry.shown) == (SHA256, "/usr/bin/x", None, "/usr/bin/x")
    assert not entry.is_over(dt.date(2027, 1, 31))
    assert entry.is_over(dt.date(2027, 2, 1))


def test_dates_may_come_as_yaml_reads_them() -> None:
    (entry,) = asked(allowlist=[{**ALLOWED, "until": dt.date(2027, 1, 31)}]).allowlist
    assert entry.until == dt.date(2027, 1, 31)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pids": [0]}, "pids: 0 is not a process id; they are from 1 to 4194304"),
        (
            {"pids": [99999999999999999999]},
            "pids: 99999999999999999999 is not a process id; they are from 1 to 4194304",
        ),
        ({"exclude": [4194305]}, "exclude: 4194305 is not a process id"),
        ({"exclude": [-1]}, "exclude: -1 is not a process id"),
        ({"users": [""]}, "users: one of them is empty"),
        ({"names": ["a", ""]}, "names: one of them is empty"),
        ({"time_budget": 0}, "time_budget is 0; use 1 or more"),
        ({"read_budget": 0}, "read_budget is 0; use 1 or more"),
        ({"max_findings": 0}, "max_findings is 0; use 1 or more"),
        ({"lock_timeout": -1}, "lock_timeout is -1; use 0 or more"),
        ({"state_dir": "state"}, "state_dir: 'state' is relative; give an absolute path"),
        ({"yara_rules": ["/a", "b"]}, "yara_rules: 'b' is relative; give an absolute path"),
        (
            {"allowlist": [{**ALLOWED, "sha256": None}]},
            "allowlist: entry 1 has neither sha256 nor package; a path alone",
        ),
        ({"allowlist": [ALLOWED, {**ALLOWED, "sha256": "ab"}]}, "allowlist: entry 2: sha256 'ab' is not a digest"),
        ({"allowlist": [{**ALLOWED, "path": "x"}]}, "allowlist: entry 1: path 'x' is relative"),
        ({"allowlist": [{**ALLOWED, "reason": " "}]}, "allowlist: entry 1 has no reason; say why it is allowed"),
        (
            {"allowlist": [{**ALLOWED, "until": "soon"}]},
            "allowlist: entry 1: until 'soon' is not a date such as 2027-01-31",
        ),
        ({"allowlist": [{**ALLOWED, "until": "2027-02-30"}]}, "until '2027-02-30' is not a date"),
        ({"allowlist": [{**ALLOWED, "until": "20270131"}]}, "until '20270131' is not a date"),
        ({"allowlist": [{**ALLOWED, "until": "2027-01-31\n"}]}, "is not a date"),
    ],
)
def test_what_cannot_be_is_named_in_one_sentence(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(**given)
    assert words in str(caught.value)


@pytest.mark.parametrize("missing", ["reason", "until"])
def test_an_entry_of_the_allowlist_needs_a_reason_and_an_end(missing: str) -> None:
    entry = {name: value for name, value in ALLOWED.items() if name != missing}
    assert missing in ArgumentSpecValidator(collect_spec()).validate({"allowlist": [entry]}).error_messages[0]
