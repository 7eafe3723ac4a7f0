# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever way leads to a host, and whoever scans it there, the scan finds the same."""

from __future__ import annotations

import json
import pathlib
import subprocess
import typing as t

import pytest

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _debs, _keep, _scans
from tests.support import require
from tests.support.controllers import Controller

# They share a host.
pytestmark = pytest.mark.xdist_group("ways")

_WATCHED = "/srv/watched"
_PASSWORD = "word of the test"  # noqa: S105 - of a host that lives for a minute
_OTHER = 1002
_PREPARE = f"""
echo 'root:{_PASSWORD}' | chpasswd
useradd --create-home --uid 1001 --shell /bin/sh strict
useradd --create-home --uid {_OTHER} --shell /bin/sh other
echo 'strict:{_PASSWORD}' | chpasswd
printf 'Defaults:strict requiretty\\nstrict ALL=(ALL:ALL) ALL\\n' > /etc/sudoers.d/strict
cp -a /home/ansible/.ssh /home/strict/
chown -R strict /home/strict/.ssh
printf 'permit nopass ansible\\n' > /etc/doas.conf
mkdir -m 0755 {_WATCHED} /mnt/noexec /mnt/read-only /mnt/full
echo 'one' > {_WATCHED}/first
"""
# In the container's own namespace, which goes with it.
_MOUNTS = """
mount -t tmpfs -o noexec,mode=1777 none /tmp
mount -t tmpfs -o noexec,mode=1777 none /var/tmp
mount -t tmpfs -o noexec,mode=1777 none /mnt/noexec
mount -t tmpfs -o ro none /mnt/read-only
mount -t tmpfs -o size=64k,mode=0755 none /mnt/full
"""
_SUDO = {"ansible_become": True}
_OTHERS = {**_SUDO, "ansible_become_user": "other", "state": "/home/other/{{ inventory_hostname }}"}
_PIPELINING = {"ansible_pipelining": True}
_STRICT = {
    "ansible_user": "strict",
    "ansible_become": True,
    "ansible_become_password": _PASSWORD,
}
_PARAMIKO = {
    "ansible_connection": "ansible.builtin.paramiko_ssh",
    "ansible_paramiko_host_key_checking": False,
}
# As root.
_WAYS: dict[str, dict[str, t.Any]] = {
    "ssh": {**_SUDO, "ansible_ssh_args": "-C -o ControlMaster=auto -o ControlPersist=5s"},
    "pipelined": {**_SUDO, **_PIPELINING},
    # Ansible does not pipeline through su, whatever is asked for.
    "su": {"ansible_become_method": "su", "ansible_become_password": _PASSWORD, **_SUDO, **_PIPELINING},
    "doas": {"ansible_become_method": "doas", **_SUDO},
    "doas-pipelined": {"ansible_become_method": "doas", **_SUDO, **_PIPELINING},
    "terminal": _STRICT,
    "noexec": {**_SUDO, "ansible_remote_tmp": "/mnt/noexec/tmp"},
    "discovered": {**_SUDO, "ansible_python_interpreter": "auto"},
    "paramiko": {**_SUDO, **_PARAMIKO},
    "paramiko-pipelined": {**_SUDO, **_PARAMIKO, **_PIPELINING},
}
# As another account, that of the connection in the last one. What only root sees is missing.
_ACCOUNTS: dict[str, dict[str, t.Any]] = {
    "other": _OTHERS,
    "other-pipelined": {**_OTHERS, **_PIPELINING},
    "other-doas": {**_OTHERS, "ansible_become_method": "doas", **_PIPELINING},
    "other-su": {**_OTHERS, "ansible_become_method": "su", "ansible_become_password": _PASSWORD},
    "unprivileged": {"ansible_become": False, "state": "/home/ansible/{{ inventory_hostname }}"},
}
_REFUSED = {"terminal-pipelined": {**_STRICT, **_PIPELINING}}
_CAPABILITIES = ["jit_access", "file_integrity"]
_ENVIRONMENT = {
    "ANSIBLE_BECOME_PLUGINS": str(pathlib.Path(_keep.__file__).with_name("become_plugins")),
    "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
}
_CORES = ("2.20", "2.21")


@pytest.fixture(scope="module")
def host(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    """A fleet of one host, with accounts and mounts for every way to it."""
    require("fleet", "root", "command:nsenter", "command:apt-get")
    fleet = Fleet(docker_engine, tmp_path_factory.mktemp("ways"))
    try:
        (one,) = fleet.start("trixie")
        packages = _debs.download("trixie", tmp_path_factory.mktemp("debs"), ["opendoas"])
        one.run("dpkg", "--install", *_debs.put(one, packages))
        one.shell(_PREPARE)
        _in_namespace(one, _MOUNTS)
        yield fleet
    finally:
        fleet.remove()


def _in_namespace(host: Host, script: str) -> None:
    """Run a script with rights that nobody in the container has."""
    pid = host.engine("inspect", "--format", "{{.State.Pid}}", host.container)
    subprocess.run(["nsenter", f"--target={pid}", "--mount", "--", "/bin/sh", "-euc", script], check=True)


def _inventory(
    fleet: Fleet, directory: pathlib.Path, ways: t.Mapping[str, t.Mapping[str, t.Any]], **groups: t.Sequence[str]
) -> pathlib.Path:
    """Write an inventory in which the one host of the fleet has a name for each way to it."""
    content = json.loads(fleet.inventory.read_text(encoding="utf-8"))["all"]
    ((name, variables),) = content["hosts"].items()
    content["vars"] = {
        **json.loads(json.dumps(content["vars"]).replace("{{ inventory_hostname }}", name)),
        "ansible_ssh_args": "-o ControlMaster=no",
        "state": "/var/lib/bulwark-of/{{ inventory_hostname }}",
        "file_integrity_priority": "normal",
        "file_integrity_default_watches": False,
        "file_integrity_watches": [{"name": "watched", "paths": [_WATCHED]}],
        **{f"{capability}_state_dir": "{{ state }}" for capability in _CAPABILITIES},
    }
    del content["vars"]["ansible_control_path"], variables["fleet_container"]
    content["hosts"] = {way: {**variables, **given} for way, given in ways.items()}
    content["children"] = {group: {"hosts": dict.fromkeys(members, {})} for group, members in groups.items()}
    path = directory / "ways.json"
    path.write_text(json.dumps({"all": content}), encoding="utf-8")
    return path


def _seen(scanner: _scans.Scanner, way: str, *capabilities: str) -> list[t.Any]:
    """Return what the store has of a way: the findings, and how far the last run looked."""
    with scanner.store() as store:
        (newest,) = store.runs(1)
        coverage = [found for found in store.coverage(newest.id) if found.host == way]
    found: list[t.Any] = [
        (found.alert, found.subject, found.severity, found.status, found.event["evidences"])
        for found in sorted(scanner.findings(way), key=lambda found: (found.alert, found.subject))
        if found.capability in capabilities
    ]
    for entry in sorted(coverage, key=lambda entry: entry.capability):
        if entry.capability in capabilities:
            # Each way has a directory of its own, so that one does not take the other's baseline.
            found.append((entry.capability, json.dumps(entry.entries).replace(f"/{way}", "/WAY")))
    return found


def test_the_same_is_found_on_every_way(
    host: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    (one,) = host.hosts
    inventory = _inventory(host, tmp_path, {**_WAYS, **_ACCOUNTS, **_REFUSED})
    scanner = _scans.Scanner(controller(_CORES[0]), inventory, tmp_path)
    for number, core in enumerate(_CORES):
        one.write(f"{_WATCHED}/new-{number}", "new\n")
        scanner.controller = controller(core)
        scanner.scan("--forks", "6", environment=_ENVIRONMENT, bulwark_capabilities=_CAPABILITIES)

        reachable = [way for way in _WAYS if core != "2.21" or _PARAMIKO.items() - _WAYS[way].items()]
        expected = {("fim_file_created", f"{_WATCHED}/new-{new}") for new in range(1, number + 1)}
        for way in [*reachable, *_ACCOUNTS]:
            assert {name for name in scanner.open(way) if name[0].startswith("fim")} == expected, (core, way)
        for way in reachable:
            assert _seen(scanner, way, *_CAPABILITIES) == _seen(scanner, "ssh", *_CAPABILITIES), (core, way)
        for way in _ACCOUNTS:
            assert _seen(scanner, way, "file_integrity") == _seen(scanner, "ssh", "file_integrity"), (core, way)
        print(core, {way: scanner.coverage_of(way) if hasattr(scanner, "coverage_of") else None for way in _REFUSED})
