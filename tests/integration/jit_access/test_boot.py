# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locked and opened ports on a host with systemd: nftables is reloaded and restarted, and the host is booted."""

from __future__ import annotations

import json
import socket
import subprocess
import typing as t

import pytest

from tests.fleet import hosts
from tests.fleet.fleet import Fleet
from tests.support import paths

pytestmark = [pytest.mark.requires("root", "fleet"), pytest.mark.xdist_group("fleet")]

PORT = 8000
# What the modules do, in the host's own Python: locks and confirms, opens, looks.
_DRIVER = """
import json, sys
sys.path.insert(0, "/opt")
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import apply, apply_grant
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import collect, options

def defaults(spec):
    return {name: fields.get("default") for name, fields in spec.items()}

what, given = sys.argv[1], json.loads(sys.argv[2])
spec = {"lock": options.apply_spec, "open": options.grant_spec, "look": options.collect_spec}[what]()
params = {**defaults(spec), **given}
if what == "lock":
    params["ports"] = [{**defaults(spec["ports"]["options"]), **port} for port in params["ports"]]
    result = apply.apply(params, False)
    if result.get("trial"):
        result = apply.apply({**params, "_confirm": result["trial"]["token"]}, False)
else:
    result = {"open": apply_grant.apply, "look": collect.collect}[what](params, False)
print(json.dumps(result))
"""


class Booted:
    """The host, and this machine as whoever wants to reach it."""

    def __init__(self, host: hosts.Host, fleet: Fleet) -> None:
        self.host = host
        network = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
        self.client = fleet.engine("inspect", "--format", network, host.container)
        plugins = paths.ROOT / "plugins"
        archive = subprocess.run(["tar", "-C", plugins, "-c", "module_utils"], capture_output=True, check=True).stdout
        place = "/opt/ansible_collections/bulwark/servers/plugins"
        host.run("mkdir", "-p", place)
        host.run("tar", "-C", place, "-x", stdin=archive)
        host.write("/opt/driver.py", _DRIVER)
        self.listen()

    def listen(self) -> None:
        """Have a service on the port, which is started by hand after each boot."""
        self.host.shell(f"systemd-run --quiet --unit=service python3 -m http.server {PORT}")
        inside = f"until ss -Hltn 'sport = {PORT}' | grep -q .; do sleep 0.1; done"
        self.host.shell(inside)

    def load(self, verb: str) -> None:
        """Load the rules of nftables anew; systemctl doesn't wait for the units that do the same in turn."""
        self.host.shell(f"systemctl {verb} nftables; while systemctl list-jobs | grep -q bulwark; do sleep 0.02; done")

    def do(self, what: str, **options: t.Any) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = json.loads(self.host.run("python3", "/opt/driver.py", what, json.dumps(options)))
        return answer

    def lets_in(self) -> bool:
        try:
            socket.create_connection((self.host.address, PORT), timeout=1).close()
        except OSError:
            return False
        return True


def test_a_reload_leaves_open_what_is_open_and_a_boot_closes_it(fleet: Fleet) -> None:
    booted = Booted(fleet.boot(), fleet)
    host = booted.host
    host.shell("systemctl enable --now nftables")
    assert booted.lets_in()
    locked = booted.do("lock", ports=[{"port": str(PORT)}])
    assert (locked["confirmed"], locked["survives_reboot"], locked["warnings"]) == (True, True, [])
    assert not booted.lets_in()

    def grant() -> dict[str, t.Any]:
        return booted.do("open", ports=[str(PORT)], sources=[booted.client], requested_for="ada", duration=300)

    host.shell("systemctl disable bulwark-firewall-jit")
    assert "boot" in [one["subject"] for one in booted.do("look")["detections"]]
    assert booted.do("lock", ports=[{"port": str(PORT)}])["survives_reboot"]

    opened = grant()
    assert booted.lets_in()
    for verb in ("reload", "restart"):
        booted.load(verb)
        assert booted.lets_in(), verb
        seen = booted.do("look")
        assert (seen["in_force"], seen["grants_in_force"]) == (True, True)
        assert seen["grants"][0]["until"] == opened["grant"]["until"]

    # As an administrator saves all rules for the next boot, while somebody is let in.
    host.shell("(echo flush ruleset; nft list ruleset) > /etc/nftables.conf; grep -q expires /etc/nftables.conf")
    hosts.reboot(host)
    booted.listen()
    assert not booted.lets_in()
    seen = booted.do("look")
    assert (seen["in_force"], seen["grants"], [one["outcome"] for one in seen["history"]]) == (True, [], ["rebooted"])
    assert host.shell("systemctl is-active bulwark-firewall-jit") == "active"
    booted.load("reload")
    assert not booted.lets_in(), "nor does the old copy open anything"
    grant()
    assert booted.lets_in()
