# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that is installed and does not run, and the unit of one that no control group names."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import configured, facts, units
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Names
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.engines import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

_SYSTEM = "/usr/lib/systemd/system"
_UNIT = "[Service]\nExecStart=/usr/bin/dockerd -H fd:// --icc=false\n"


class Host:
    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.root = Root(str(path), Names([], []))

    def write(self, path: str, text: str) -> None:
        file = self._path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def installed(self) -> Engine:
        engine = Reader(self.root, Names([], [])).installed()
        assert engine is not None
        assert engine.state == facts.STOPPED
        return engine


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_where_nothing_is_installed_there_is_none(host: Host) -> None:
    assert Reader(host.root, Names([], [])).installed() is None


def test_it_is_named_as_when_it_runs_and_judged_by_its_files(host: Host) -> None:
    host.write(f"{_SYSTEM}/docker.service", _UNIT)
    host.write(f"{_SYSTEM}/docker.socket", "[Socket]\nListenStream=/run/docker.sock\nListenStream=2375\n")
    host.write("/etc/docker/daemon.json", json.dumps({"live-restore": True, "data-root": "/srv/docker"}))
    host.write("/srv/docker/x", "")
    engine = host.installed()
    assert (engine.name, engine.unit) == ("unix:///run/docker.sock", "docker.service")
    assert [(one.address, one.source, one.verifies_clients) for one in engine.listeners] == [
        ("unix:///run/docker.sock", "systemd", False),
        ("tcp://:2375", "systemd", False),
    ]
    assert (engine.settings["icc"].value, engine.settings["icc"].written_in) == (False, f"{_SYSTEM}/docker.service")
    assert (engine.settings["live-restore"].value, engine.settings["live-restore"].source) == (True, "file")
    assert [fact.path for fact in engine.units] == [f"{_SYSTEM}/docker.service", f"{_SYSTEM}/docker.socket"]
    assert engine.data_root is not None
    assert (engine.data_root.path, engine.data_root.problem) == ("/srv/docker", None)
    assert (engine.containers, engine.images, engine.swarm) == (None, None, None)


def test_a_program_alone_is_an_engine_as_well(host: Host) -> None:
    host.write("/usr/local/bin/dockerd", "")
    assert (host.installed().name, host.installed().unit) == ("unix:///run/docker.sock", "")


def test_the_snap_has_files_of_its_own(host: Host) -> None:
    host.write(
        "/etc/systemd/system/snap.docker.dockerd.service", "[Service]\nExecStart=/usr/bin/snap run docker.dockerd\n"
    )
    host.write("/var/snap/docker/current/config/daemon.json", json.dumps({"icc": False}))
    engine = host.installed()
    assert (engine.is_snap, engine.unit) == (True, "snap.docker.dockerd.service")
    assert engine.config is not None
    assert engine.config.values == {"icc": False}
    assert engine.settings["icc"].value is False
    assert engine.data_root is not None
    assert engine.data_root.path == "/var/snap/docker/common/var-lib-docker"


def test_a_unit_belongs_to_the_engine_at_the_address_that_it_gives(host: Host) -> None:
    host.write(f"{_SYSTEM}/docker.service", _UNIT)
    host.write(f"{_SYSTEM}/docker.socket", "[Socket]\nListenStream=/run/docker.sock\n")
    host.write("/etc/systemd/system/docker-other.service", "[Service]\nExecStart=/opt/dockerd --config-file /o.json\n")
    host.write("/o.json", json.dumps({"hosts": ["unix:///srv/o.sock"]}))
    host.write("/etc/systemd/system/docker-prune.service", "[Service]\nExecStart=/usr/bin/docker system prune\n")
    found = {
        address: configured.service_of(host.root, address, units.Account()).name
        for address in ("unix:///run/docker.sock", "unix:///srv/o.sock", "unix:///x.sock")
    }
    assert found == {
        "unix:///run/docker.sock": "docker.service",
        "unix:///srv/o.sock": "docker-other.service",
        "unix:///x.sock": "",
    }
