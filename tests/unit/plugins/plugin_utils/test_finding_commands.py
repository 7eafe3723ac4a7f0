# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that people paste into a shell, run by a real one."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import types
import typing as t
import uuid

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.vars import load_extra_vars
from ansible_collections.bulwark.servers.plugins.plugin_utils import change_ids, finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.finding_commands import Case

UID = str(uuid.UUID(int=7))
HOSTILE = [
    "sqlite:////srv/a b/findings.db",
    "sqlite:////srv/'quoted' \"twice\"/findings.db",
    "sqlite:////srv/$(touch /tmp/bulwark-pwned)`id`/findings.db",
    "sqlite:////srv/{{ lookup('pipe', 'touch /tmp/bulwark-pwned') }}/findings.db",
    "sqlite:////srv/{% raw %}\n--become -e x=y; touch /tmp/bulwark-pwned\n/findings.db",
    "--extra-vars=x",
    "@/etc/passwd",
    "a=b c=d",
    "é\u202e\\x00",
]


def commands(**changes: str) -> dict[str, str]:
    fields = {"uid": UID, "capability": "audit", "lifecycle": "event", "status": "open"}
    return {each.name: each.command for each in finding_commands.commands(Case(**{**fields, **changes}))}


def pasted(command: str, tmp_path: pathlib.Path) -> list[str]:
    """Return the arguments that ansible-playbook gets when sh runs a command."""
    program, seen = tmp_path / "ansible-playbook", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done > {seen}\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""
    return seen.read_text().split("\0")[:-1]


def test_each_case_has_its_commands() -> None:
    assert list(commands()) == ["close", "suppress"]
    changed = {"capability": "file_integrity", "lifecycle": "state"}
    assert list(commands(**changed, state="0a1b2c3d4e5f")) == ["accept", "suppress"]
    # A baseline that was tampered with, or more changes than are listed.
    assert list(commands(**changed)) == ["suppress"]
    assert list(commands(status="suppressed")) == ["restore"]
    assert commands(status="resolved") == {}
    assert commands(status="new")["suppress"].split(" -e ") == [
        "ansible-playbook bulwark.servers.suppress",
        f"bulwark_findings={UID}",
        "bulwark_until=30d",
        "bulwark_reason=WHY",
    ]


@pytest.mark.parametrize(
    ("device", "is_known"),
    [
        ({"os": {"type": "Linux"}}, True),
        ({"os": {"type": "Windows"}}, False),
        ({"os": {"type": "macOS"}}, False),
        # Nothing says what it is.
        ({"os": {"type": "Unknown"}}, True),
        ({"os": {"type": ["Windows"]}}, True),
        ({"os": "Windows"}, True),
        ({"name": "web1"}, True),
        (None, True),
    ],
)
def test_only_a_host_of_a_known_platform_can_be_investigated(device: t.Any, is_known: bool) -> None:
    assert finding_commands.can_investigate({"device": device}) is is_known
    assert finding_commands.can_investigate({}) is True


def test_who_accepts_a_change_accepts_the_one_that_they_read() -> None:
    events = [{"evidences": [{"data": {"change_id": digit * 32}}]} for digit in "ab"]
    states = [_stored(event) for event in events]
    assert [re.fullmatch(r"[0-9a-f]{12}", each.state) is not None for each in states] == [True, True]
    assert states[0].state != states[1].state
    accept = finding_commands.commands(states[0])[0].command
    assert f" -e bulwark_findings={UID} -e bulwark_state={states[0].state} -e " in accept


@pytest.mark.parametrize(
    "evidences",
    [
        [],
        [{"data": {"watch": "all", "changes": 7}}],
        [{"data": {"change_id": "all"}}],
        [{"data": {"change_id": "a" * 32 + "\n"}}],
        [{"data": {"change_id": ["a" * 32]}}],
        [{"data": "explained"}],
        [{"data": {"change_id": "a" * 32}}, {"data": {"change_id": "/etc/passwd"}}],
        [{}],
    ],
)
def test_what_a_host_sends_in_place_of_a_change_is_never_accepted(evidences: list[dict[str, t.Any]]) -> None:
    assert change_ids.change_ids({"evidences": evidences}) == []
    assert _stored({"evidences": evidences}).state == ""


@pytest.mark.parametrize("uid", ["", "x; touch /tmp/x", f"{UID}\n", UID.upper().replace("7", "A"), "{{ 7 * 7 }}"])
def test_what_is_no_uid_is_in_no_command(uid: str) -> None:
    assert commands(uid=uid) == {}
    assert finding_commands.close_opening(uid) == []


@pytest.mark.parametrize("store", HOSTILE)
def test_a_hostile_name_is_one_word_for_the_shell_and_a_text_for_ansible(store: str, tmp_path: pathlib.Path) -> None:
    marker = pathlib.Path("/tmp/bulwark-pwned")
    marker.unlink(missing_ok=True)
    words = pasted(commands(store=store)["suppress"], tmp_path)
    assert (words[0], words[1::2]) == ("bulwark.servers.suppress", ["-e"] * 4)
    variables = _extra_vars(words[2::2])
    assert variables.pop("bulwark_findings") == UID
    assert set(variables) == {"bulwark_until", "bulwark_reason", "bulwark_store"}
    assert variables["bulwark_store"] == store
    assert not marker.exists()


def test_a_command_in_several_lines_is_one_for_the_shell(tmp_path: pathlib.Path) -> None:
    for width in (60, 80, 120):
        lines = finding_commands.wrapped(finding_commands.SUPPRESS, width)
        assert max(map(len, lines)) <= width
        words = pasted("\n".join(lines), tmp_path)
        assert words == finding_commands.SUPPRESS.split()[1:]


def test_a_quoted_word_stays_in_one_line(tmp_path: pathlib.Path) -> None:
    command = commands(store="sqlite:////srv/the team's own store/findings of all servers.db")["suppress"]
    for width in (60, 80):
        assert pasted("\n".join(finding_commands.wrapped(command, width)), tmp_path) == pasted(command, tmp_path)


def _stored(event: dict[str, t.Any]) -> Case:
    found = types.SimpleNamespace(uid=UID, capability="file_integrity", lifecycle="state", status="open", event=event)
    return Case.of(found)


def _extra_vars(given: list[str]) -> dict[str, object]:
    """Return variables as ansible-playbook reads and templates them."""
    from ansible import context
    from ansible.module_utils.common.collections import ImmutableDict

    before = context.CLIARGS
    context.CLIARGS = ImmutableDict({**before, "extra_vars": tuple(given)})
    load_extra_vars.__dict__.clear()
    try:
        loaded = load_extra_vars(DataLoader())
    finally:
        context.CLIARGS = before
    templar = Templar(loader=DataLoader(), variables=loaded)
    return json.loads(json.dumps({name: templar.template(value) for name, value in loaded.items()}))
