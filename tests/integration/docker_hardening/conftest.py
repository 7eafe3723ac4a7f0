# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts whose engines the controls are judged on, and what the module returned there.

``careless`` breaks what it can, ``hardened`` keeps to everything. Each run of the module has a name.
"""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.integration.docker_hardening._docker_host import DockerHost, docker_host
from tests.integration.docker_hardening._images import OLD, Made
from tests.support.waiting import until

# What the operator allows; each of it turns questions into verdicts.
DECIDED: t.Mapping[str, t.Any] = {"ports": ["8443"], "image_age": 30, "sprawl": 0, "swarm": False}
# An account that every host has gets numbers for the users in containers.
HARDENED: t.Mapping[str, str] = {
    "/etc/docker/daemon.json": json.dumps({"userns-remap": "nobody:nogroup"}),
    "/etc/subuid": "nobody:100000:65536\n",
    "/etc/subgid": "nobody:100000:65536\n",
}
FOREVER = ("/bin/sleep", "3000")
Runs = t.Mapping[str, t.Mapping[str, t.Mapping[str, t.Any]]]


@pytest.fixture(scope="session")
def runs() -> Runs:
    """Return the results of all runs: by the run's name, then by the id of the control."""
    found: dict[str, t.Mapping[str, t.Any]] = {}
    with docker_host() as host:
        _make_careless(host)
        found["careless"] = _controls(host)
        found["careless_decided"] = _controls(host, **DECIDED)
        _join_carelessly(host)
        found["careless_swarm"] = _controls(host, **DECIDED)
    with docker_host(files=HARDENED, has_own_disk=True) as host:
        found["hardened_empty"] = _controls(host)
        _make_hardened(host)
        found["hardened"] = _controls(host, **DECIDED)
        _join_carefully(host)
        found["hardened_swarm"] = _controls(host, swarm=True)
    return found


def _controls(host: DockerHost, **options: t.Any) -> dict[str, t.Any]:
    return {each["control"]: each for each in host.collect(**options)["controls"]}


def _make_careless(host: DockerHost) -> None:
    for made in (Made("bb:1", OLD), Made("unused:1", OLD, {"User": "web"})):
        host("load", given=made.archive())
    (host.directory / "run" / "link").symlink_to("/etc")
    run = ("run", "--detach", "--name")
    everything = [f"--{name}=host" for name in ("network", "pid", "ipc", "uts", "userns")]
    everything += ["--privileged", "--restart=always", f"--cgroup-parent={host.control_group}"]
    everything += ["--ulimit=nofile=100:200"]
    everything += ["--volume=/:/host:rshared", "--volume=/var/run/docker.sock:/run/docker.sock"]
    host(*run, "everything", *everything, "bb:1", *FOREVER)
    host(*run, "joined", "--network=container:everything", "--pid=container:everything", "bb:1", *FOREVER)
    added = ["--cap-add=SYS_ADMIN", "--device=/dev/null:/dev/x", "--security-opt=seccomp=unconfined"]
    host(*run, "added", *added, "bb:1", "/bin/sh", "-c", "exec -a busybox /usr/sbin/sshd sleep 3000")
    host("volume", "create", "--opt=type=none", "--opt=o=bind", "--opt=device=/etc", "disguised")
    host(*run, "linked", "--volume=/run/link:/l:ro", "--volume=disguised:/d", "--volume=/run:/r", "bb:1", *FOREVER)
    host(*run, "published", "--publish=80:80", "--publish=127.0.0.1:8443:81", "bb:1", *FOREVER)
    host("exec", "--detach", "--privileged", "published", *FOREVER)
    host("exec", "--detach", "--user=0", "published", *FOREVER)
    host("create", "--name=stopped", "--privileged", "bb:1", *FOREVER)


def _join_carelessly(host: DockerHost) -> None:
    host("swarm", "init", "--advertise-addr=192.0.2.1")
    host("service", "create", "--detach", "--name=web", "--env=DB_PASSWORD=x", "--no-resolve-image", "bb:1", *FOREVER)


def _make_hardened(host: DockerHost) -> None:
    host("load", given=Made("bb:1", _now(host)).archive())
    host("network", "create", "application")
    options = ["--read-only", "--memory=64m", "--memory-swap=64m", "--cpus=0.5", "--pids-limit=50", "--cap-drop=ALL"]
    options += ["--security-opt=no-new-privileges", "--health-cmd=/bin/true", "--restart=on-failure:5"]
    options += ["--network=application", "--publish=192.0.2.1:8443:443", "--volume=data:/data"]
    host("run", "--detach", "--name=good", *options, "bb:1", *FOREVER)


def _now(host: DockerHost) -> str:
    return host("info", "--format={{.SystemTime}}")


def _join_carefully(host: DockerHost) -> None:
    addresses = ["--advertise-addr=192.0.2.1", "--listen-addr=192.0.2.1:2377", "--data-path-addr=192.0.2.2"]
    host("swarm", "init", "--autolock", *addresses)
    host("network", "rm", "ingress", given=b"y\n")
    # The engine answers before the network is gone.
    until(lambda: "ingress" not in host("network", "ls", "--format={{.Name}}").split(), "ingress was not removed")
    host("network", "create", "--driver=overlay", "--ingress", "--opt=encrypted", "encrypted")
