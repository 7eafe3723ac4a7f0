# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which main processes of services are verified, on a host with a real systemd and a real package database."""

from __future__ import annotations

import io
import json
import tarfile
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.support import paths

pytestmark = [pytest.mark.requires("root", "fleet")]

_UNIT = "dbus.service"
_ASK = f"""
import json, sys
sys.path.insert(0, "/opt/test")
from ansible_collections.bulwark.servers.plugins.module_utils.automation import units
mains = units.running(["{_UNIT}", "own.service", "nothing-like-that.service"])
print(json.dumps([[main.unit, main.pid.decode(), main.exe] for main in mains]))
"""
_OWN = "[Service]\nExecStart=/usr/bin/sleep 600\n"


def mains(host: Host) -> list[list[str]]:
    return t.cast("list[list[str]]", json.loads(host.run(host.python, "-c", _ASK)))


@pytest.fixture
def host(fleet: Fleet) -> Host:
    booted = fleet.boot()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        name = "opt/test/ansible_collections/bulwark/servers/plugins/module_utils"
        tar.add(paths.ROOT / "plugins" / "module_utils", name)
    booted.engine("cp", "-", f"{booted.container}:/", stdin=buffer.getvalue())
    return booted


def test_only_an_unchanged_service_of_a_package_is_verified(host: Host) -> None:
    pid = host.run("systemctl", "show", "--property=MainPID", "--value", _UNIT).strip()
    assert mains(host) == [[_UNIT, pid, "/usr/bin/dbus-daemon"]]

    # A service of the administrator's, or of an intruder, whatever it runs.
    host.write("/etc/systemd/system/own.service", _OWN)
    host.shell("systemctl daemon-reload && systemctl start own.service")
    assert [unit for unit, _pid, _exe in mains(host)] == [_UNIT]

    # A drop-in changes what is started.
    host.shell(f"mkdir -p /run/systemd/system/{_UNIT}.d")
    host.write(f"/run/systemd/system/{_UNIT}.d/x.conf", "[Service]\nEnvironment=LD_PRELOAD=/tmp/x.so\n")
    assert mains(host) == []
    host.shell("systemctl daemon-reload")
    assert mains(host) == []
    host.shell(f"rm -r /run/systemd/system/{_UNIT}.d && systemctl daemon-reload")
    assert len(mains(host)) == 1

    host.shell(f"echo >> /usr/lib/systemd/system/{_UNIT} && systemctl daemon-reload")
    assert mains(host) == []
