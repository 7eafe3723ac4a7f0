# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts whose engines the controls are judged on, and what the module returned there.

``careless`` breaks what it can, ``hardened`` keeps to everything. Each run of the module has a name.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import typing as t

import pytest

from tests.integration.docker_hardening import _authorization, _configurations
from tests.integration.docker_hardening._docker_host import ADDRESS, DATA_ADDRESS, DockerHost, docker_host
from tests.integration.docker_hardening._images import OLD, Made
from tests.support import audit
from tests.support.waiting import until

FOREVER = ("/bin/sleep", "3000")
_NOBODY = 65534
Results = t.Mapping[str, t.Mapping[str, t.Any]]
Runs = t.Mapping[str, Results]


@pytest.fixture
def short_path() -> t.Iterator[pathlib.Path]:
    """Return a directory in which an engine can make its sockets: their paths may have 104 bytes."""
    with tempfile.TemporaryDirectory(prefix="bw-", dir="/tmp") as directory:
        yield pathlib.Path(directory)


@pytest.fixture(scope="session")
def runs() -> Runs:
    """Return the results of all runs: by the run's name, then by the id of the control."""
    found: dict[str, Results] = {}
    with docker_host(_configurations.careless(), owner=_NOBODY) as host:
        _make_careless(host)
        found["careless"] = _controls(host)
        found["careless_decided"] = _controls(host, **_configurations.REFUSED)
        _join_carelessly(host)
        found["careless_swarm"] = _controls(host, **_configurations.REFUSED)
        host.path("/etc/docker/daemon.json").write_text(_configurations.changed(), encoding="utf-8")
        found["careless_changed"] = _controls(host)
    host = DockerHost(_configurations.hardened(), has_own_disk=True)
    try:
        with _authorization.serve(host.path("/run/docker/plugins/allow.sock")):
            host.start()
            _make_hardened(host)
            found["hardened"] = _controls(host, **_configurations.DECIDED)
            # Without the plugin the engine would take no request, those that end it among them.
            host.stop()
    finally:
        host.stop()
    with docker_host(_configurations.plain()) as host:
        found["plain"] = _controls(host)
        _join_carefully(host)
        found["hardened_swarm"] = _controls(host, swarm=True)
        _publish_in_swarm(host)
        found["published_swarm"] = _controls(host)
    return found


# Others wait for the audit rules, some of them in this process.
@pytest.fixture(scope="module")
def audited_runs() -> t.Iterator[Runs]:
    """Return the results of ``unaudited`` and of ``audited``, for which the kernel watches what the first one named."""
    with audit.locked() as kernel, docker_host(_configurations.plain(), has_own_processes=False) as host:
        found = {"unaudited": _controls(host)}
        paths = {
            item["name"] for each in found["unaudited"].values() for item in each["evidences"] if item["kind"] == "rule"
        }
        for path in sorted(paths):
            host.inside("auditctl", "-w", path, "-p", "rwxa", "-k", "tests")
        kernel.control("-e", "1")
        found["audited"] = _controls(host)
        host("load", given=Made("bb:1", OLD).archive())
        host("run", "--detach", "--name=mounting", "--volume=/etc:/e:ro", "--volume=/run:/r", "bb:1", *FOREVER)
        found["outside"] = _by_control(host.collect_outside(), "unix:///run/docker.sock in another mount namespace")
        yield found


def _controls(host: DockerHost, **options: t.Any) -> Results:
    return _by_control(host.collect(**options))


def _by_control(result: t.Mapping[str, t.Any], subject: str = "unix:///run/docker.sock") -> Results:
    return {each["control"]: each for each in result["controls"] if each["subject"] == subject}


def _make_careless(host: DockerHost) -> None:
    config = {"Env": [f"DB_PASSWORD={_configurations.SECRET}"]}
    lines = ["COPY / /", "ADD http://example.com/tool /srv/", "RUN /bin/sh -c apt-get update"]
    lines += [
        "RUN /bin/sh -c apt-get install -y --allow-unauthenticated curl",
        f"ENV DB_PASSWORD={_configurations.SECRET}",
    ]
    for made in (Made("bb:1", OLD, config, lines, {"bin/su": 0o4755}), Made("unused:1", OLD)):
        host("load", given=made.archive())
    host.path("/run/link").symlink_to("/etc")
    run = ("run", "--detach", "--name")
    everything = [f"--{name}=host" for name in ("network", "pid", "ipc", "uts", "userns")]
    everything += ["--privileged", "--restart=always", f"--cgroup-parent={host.control_group}"]
    everything += ["--ulimit=nofile=100:200", "--volume=/:/host:rshared"]
    everything += ["--volume=/var/run/docker.sock:/run/docker.sock"]
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
    for path in ("/etc/docker", "/run/docker.sock", "/run/containerd/containerd.sock"):
        os.chown(host.path(path), _NOBODY, _configurations.DOCKER_GROUP)
        host.path(path).chmod(0o777)


def _join_carelessly(host: DockerHost) -> None:
    host("swarm", "init", f"--advertise-addr={ADDRESS}")
    host(
        "service",
        "create",
        "--detach",
        "--name=web",
        f"--env=DB_PASSWORD={_configurations.SECRET}",
        "--no-resolve-image",
        "bb:1",
        *FOREVER,
    )


def _make_hardened(host: DockerHost) -> None:
    config = {"User": "1000", "Healthcheck": {"Test": ["CMD", "/bin/true"]}}
    host("load", given=Made("bb:1", host("info", "--format={{.SystemTime}}"), config).archive())
    host("network", "create", "application")
    options = ["--read-only", "--memory=64m", "--memory-swap=64m", "--cpus=0.5", "--pids-limit=50", "--cap-drop=ALL"]
    options += ["--security-opt=no-new-privileges", "--restart=on-failure:5", "--network=application"]
    options += [f"--publish={ADDRESS}:8443:443", "--volume=data:/data"]
    host("run", "--detach", "--name=good", *options, "bb:1", *FOREVER)


def _join_carefully(host: DockerHost) -> None:
    addresses = [f"--advertise-addr={ADDRESS}", f"--listen-addr={ADDRESS}:2377", f"--data-path-addr={DATA_ADDRESS}"]
    host("swarm", "init", "--autolock", *addresses)
    host("network", "rm", "ingress", given=b"y\n")
    # The engine answers before the network is gone.
    until(lambda: "ingress" not in host("network", "ls", "--format={{.Name}}").split(), "ingress was not removed")
    host("network", "create", "--driver=overlay", "--ingress", "--opt=encrypted", "encrypted")


def _publish_in_swarm(host: DockerHost) -> None:
    host("load", given=Made("bb:1", OLD).archive())
    host("service", "create", "--detach", "--name=web", "--publish=443:80", "--no-resolve-image", "bb:1", *FOREVER)
    until(lambda: host("ps", "--quiet"), lambda: host("service", "ps", "--no-trunc", "web"))
