# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of the platform are those of ansible-core's own module, on this host and on ones with other networks."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import platform_facts

from tests.support import paths, require

require("root", "command:ip", "command:unshare")

_OURS = """
import json
from ansible_collections.bulwark.servers.plugins.module_utils import _platform
print(json.dumps(_platform.facts()))
"""
_SUBSET = ["!all", "min", "network", "virtual"]

_CARD = "ip link set lo up; ip link add card0 type veth peer name card1; ip link set card0 up; ip link set card1 up; "
_IPV4 = "ip addr add 10.9.8.7/24 dev card0; ip addr add 10.9.8.8/24 dev card0; "
_IPV6 = "ip addr add fd01::5/64 dev card0 nodad; ip -6 route add default via fd01::1; "


@pytest.mark.parametrize(
    "preparation",
    [
        _CARD,
        _CARD + _IPV4 + "ip route add default via 10.9.8.1",
        _CARD + _IPV4 + "ip route add default via 10.9.8.1 src 10.9.8.8",
        _CARD + _IPV6,
        _CARD + _IPV4 + _IPV6 + "ip route add default via 10.9.8.1; ip route add prohibit 8.8.8.8",
        "hostname web.example.com",
        "hostname web; mount --bind $HOSTS /etc/hosts",
    ],
    ids=["no_address", "default", "source", "ipv6", "prohibited", "full_name", "hosts"],
)
def test_another_network_gives_other_addresses_and_names(preparation: str, tmp_path: pathlib.Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.1.1 web.example.com web\n")
    command = f"set -e; HOSTS={shlex.quote(str(hosts))}; {preparation}\n" + 'exec "$@"'

    _assert_equal(["unshare", "--net", "--uts", "--mount", "sh", "-c", command, "sh"], tmp_path)


def test_this_host_has_the_facts_that_ansible_gathers(tmp_path: pathlib.Path) -> None:
    facts = _assert_equal([], tmp_path)

    assert facts["ansible_system"] == "Linux"
    assert facts["ansible_kernel"] == os.uname().release


def _assert_equal(within: list[str], directory: pathlib.Path) -> dict[str, t.Any]:
    """within: what starts a command on the host in question."""
    arguments = directory / "arguments"
    arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"gather_subset": _SUBSET}}))
    gathered = _run([*within, sys.executable, "-m", "ansible.modules.setup", str(arguments)])["ansible_facts"]
    read = _run([*within, sys.executable, "-c", _OURS])
    expected = platform_facts(gathered)
    assert platform_facts(read) == expected
    return expected


def _run(command: list[str]) -> dict[str, t.Any]:
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))
