# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook protect does with the ways in which variables are given, on a host in a network namespace."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities

from tests.integration.network_hardening._traffic import Site, site
from tests.support import paths
from tests.support.controllers import Controller, controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("protect"),
]

PORTS = [{"port": "9999"}]
BLOCKED = ["198.51.100.7", "198.51.100.8"]


# What hangs on how an ansible-core templates, chooses hosts or calls plugins is tried with the oldest, too.
_BOTH = pytest.mark.parametrize("ansible", ["2.18", "2.21"], indirect=True)
# What a preview says without the programs is logic of the modules; previews with them take the newest.
_OLDEST = pytest.mark.parametrize("ansible", ["2.18"], indirect=True)


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


class Play:
    """Runs protect on a host without audit rules."""

    def __init__(self, ansible: Controller, site: Site, directory: pathlib.Path) -> None:
        self._ansible, self._site, self._directory = ansible, site, directory

    def __call__(self, *arguments: str, works: bool = True, bare: bool = False, **variables: t.Any) -> str:
        """Return what the job printed, on one line. bare: whether the programs of /usr/sbin are hidden from it."""
        given = {
            "bulwark_become": False,
            "audit_rules_state": "absent",
            "app_control_state_dir": str(self._site.state),
            "app_control_packages": ["bulwark-no-such-package"],
            "audit_state_dir": str(self._site.state),
            "jit_access_state_dir": str(self._site.state),
            "network_hardening_state_dir": str(self._site.state),
            # Of a name that no repository has: where it is asked for, the job fails.
            "jit_access_packages": ["bulwark-no-such-package"],
            "network_hardening_packages": ["bulwark-no-such-package"],
            **variables,
        }
        inventory = self._directory / "hosts"
        inventory.write_text("web ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
        program = self._ansible.program("ansible-playbook")
        command = [program, "bulwark.servers.protect", "-i", str(inventory), "-e", json.dumps(given), *arguments]
        if bare:
            empty = self._directory / "empty"
            empty.mkdir(exist_ok=True)
            command = ["unshare", "--mount", "sh", "-c", f'mount --bind {empty} /usr/sbin && exec "$@"', "sh", *command]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS), "ANSIBLE_NOCOLOR": "1"}
        with self._site.host.entered():
            answer = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())


@pytest.fixture
def play(ansible: Controller, tmp_path: pathlib.Path) -> t.Iterator[Play]:
    with site(tmp_path) as found:
        yield Play(ansible, found, tmp_path)


@_BOTH
def test_variables_may_be_text(play: Play) -> None:
    text = "jit_access_install=false network_hardening_install=no audit_install=false"
    lists = f"network_hardening_blocked={','.join(BLOCKED)} network_hardening_directions=in,out"
    said = play("--check", "-e", f"{text} {lists} audit_rules_state=present", jit_access_ports=PORTS)
    assert "the ports (none) and 2 blocked sources." in said
    assert "The kernel would record who connects (in and out)." in said
    assert "Locked until somebody is let in would be the ports 9999." in said


def test_nothing_is_installed_where_the_programs_are_there(play: Play) -> None:
    wanted = {"network_hardening_blocked": BLOCKED, "jit_access_ports": PORTS}
    said = play("--check", **wanted, network_hardening_directions=["in"])
    assert "The kernel would record who connects (in)." in said
    assert "Locked until somebody is let in would be the ports 9999." in said
    said = play(network_hardening_directions=["in"])
    assert "The kernel records who connects (in)." in said


@_OLDEST
def test_a_preview_says_what_would_be_installed(play: Play) -> None:
    wanted = {"network_hardening_blocked": BLOCKED, "jit_access_ports": PORTS}
    said = play("--check", "--diff", bare=True, **wanted, network_hardening_directions=["in"])
    assert "bulwark-no-such-package would be installed, as nft is missing, and then the kernel would record who" in said
    assert "who connects and network rules would be in force." in said
    assert "as nft is missing, and then the ports 9999 would be locked." in said, said
    said = play(bare=True, works=False, jit_access_ports=PORTS)
    assert "bulwark-no-such-package" in said
    assert "would be" not in said


def test_only_the_capabilities_that_are_named_are_deployed(play: Play) -> None:
    given = {"network_hardening_directions": ["in"], "jit_access_ports": PORTS, "audit_rules_state": "present"}
    said = play("--check", **given, bulwark_capabilities="network_hardening, file_integrity")
    assert "Protected: The kernel would record who connects (in)." in said
    assert "Locked" not in said
    assert "Deploy the audit rules, or remove them" not in said
    said = play("--check", **given, bulwark_capabilities=["jit_access"])
    assert "Protected: Locked until somebody is let in would be the ports 9999." in said


@pytest.mark.skipif(os.path.exists("/run/systemd/system"), reason="systemd runs this machine")
def test_a_host_that_can_enforce_nothing_stays_in_audit_mode_and_says_so(play: Play) -> None:
    said = play(app_control_mode="enforce", bulwark_capabilities="app_control")
    assert "Not protected: systemd does not run this host, or this is a container: application control stays in" in said
    assert "changed=0" in said
    said = play(app_control_mode="enforce", bulwark_capabilities="app_control", bulwark_strict=True, works=False)
    assert "Fail where something could not be protected" in said


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "jit_acess",
            f"there is no capability 'jit_acess'; the collection has {', '.join(capabilities.load())}",
        ),
        (
            "file_integrity, memory_scan",
            "bulwark_capabilities names nothing that is deployed on hosts; name some of app_control, audit, jit_access",
        ),
        ([], "bulwark_capabilities names nothing that is deployed on hosts"),
    ],
)
def test_other_capabilities_are_refused(names: str | list[str], message: str, play: Play) -> None:
    said = play(works=False, jit_access_ports=PORTS, bulwark_capabilities=names)
    assert message in said, said
    assert "Learn the platform" not in said
