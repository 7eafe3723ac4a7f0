# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ordinary hosts run: nothing of it is more than informational, and nothing of it is left out."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import typing as t

import psycopg
import pytest

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.integration.memory_scan import _memory
from tests.integration.memory_scan._techniques import containers, innocents, packages
from tests.integration.memory_scan._techniques.bench import Bench, Started, descendants, wait_for
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs
from tests.support import postgresql
from tests.support.controllers import Controller

__all__ = ["bench", "programs"]

pytestmark = [pytest.mark.requires(*NEEDS), pytest.mark.xdist_group("memory")]

_LAYER = pathlib.Path("/usr/lib/x86_64-linux-gnu/libVkLayer_MESA_device_select.so")


def _of_unpackaged_layer() -> tuple[str, ...]:
    """Return what is told where an image has kept a plug-in of Vulkan that no package owns, which browsers open."""
    if not _LAYER.exists() or not subprocess.run(["dpkg", "-S", _LAYER], capture_output=True, check=False).returncode:
        return ()
    return ("library_unpackaged",)


# What is started, what it takes, and what is told of it as mere information.
_ORDINARY: tuple[tuple[t.Callable[[Bench], Started], tuple[str, ...], tuple[str, ...]], ...] = (
    (innocents.sleep, (), ()),
    (innocents.python, (), ()),
    (innocents.shell_on_a_terminal, (), ()),
    (innocents.shell_script, (), ()),
    (innocents.pipeline, (), ()),
    (innocents.node, ("command:node",), ()),
    (innocents.node_with_webassembly, ("command:node",), ()),
    (innocents.node_with_workers, ("command:node",), ()),
    (innocents.java, ("command:java",), ()),
    (innocents.luajit, ("command:luajit",), ()),
    (innocents.pypy, ("command:pypy3",), ()),
    (innocents.mono, ("command:mono", "command:mcs"), ()),
    (innocents.php, ("command:php",), ()),
    (innocents.erlang, ("command:erl",), ()),
    (innocents.lisp, ("command:sbcl",), ("data_mapped_as_code", "writable_code_file")),
    (innocents.chromium, ("chromium",), _of_unpackaged_layer()),
    (innocents.callbacks_of_python, (), ()),
    (innocents.regular_expression, (), ()),
    (innocents.regular_expression_of_git, ("command:git",), ()),
    (innocents.debugger, ("command:gdb",), ("traced",)),
    (innocents.system_call_trace, ("command:strace",), ("traced",)),
    (innocents.busybox, ("command:busybox",), ()),
    (innocents.busybox_shell, ("command:busybox",), ()),
    (innocents.other_user, (), ()),
    (innocents.sudo_to_nobody, ("command:sudo",), ()),
    (innocents.sudo_to_root, ("command:sudo",), ()),
    (innocents.rootless_namespaces, (), ()),
    (innocents.service_manager_style, (), ()),
    (innocents.sandbox, ("command:bwrap",), ()),
    (innocents.web_server, ("command:nginx",), ()),
    (innocents.container_created, ("command:runc", "command:busybox"), ()),
)


@pytest.mark.parametrize(
    ("start", "informational"),
    [
        pytest.param(start, subtypes, id=start.__name__, marks=[pytest.mark.requires(*needs)])
        for start, needs, subtypes in _ORDINARY
    ],
)
def test_an_ordinary_program_raises_no_alarm(
    start: t.Callable[[Bench], Started], informational: tuple[str, ...], bench: Bench
) -> None:
    _raise_no_alarm(*start(bench).tree, informational=informational)


@pytest.mark.requires("postgresql")
def test_a_database_that_compiles_its_queries_raises_no_alarm() -> None:
    with postgresql.running() as server:
        url = server.empty_database()
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("jit_above_cost", "jit_optimize_above_cost", "jit_inline_above_cost"):
                connection.execute(f"SET {setting} = 0")
            backend = connection.info.backend_pid
            query = threading.Thread(target=_query, args=(connection,))
            query.start()
            try:
                # The query sleeps in the middle of what was compiled for it.
                wait_for(lambda: "llvmjit" in _mapped(backend), "the query to be compiled")
                time.sleep(1)
                postmaster = _parent(backend)
                _raise_no_alarm(postmaster, *descendants(postmaster))
            finally:
                connection.cancel_safe()
                query.join()


@pytest.mark.requires("command:busybox")
def test_the_engine_of_containers_raises_no_alarm(docker_engine: Engine) -> None:
    with containers.container(docker_engine, {"busybox": "/bin/busybox"}, "/busybox", "sleep", "1000") as (_id, pid):
        shim = _parent(pid)
        assert "containerd-shim" in _executable(shim)
        daemon = _daemon(docker_engine)
        _raise_no_alarm(pid, shim, daemon, *descendants(daemon))


def test_a_host_with_its_daemons_raises_no_alarm(fleet: Fleet) -> None:
    """Look from outside at all of a host that systemd has booted: journald, logind, sshd, and what else is there."""
    host = fleet.boot()
    pid = int(fleet.engine("inspect", "--format", "{{.State.Pid}}", host.container))
    there = (pid, *descendants(pid))
    assert len(there) > 4
    _raise_no_alarm(*there)


@pytest.mark.requires("command:dpkg-deb")
def test_a_package_upgrade_raises_no_alarm_while_it_is_under_way(bench: Bench) -> None:
    """Look at a daemon, and a library that it has loaded, before, amid and after the upgrade that replaces both."""
    packages.install(bench, packages.build(bench, "1"))
    daemon = bench.run(packages.DAEMON, "kept", packages.LIBRARY)
    _raise_no_alarm(daemon.pid)
    upgrade = subprocess.Popen(
        ["dpkg", "--install", packages.build(bench, "2")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    amid = bench.scratch / "amid"
    try:
        wait_for(amid.exists, "the upgrade to be under way")
        assert _executable(daemon.pid).endswith(" (deleted)")
        _raise_no_alarm(daemon.pid, upgrade.pid, *descendants(upgrade.pid))
    finally:
        (bench.scratch / "go on").touch()
        assert upgrade.wait(timeout=60) == 0
    _raise_no_alarm(daemon.pid)


def test_ansible_raises_no_alarm(controller: t.Callable[[str], Controller], bench: Bench) -> None:
    """Look at a controller, and at the module that it runs on this host, with and without a file for the module."""
    used = controller("2.21")
    playbook, inventory = bench.scratch / "playbook.yml", bench.scratch / "hosts"
    hosts = {"filed": False, "piped": True}
    lines = [f"{name} ansible_connection=local ansible_pipelining={piped}\n" for name, piped in hosts.items()]
    inventory.write_text("".join(lines), encoding="utf-8")
    playbook.write_text(
        f"""
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: touch {bench.scratch}/{{{{ inventory_hostname }}}}; exec sleep 1000
      vars:
        ansible_python_interpreter: /usr/bin/python3
""",
        encoding="utf-8",
    )
    run = bench.run(
        used.program("ansible-playbook"),
        str(playbook),
        f"--inventory={inventory}",
        # What it leaves behind when it is ended goes with the rest.
        environment={"HOME": str(bench.scratch), "TMPDIR": str(bench.scratch)},
        speaks=False,
        stderr=subprocess.DEVNULL,
    )
    for name in hosts:
        wait_for((bench.scratch / name).exists, "the module to run", 60)

    def commands() -> list[str]:
        return [_executable(pid) for pid in descendants(run.pid)]

    wait_for(lambda: commands().count("/usr/bin/sleep") == len(hosts), "what the module starts")
    modules = [_arguments(pid) for pid in descendants(run.pid)]
    assert any("AnsiballZ_command.py" in arguments for arguments in modules)
    _raise_no_alarm(run.pid, *descendants(run.pid))


def _raise_no_alarm(*pids: int, informational: t.Collection[str] = ()) -> None:
    result = _memory.scan(*pids)
    seen = _memory.signs(result)
    grave = [sign for sign in seen if sign["severity"] != "informational"]
    assert grave == []
    assert {sign["subtype"] for sign in seen} == set(informational), seen
    assert _memory.skipped(result) == []


def _daemon(engine: Engine) -> int:
    """Return the process that listens on the engine's socket."""
    address = engine.address or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address.removeprefix("unix://"))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], sys.byteorder)


def _query(connection: psycopg.Connection[t.Any]) -> None:
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        connection.execute(
            "SELECT sum(n * 2 + 1), max(pg_sleep(100)::text) FROM generate_series(1, 3) AS n WHERE n > 0"
        )


def _mapped(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def _parent(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])


def _arguments(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except (FileNotFoundError, ProcessLookupError):
        return ""
