# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of root and of the account that signs in, and units of systemd, on hosts that have nothing else of ours."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.integration import _scans
from tests.integration.jit_access.test_boot import PORT, Booted
from tests.integration.remove._desk import changed
from tests.support.controllers import Controller

pytestmark = [pytest.mark.requires("root", "fleet"), pytest.mark.xdist_group("fleet")]

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
    for become in (False, True):
        scanner.scan(**given, bulwark_become=become)
    assert host.shell(f"ls {_OWN_STATE} /var/lib/bulwark").count("file_integrity") == 2
    host.shell("install -d -m 700 -o games /home/games/.local/state/bulwark/jit; usermod -d /home/games games")

    done = scanner.play("bulwark.servers.remove", "--check")
    assert (
        f"Would be removed: the baseline of files; /var/lib/bulwark/file_integrity; {_OWN_STATE}/file_integrity."
        in (done.stdout)
    )
    done = scanner.play("bulwark.servers.remove")
    assert (
        f"Removed: the baseline of files; /var/lib/bulwark/file_integrity; {_OWN_STATE}/file_integrity." in done.stdout
    )
    left = "/home/games/.local/state/bulwark: it is the state of the account games; sign in as that account and run"
    assert left in done.stdout
    assert "audit rules, if there are any: " in done.stdout
    host.shell("rm -r /home/games; usermod -d /usr/games games; rmdir /home/ansible/.local/state /home/ansible/.local")
    assert host.shell(_LIST) == before
    assert changed(scanner.play("bulwark.servers.remove").stdout) == 0


def test_units_are_removed_with_all_their_links(fleet: Fleet) -> None:
    booted = Booted(fleet.boot(), fleet)
    listing = "find /etc -xdev -printf '%p %y %m %l\\n' | sort; systemctl list-unit-files 'bulwark*' --no-legend"
    before = booted.host.shell(listing)
    booted.do("lock", ports=[{"port": PORT}], always_allow=[booted.client])
    assert "bulwark-firewall-jit.service" in booted.host.shell(listing)
    booted.do("lock", ports=[], state="absent")
    assert booted.host.shell(listing) == before
    assert booted.lets_in()
