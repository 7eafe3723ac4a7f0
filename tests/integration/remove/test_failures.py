# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails while the collection is removed is said, hinders nothing else, locks nobody out, and is done next time."""

from __future__ import annotations

import fcntl
import json
import pathlib
import re
import typing as t

import pytest

from tests.integration.remove import _desk
from tests.integration.remove._desk import Desk
from tests.support.controllers import Controller, controller

pytestmark = [pytest.mark.requires(*_desk.NEEDS), pytest.mark.xdist_group("remove")]


@pytest.fixture
def desk(tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]) -> t.Iterator[Desk]:
    with _desk.desk(tmp_path, controller("2.18")) as found:
        yield found


def test_a_part_that_fails_leaves_the_others_and_the_way_in_open(desk: Desk) -> None:
    """The controller comes in by an opening alone, which is in the table of the network rules, too."""
    desk.deploy()
    (desk.state / "jit" / "notes.txt").write_text("Somebody's own.")
    with (desk.state / "network_rules" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = desk.remove(works=False, network_hardening_lock_timeout=0)
    assert f"network_hardening: another run is writing in {desk.state}/network_rules and did not end within 0 s" in said
    assert "jit_access: it stays as long as rules stay that its openings lead through." in said
    assert "Removed: the recorder of traffic" in said
    assert [name in desk.tables() for name in ("bulwark_network", "bulwark_jit", "bulwark_traffic")] == [
        True,
        True,
        False,
    ]
    assert desk.site.friend.connects(desk.site.host, 22)
    kept = ("firewall", "jit", "network_rules", "traffic")
    assert sorted(path.name for path in desk.state.iterdir()) == sorted(kept)

    # A trial runs, the policy of the locked ports is damaged, and the state has something that is nobody's.
    desk.site.set(mode="enforce", rules=[{"port": "22", "prefixes": ["198.51.100.0/24"]}])
    (desk.state / "jit" / "policy.json").write_text("{")
    said = desk.remove()
    assert "Removed: network rules; locked ports" in said
    assert desk.tables() == ""
    left = f"{desk.state}/jit/notes.txt: it has mode 0644, and the collection lets only the owner read what it makes"
    assert left in said
    # What capabilities share stays, as not all of them were named.
    files = {str(path.relative_to(desk.state)) for path in desk.state.rglob("*") if path.is_file()}
    assert files == {"firewall/firewall.lock", "jit/notes.txt"}
    (unnamed,) = re.findall(r"; ([^;]+), which bulwark_capabilities does not name; ", said)
    assert "audit" in unnamed.split(", ")


# A job names the wrong variables of one kind, and each host the capabilities that it has for itself.
@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        (
            {"bulwark_capabilites": "audit"},
            {"web": ({}, "There is no option 'bulwark_capabilites'; did you mean bulwark_capabilities?")},
        ),
        (
            {"jit_access_state_dri": "/srv/x"},
            {"web": ({}, "There is no option 'jit_access_state_dri'; did you mean jit_access_state_dir?")},
        ),
        (
            {},
            {
                "misspelt": (
                    {"bulwark_capabilities": "jit_acess"},
                    "there is no capability 'jit_acess'; the collection has app_control, audit, ",
                ),
                "none": ({"bulwark_capabilities": []}, "bulwark_capabilities selects nothing that can be removed"),
            },
        ),
    ],
    ids=["misspelt", "misspelt_of_a_role", "capabilities"],
)
def test_wrong_options_are_refused_before_a_host_is_touched(
    given: dict[str, t.Any], hosts: dict[str, tuple[dict[str, t.Any], str]], tmp_path: pathlib.Path
) -> None:
    inventory = tmp_path / "hosts.json"
    own = {host: {"ansible_host": "192.0.2.1", **variables} for host, (variables, _message) in hosts.items()}
    inventory.write_text(json.dumps({"all": {"hosts": own}}))
    done = controller("2.21").run_playbook(
        "bulwark.servers.remove", "--check", inventory=inventory, extra_vars=given, state=tmp_path, check=False
    )
    assert done.returncode == 2
    said = " ".join(done.stdout.split())
    for host, (_variables, message) in hosts.items():
        (told,) = re.findall(rf"\[{host}\]: FAILED! => (.*?)(?=fatal: |TASK |PLAY )", said)
        assert message in told, said
    assert "UNREACHABLE" not in said
