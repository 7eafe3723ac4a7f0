# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever way leads to a host, and whoever scans it there, the scan finds the same."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
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
_PASSWORD = "word of the test"
_OTHER = 1002
_PREPARE = f"""
echo 'root:{_PASSWORD}' | chpasswd
useradd --create-home --uid 1001 --shell /bin/sh strict
useradd --create-home --uid {_OTHER} --shell /bin/sh other
printf 'strict:{_PASSWORD}\\nother:{_PASSWORD}\\n' | chpasswd
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
    # A busy machine is slow to ask for a password.
    "ANSIBLE_TIMEOUT": "60",
}
# The ones in the middle try what differs between them; what others do is alike in the oldest and the newest.
_CORES = {
    "2.18": (),
    "2.19": ("ssh", "paramiko", "other"),
    "2.20": ("ssh", "paramiko-pipelined", "other-pipelined"),
    "2.21": (),
}


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
    content["children"] = {group: {"hosts": {member: {} for member in members}} for group, members in groups.items()}
    path = directory / "ways.json"
    path.write_text(json.dumps({"all": content}), encoding="utf-8")
    return path


def _seen(scanner: _scans.Scanner, way: str, *capabilities: str) -> list[t.Any]:
    """Return what the store has of a way: the findings, and how far the last run looked."""
    with scanner.store() as store:
        (newest,) = store.runs(1)
        coverage = [entry for entry in store.coverage(newest.id) if entry.host == way]
    seen: list[t.Any] = [
        (found.alert, found.subject, found.severity, found.event["evidences"], found.event["device"]["os"])
        for found in sorted(scanner.findings(way), key=lambda found: (found.alert, found.subject))
        if found.capability in capabilities
    ]
    for entry in sorted(coverage, key=lambda entry: entry.capability):
        seen += [(entry.capability, entry.entries)] if entry.capability in capabilities else []
    return seen


def test_the_same_is_found_on_every_way(
    host: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    (one,) = host.hosts
    ways = {**_WAYS, **_ACCOUNTS, **_REFUSED}
    scanner = _scans.Scanner(controller("2.18"), _inventory(host, tmp_path, ways), tmp_path)
    for number, (core, chosen) in enumerate(_CORES.items()):
        one.write(f"{_WATCHED}/new-{number}", "new\n")
        scanner.controller = controller(core)
        limit = ",".join(chosen) or "all"
        scanner.scan("--forks=6", "--limit", limit, environment=_ENVIRONMENT, bulwark_capabilities=_CAPABILITIES)

        scanned = chosen or [*_WAYS, *_ACCOUNTS]
        lost = {way for way in scanned if core == "2.21" and "paramiko" in way}
        new = {("fim_file_created", f"{_WATCHED}/new-{new}") for new in range(1, number + 1)}
        for way in set(scanned) - lost:
            assert set(scanner.open(way)) == new, (core, way)
            capabilities = ["file_integrity"] if way in _ACCOUNTS else _CAPABILITIES
            assert _seen(scanner, way, *capabilities) == _seen(scanner, "ssh", *capabilities), (core, way)
        for way in lost:
            assert "paramiko" in scanner.reasons(way)
        if not chosen:
            assert "you must have a tty to run sudo" in scanner.reasons("terminal-pipelined")
    with scanner.store() as store:
        pins = {way: [name.split("/") for name in store.pins(way)] for way in ways}
    # Which account keeps code, by its number.
    users = {way: {name[2].partition("-")[0] for name in names if name[0] == "code"} for way, names in pins.items()}
    for way in ways:
        own = "1000" if way == "unprivileged" else str(_OTHER) if way in _ACCOUNTS else "0"
        assert users[way] == (set() if way in _REFUSED else {own}), way
    # Each keeps its own, which is nobody else's to read.
    kept = one.shell("stat -c '%u %a' /var/lib/bulwark/scan /home/*/.local/state/bulwark/scan/code-*").splitlines()
    assert sorted(kept) == ["0 700", "1000 600", f"{_OTHER} 600"]


# What the scan's own playbook does not ask for. state_dir: where code would be kept, with what the coverage says of it.
_UNUSUAL: dict[str, dict[str, t.Any]] = {
    "usual": _SUDO,
    "read-only": {**_SUDO, "kept_in": "/mnt/read-only/state"},
    "full": {**_SUDO, "kept_in": "/mnt/full/state"},
    "foreign": {**_SUDO, "kept_in": "/home/other/state"},
    "checked": _SUDO,
    "background": _SUDO,
    "before": {**_SUDO, "way_to": "behind"},
    "here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
}
_NOTES = {
    "read-only": "Read-only file system",
    "full": "No space left on device",
    "foreign": f"/home/other belongs to user {_OTHER}",
}


def test_what_cannot_be_kept_is_sent_and_what_is_delegated_is_of_the_other_host(
    host: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    (one,) = host.hosts
    here = tmp_path / "watched"
    here.mkdir()
    ways = {**_UNUSUAL, "behind": _SUDO}
    ways["here"] = {
        **ways["here"],
        "state": str(tmp_path / "here"),
        "kept_in": str(tmp_path / "kept"),
        "file_integrity_watches": [{"name": "watched", "paths": [str(here)]}],
    }
    scanner = _scans.Scanner(controller("2.21"), _inventory(host, tmp_path, ways, scanned=list(_UNUSUAL)), tmp_path)

    def scan(**variables: t.Any) -> dict[str, dict[str, t.Any]]:
        scanner.play(_play(scanner), "--forks=6", environment={**_ENVIRONMENT, **_keep.ENVIRONMENT}, **variables)
        return {way: json.loads((tmp_path / f"{way}.json").read_text(encoding="utf-8")) for way in _UNUSUAL}

    scan()
    one.write(f"{_WATCHED}/unusual", "new\\n")
    (here / "unusual").write_text("new\\n", encoding="utf-8")
    results = scan(in_check_mode=["checked"], in_background=["background"])

    found = {("fim_file_created", f"{_WATCHED}/unusual"): "low"}
    same = _seen(scanner, "usual", *_CAPABILITIES)
    for way in ("usual", "read-only", "full", "foreign", "behind"):
        assert scanner.open(way) == found, way
        assert _without_notes(_seen(scanner, way, *_CAPABILITIES)) == _without_notes(same), way
    for way, note in _NOTES.items():
        assert note in json.dumps(_seen(scanner, way, *_CAPABILITIES)), way
    assert [name for name, _subject in scanner.open("here")] == [name for name, _subject in found]
    # Nothing is recorded in check mode, but all of it looked at.
    assert results["checked"]["capabilities"] == results["usual"]["capabilities"]
    assert scanner.open("checked") == scanner.open("background") == scanner.open("before") == {}
    assert "This action (bulwark.servers.host_scan) does not support async." in results["background"]["msg"]
    with scanner.store() as store:
        keepers = {way for way in ways if any(name.startswith("code/") for name in store.pins(way))}
    assert keepers == {"usual", "checked", "background", "behind", "here"}
    assert one.run("find", "/mnt/read-only", "/mnt/full", "/home/other/state", "-type", "f", check=False) == ""


def _play(scanner: _scans.Scanner) -> pathlib.Path:
    """Write a play with the task of a scan, and all that a task may have, and return its path."""
    store = {"store": scanner.store_url}
    scan = {
        "bulwark.servers.host_scan": {
            "capabilities": _CAPABILITIES,
            "run": "{{ opened.run.id }}",
            "state_dir": "{{ kept_in | default(omit) }}",
        },
        "check_mode": "{{ inventory_hostname in in_check_mode | default([]) }}",
        "async": "{{ 60 if inventory_hostname in in_background | default([]) else 0 }}",
        "delegate_to": "{{ way_to | default(omit) }}",
        "register": "result",
        "ignore_errors": True,
    }
    started = {"state": "started", "capabilities": _CAPABILITIES, "playbook": "Ways"}
    finished = {"state": "finished", "run": "{{ opened.run.id }}"}
    tasks = [
        {"bulwark.servers.findings_run": started, "run_once": True, "become": False, "register": "opened"},
        scan,
        _keep.task("result", f"{scanner.directory}/{{{{ inventory_hostname }}}}.json"),
        {"bulwark.servers.findings_run": finished, "run_once": True, "become": False},
    ]
    defaults = {"group/bulwark.servers.servers": store, "group/bulwark.servers.findings": store}
    play = {"hosts": "scanned", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    path = scanner.directory / "play.yml"
    path.write_text(json.dumps([play]), encoding="utf-8")
    return path


def _without_notes(seen: list[t.Any]) -> str:
    return re.sub(r'"note": (null|"[^"]*")', "", json.dumps(seen))
