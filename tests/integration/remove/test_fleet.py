# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of root and of the account that signs in, and units of systemd, on hosts that have nothing else of ours."""

from __future__ import annotations

import pathlib
import re
import subprocess
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.integration import _scans
from tests.integration.jit_access.test_boot import PORT, Booted
from tests.integration.remove._desk import changed
from tests.support.controllers import Controller

pytestmark = [pytest.mark.requires("root", "fleet"), pytest.mark.xdist_group("fleet")]

# A third of the processes, where how modules come to the host is not what matters.
_PIPELINING = {"ANSIBLE_PIPELINING": "True"}
_OWN_STATE = "/home/ansible/.local/state/bulwark"
_LIST = "find /etc /home /root /var/lib -xdev ! -path '*/.ansible*' -printf '%p %y %m %l\\n' | sort"


def test_the_state_of_root_and_of_the_account_that_signs_in_is_removed(
    fleet: Fleet, tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    (host,) = fleet.start("trixie")
    scanner = _scans.Scanner(controller("2.21"), fleet.inventory, tmp_path)
    given: dict[str, t.Any] = {
        "file_integrity_default_watches": False,
        "file_integrity_watches": [{"name": "test", "paths": ["/etc/ssh"]}],
        "bulwark_capabilities": "file_integrity",
    }
    before = host.shell(_LIST)
    scanner.scan(**given)
    scanner.scan(**given, bulwark_become=False, file_integrity_baseline="own")
    state = host.shell(f"ls -d {_OWN_STATE}/* /var/lib/bulwark/*").split()
    assert {f"{_OWN_STATE}/file_integrity", "/var/lib/bulwark/file_integrity"} <= set(state)
    host.shell("install -d -m 700 -o games /home/games/.local/state/bulwark/jit; usermod -d /home/games games")

    said = _said(_remove(scanner, "--check", environment=_PIPELINING))
    removed = ["the baseline of files", *sorted(state)]
    assert _listed(said, "Would be removed") == removed
    assert host.shell(f"ls -d {_OWN_STATE}/* /var/lib/bulwark/*").split() == state

    said = _said(_remove(scanner))
    assert _listed(said, "Removed") == removed
    left = "/home/games/.local/state/bulwark: it is the state of the account games; sign in as that account and run"
    assert left in said, said
    assert "audit rules, if there are any: " in said
    assert "The store still has the seal of the baseline 'own' of trixie-1: remove it with" in said
    host.shell(
        "rm -r /home/games; usermod -d /usr/games games; rmdir -p --ignore-fail-on-non-empty /home/ansible/.local/state"
    )
    assert host.shell(_LIST) == before
    assert changed(_said(_remove(scanner, environment=_PIPELINING))) == 0


def test_without_root_an_account_removes_its_own_state_alone(
    fleet: Fleet, tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    (host,) = fleet.start("trixie")
    scanner = _scans.Scanner(controller("2.18"), fleet.inventory, tmp_path)
    own = f"install -d -m 700 -o ansible {_OWN_STATE} {_OWN_STATE}/jit; install -m 600 /dev/null {_OWN_STATE}/jit/lock"
    host.shell(f"{own}; chown -R ansible /home/ansible/.local; install -d -m 700 /var/lib/bulwark/jit")
    said = _said(_remove(scanner, bulwark_become=False))
    assert f"Removed: {_OWN_STATE}/jit." in said, said
    assert host.shell("ls /home/ansible/.local/state /var/lib/bulwark").split() == [
        "/home/ansible/.local/state:",
        "/var/lib/bulwark:",
        "jit",
    ]


def _remove(
    scanner: _scans.Scanner, *arguments: str, environment: t.Mapping[str, str] | None = None, **variables: t.Any
) -> subprocess.CompletedProcess[str]:
    given = {"bulwark_store": scanner.store_url, **variables}
    return scanner.controller.run_playbook(
        "bulwark.servers.remove",
        *arguments,
        inventory=scanner.inventory,
        extra_vars=given,
        environment=environment,
    )


def _listed(said: str, words: str) -> list[str]:
    """Return what the playbook says that it removed: what it was told first, and the directories sorted."""
    (listed,) = re.findall(rf'"{words}: ([^"]*)\."', said)
    first, *directories = listed.split("; ")
    return [first, *sorted(directories)]


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).replace("\\n", " ").split())


def test_units_are_removed_with_all_their_links(fleet: Fleet) -> None:
    booted = Booted(fleet.boot(), fleet)
    listing = (
        "find /etc -xdev -printf '%p %y %m %l\\n' | sort; systemctl list-unit-files 'bulwark*' --no-legend || true"
    )
    before = booted.host.shell(listing)
    booted.do("lock", ports=[{"port": PORT}], always_allow=[booted.client])
    assert "bulwark-firewall-jit.service" in booted.host.shell(listing)
    booted.do("lock", ports=[], state="absent")
    assert booted.host.shell(listing) == before
    assert booted.lets_in()
