# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that a real Docker Engine publishes is locked and opened as any other."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pytest

from tests.integration.jit_access._jit import Site, site
from tests.support import commands
from tests.support.waiting import until

pytestmark = [
    pytest.mark.requires("root", "docker", "command:nft", "command:ip", "command:unshare", "command:dockerd"),
    pytest.mark.requires("command:busybox", "command:iptables-nft"),
    pytest.mark.xdist_group("jit_docker"),
]

BOTH = (4, 6)
PORT = 8000
Docker = t.Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


@pytest.fixture
def docker(site: Site) -> t.Iterator[Docker]:
    """An engine of its own in the host's network, which makes its rules there; it ends with the test."""
    # The path of a socket is short.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bw-"))
    address = f"unix://{directory}/socket"
    command = [str(commands.find("dockerd")), "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"]
    command += ["--host", address, "--pidfile", f"{directory}/pid", "--ipv6", "--fixed-cidr-v6", "fd97::/64"]
    command += ["--ip6tables", "--experimental", "--log-level", "warn"]
    client = functools.partial(_run, [str(commands.docker()), "--host", address])
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        with (directory / "log").open("wb") as log, site.host.entered():
            engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(engine.wait, 30)
        stack.callback(engine.terminate)
        until(
            lambda: client("version", check=False).returncode == 0,
            lambda: (directory / "log").read_text(errors="replace"),
        )
        yield client


def _run(
    client: list[str], *arguments: str, check: bool = True, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    answer = subprocess.run([*client, *arguments], input=given or b"", capture_output=True, check=False)
    assert answer.returncode == 0 or not check, answer.stderr
    return answer


def test_a_port_that_docker_publishes_is_locked_and_opened(site: Site, docker: Docker, tmp_path: pathlib.Path) -> None:
    (tmp_path / "root" / "bin").mkdir(parents=True)
    shutil.copy(str(commands.find("busybox")), tmp_path / "root" / "bin" / "busybox")
    archive = subprocess.run(["tar", "-C", tmp_path / "root", "-c", "."], capture_output=True, check=True).stdout
    docker("import", "-", "echo", given=archive)
    serve = ("/bin/busybox", "nc", "-ll", "-p", "2222", "-e", "/bin/busybox", "cat")
    docker("run", "--detach", "--name", "echoing", "--publish", f"{PORT}:2222", "echo", *serve)
    try:
        until(
            lambda: all(site.stranger.connects(site.host, PORT, version) for version in BOTH),
            "the container does not serve",
        )
        site.lock()
        assert not any(
            who.connects(site.host, PORT, version) for who in (site.friend, site.stranger) for version in BOTH
        )
        for version in BOTH:
            site.grant(ports=[str(PORT)], sources=[site.friend.address[version]], other_firewalls="warn")
        reached = [[who.connects(site.host, PORT, version) for version in BOTH] for who in (site.friend, site.stranger)]
        assert reached == [[True, True], [False, False]]
        # Docker makes its rules anew for each container.
        docker("restart", "--time", "0", "echoing")
        assert not any(site.stranger.connects(site.host, PORT, version) for version in BOTH)
        site.grant(state="closed", requested_for="ada")
        assert not any(
            who.connects(site.host, PORT, version) for who in (site.friend, site.stranger) for version in BOTH
        )
        assert site.info()["in_force"]
    finally:
        docker("rm", "--force", "echoing")
