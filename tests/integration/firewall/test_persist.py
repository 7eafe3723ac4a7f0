# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that are there after a boot: the unit, and the command in it, in a host that has nothing yet."""

from __future__ import annotations

import contextlib
import pathlib
import re
import stat
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import persist, trial
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import OwnTable

from tests.support import network

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:systemctl", "command:systemd-analyze"),
    pytest.mark.xdist_group("firewall_persist"),
]

TABLE = "bulwark_test"
UNIT = "bulwark-firewall-test.service"
RULES = trial.Rules(
    {"input": ["tcp dport 22 ip saddr @grants4 accept", "tcp dport 22 drop"]},
    {"grants4": "type ipv4_addr; flags interval,timeout;"},
)
OTHER = trial.Rules({"input": ["tcp dport 23 drop"]}, RULES.sets)


@pytest.fixture
def place(tmp_path: pathlib.Path) -> persist.Place:
    """Return directories in place of the host's, as on one where no systemd runs."""
    tmp_path.chmod(0o755)
    (tmp_path / "units").mkdir()
    return persist.Place(str(tmp_path / "state"), str(tmp_path / "units"), str(tmp_path / "running"))


def _unit(place: persist.Place) -> str:
    return persist.unit(place, TABLE, "/usr/sbin/nft", script=False).text(place)


def test_without_systemd_it_is_said_that_the_rules_do_not_come_back(place: persist.Place) -> None:
    assert persist.differs(place, TABLE, RULES)
    outcome = persist.keep(place, TABLE, RULES)
    assert (outcome.changed, outcome.survives) == (True, False)
    assert outcome.note == "the rules are not there after a reboot: this host has no systemd that could load them"
    file = pathlib.Path(place.state_root, "firewall", f"{TABLE}.nft")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(pathlib.Path(place.units).iterdir()) == []

    again = persist.keep(place, TABLE, RULES)
    assert (again.changed, again.survives) == (False, False)
    assert not persist.differs(place, TABLE, RULES)
    assert persist.differs(place, TABLE, OTHER)
    assert persist.keep(place, TABLE, OTHER).changed
    assert persist.forget(place, TABLE)
    assert not file.exists()
    assert not persist.forget(place, TABLE)


def test_a_unit_that_cannot_be_removed_is_named(place: persist.Place) -> None:
    unit = pathlib.Path(place.units, UNIT)
    unit.mkdir()
    with pytest.raises(StateError, match=f"^{unit} cannot be removed: Is a directory"):
        persist.forget(place, TABLE)


def test_a_state_that_cannot_be_written_is_a_note(place: persist.Place) -> None:
    pathlib.Path(place.state_root).symlink_to("/nowhere")
    outcome = persist.keep(place, TABLE, RULES)
    assert not outcome.survives
    assert outcome.note is not None
    assert outcome.note.startswith("the rules are not there after a reboot: ")


def test_systemd_takes_the_unit(place: persist.Place, tmp_path: pathlib.Path) -> None:
    file = tmp_path / UNIT
    file.write_text(_unit(place))
    answer = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert UNIT not in answer.stderr
    # What it verifies is this unit, and it would have said something.
    file.write_text(_unit(place).replace("Type=oneshot", "Type=onceshot").replace("ExecStart=/", "ExecStart="))
    answer = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert UNIT in answer.stderr


@pytest.mark.parametrize("name", ["two words", 'a "b" \\ c', "50% $HOME", "ümlaut"])
def test_the_state_may_be_anywhere(place: persist.Place, tmp_path: pathlib.Path, name: str) -> None:
    file = tmp_path / UNIT
    odd = persist.Place(str(tmp_path / name / "state"), place.units, place.running)
    file.write_text(_unit(odd))
    answer = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert UNIT not in answer.stderr


def test_a_path_that_no_unit_can_name_is_a_note(place: persist.Place, tmp_path: pathlib.Path) -> None:
    (tmp_path / "running").mkdir()
    odd = persist.Place(str(tmp_path / "a\nExecStart=x" / "state"), place.units, place.running)
    outcome = persist.keep(odd, TABLE, RULES)
    assert not outcome.survives
    assert outcome.note is not None
    assert "systemd takes no file below" in outcome.note
    assert list(pathlib.Path(place.units).iterdir()) == []


def test_the_unit_loads_the_rules_where_there_are_none_and_where_there_are_some(place: persist.Place) -> None:
    persist.keep(place, TABLE, RULES)
    unit = _unit(place)
    start, reload = (_command(unit, name) for name in ("ExecStart", "ExecReload"))
    assert start == reload
    with contextlib.ExitStack() as stack:
        fresh, visitor = stack.enter_context(network.hosts("fresh", "visitor"))
        stack.enter_context(fresh.entered())
        listeners = [fresh.listen(22, version) for version in (4, 6)]
        assert visitor.connects(fresh, 22)
        fresh.run(*start)
        table = OwnTable(Nft(), TABLE)
        assert table.compare(RULES).problem is None
        assert table.look() == trial.InForce(RULES.digest)
        assert not visitor.connects(fresh, 22)
        assert not visitor.connects(fresh, 22, 6)

        # A reload keeps openings, a trial, and tables of others.
        Nft().apply(f"add element inet {TABLE} grants4 {{ 10.99.0.0/24 timeout 60s }}\nadd table ip theirs")
        assert visitor.connects(fresh, 22)
        table.propose(OTHER, 60)
        fresh.run(*reload)
        assert len(Nft().elements(TABLE, "grants4")) == 1
        looked = table.look()
        assert looked is not None
        assert looked.proposed == OTHER.digest
        table.withdraw()
        assert visitor.connects(fresh, 22)
        assert not visitor.connects(fresh, 22, 6)

        # nftables.service begins its own with an empty rule set: then everything is closed again.
        fresh.run("nft", "flush", "ruleset")
        fresh.run(*reload)
        assert not visitor.connects(fresh, 22)
        assert table.compare(RULES).problem is None
        for listener in listeners:
            listener.close()


def _command(unit: str, name: str) -> list[str]:
    found = re.search(rf"^{name}=(.+)$", unit, re.MULTILINE)
    assert found
    return found.group(1).split()


def test_systemctl_makes_the_links_by_which_a_unit_is_known_as_enabled(place: persist.Place) -> None:
    """In a root of its own, as no systemd runs here."""
    units = pathlib.Path(place.units)
    root = units.parent / "root"
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system" / UNIT).write_text(_unit(place))
    answer = subprocess.run(
        ["systemctl", f"--root={root}", "enable", UNIT], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    made = {str(path.relative_to(root / "etc/systemd/system")) for path in root.rglob("*.wants/*")}
    assert made == {f"sysinit.target.wants/{UNIT}", f"nftables.service.wants/{UNIT}"}
