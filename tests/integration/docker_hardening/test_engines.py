# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real engines: how each is found, what is in force of its configuration, and what is only written."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import collect, connections, facts
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host

from tests.support import commands, dockerd, require, waiting

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("docker_hardening")]

_SETUID = {"/usr/bin/gone": 0o4755, "/usr/bin/kept": 0o4755, "/usr/bin/group": 0o2755, "/usr/bin/plain": 0o755}


@pytest.fixture(autouse=True, scope="module")
def _needs() -> None:
    require("root", "docker", "command:dockerd", "command:busybox")


def _read(coverage: ScopeCoverage | None = None) -> Host:
    return collect.read(Deadline(60), coverage or ScopeCoverage("engines"))


def _of(host: Host, address: str) -> Engine:
    (found,) = [engine for engine in host.engines if engine.name == address]
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dockerd.Engine]:
    """Return an engine with a daemon.json of its own, and containers."""
    directory = tmp_path_factory.mktemp("one")
    written = {"live-restore": True, "log-level": "info", "insecure-registries": ["registry.test:5000"]}
    (directory / "daemon.json").write_text(json.dumps(written))
    with dockerd.running(
        directory, "--config-file", str(directory / "daemon.json"), "--userland-proxy=false"
    ) as engine:
        engine("import", "--change", "ENV PASSWORD=hunter2", "-", "base:1", given=dockerd.busybox(_SETUID))
        engine("build", "--tag", "app:1", "-", given=_LAYERED)
        yield engine


_LAYERED = b"""
FROM base:1
RUN ["/bin/busybox", "rm", "/usr/bin/gone"]
RUN ["/bin/busybox", "chmod", "4711", "/usr/bin/plain"]
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dockerd.Engine]:
    """Return a second engine, which has its settings from the command line, and no file."""
    directory = tmp_path_factory.mktemp("other")
    file = directory / "daemon.json"
    file.write_text("\n")
    with dockerd.running(directory, "--log-level", "warn", "--no-new-privileges", "--config-file", str(file)) as engine:
        yield engine


def test_two_engines_have_nothing_of_each_other(one: dockerd.Engine, other: dockerd.Engine) -> None:
    host = _read()
    first, second = _of(host, one.address), _of(host, other.address)
    assert (first.state, second.state) == (facts.RUNNING, facts.RUNNING)
    assert (first.pid, second.pid) == (one.process.pid, other.process.pid)
    assert [
        (engine.settings["live-restore"].value, engine.settings["live-restore"].source) for engine in (first, second)
    ] == [
        (True, "api"),
        (False, "api"),
    ]
    assert (first.settings["log-level"].value, first.settings["log-level"].source) == ("info", "file")
    assert (second.settings["log-level"].value, second.settings["log-level"].source) == ("warn", "flag")
    assert (first.settings["no-new-privileges"].value, second.settings["no-new-privileges"].value) == (False, True)
    assert first.settings["insecure-registries"].value == ["registry.test:5000"]
    assert second.settings["insecure-registries"].value == []
    assert [setting.name for setting in first.settings.values() if setting.is_pending] == []
    assert [listener.address for listener in first.listeners] == [one.address]
    assert first.config is not None
    assert first.config.file.path == str(one.directory / "daemon.json")
    assert second.config is not None
    assert second.config.values == {}
    assert {image.names for image in first.images or ()} == {("base:1",), ("app:1",)}
    assert second.images == ()
    assert "root" in [account.name for account in host.accounts[one.address]]
    assert first.data_root is not None
    assert first.data_root.device == first.data_root.parent_device


def test_setuid_files_are_those_that_a_container_of_the_image_has(one: dockerd.Engine) -> None:
    images = {image.names[0]: image for image in _of(_read(), one.address).images or ()}
    assert images["base:1"].setuid == (("/usr/bin/gone", 0o4755), ("/usr/bin/group", 0o2755), ("/usr/bin/kept", 0o4755))
    assert images["app:1"].setuid == (("/usr/bin/group", 0o2755), ("/usr/bin/kept", 0o4755), ("/usr/bin/plain", 0o4711))


def test_processes_belong_to_containers_by_their_control_group(one: dockerd.Engine) -> None:
    hostile = "x\x1b[31m\u202e{{7*7}}<script>"
    one(
        *("run", "--detach", "--name", "web", "--network", "host", "--label", "com.docker.compose.project=shop"),
        *("--env", f"{hostile}=1", "--label", f"{hostile}={hostile}", "--volume", "/etc:/mnt:ro", "--user", "7"),
        *("base:1", "/bin/sleep", "1000"),
    )
    result = collect.collect(_options(), False)
    (entry,) = [entry for entry in result["containers"] if entry["engine"] == one.address]
    assert entry["environment"] == [
        "PASSWORD",
        "x\\x1b[31m\\u202e{{7*7}}<script>",
    ]
    assert (entry["user"], entry["managed_by"], entry["privileges"][0]) == ("7", "compose shop", "network host")
    assert entry["mounts"] == [{"type": "bind", "source": "/etc", "destination": "/mnt", "writable": False}]
    assert "hunter2" not in json.dumps(result)
    container = (_of(_read(), one.address).containers or ())[0]
    assert [(process.name, process.uid) for process in container.processes or ()] == [("sleep", 7)]
    assert [mount.sources for mount in container.mounted or () if mount.destination == "/mnt"] == [("/etc",)]
    assert "net" in (container.processes or ())[0].host_namespaces  # type: ignore[operator]


def _options() -> dict[str, t.Any]:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import collect_spec

    return {name: spec.get("default") for name, spec in collect_spec().items()} | {"priority": "normal"}


def test_what_is_written_later_is_pending_until_it_is_in_force(one: dockerd.Engine) -> None:
    path = one.directory / "daemon.json"
    before = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(before), "userland-proxy": False, "log-level": "warn", "debug": True}))
        engine = _of(_read(), one.address)
        # The same setting on the command line keeps it from the next start.
        assert engine.conflicts == ("userland-proxy",)
        assert {setting.name for setting in engine.settings.values() if setting.is_pending} == {"log-level", "debug"}
        assert (engine.settings["log-level"].value, engine.settings["debug"].value) == (None, False)
        assert "changed after the engine started" in str(engine.settings["log-level"].problem)
        # The engine tells what it has reloaded; of the rest it says nothing.
        path.write_text(json.dumps({**json.loads(before), "debug": True}))
        one.process.send_signal(signal.SIGHUP)
        waiting.until(lambda: _of(_read(), one.address).settings["debug"].value is True)
        assert not _of(_read(), one.address).settings["debug"].is_pending
        detected = [one_["alert"] for one_ in collect.detections(_read()) if one_["subject"] == one.address]
        assert "docker_setting_conflict" not in detected
    finally:
        path.write_text(before)
        one.process.send_signal(signal.SIGHUP)


def test_an_engine_that_stands_still_is_not_waited_for(other: dockerd.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_SECONDS", 0.5)
    other.process.send_signal(signal.SIGSTOP)
    try:
        coverage = ScopeCoverage("engines")
        engine = _of(_read(coverage), other.address)
    finally:
        other.process.send_signal(signal.SIGCONT)
    assert (engine.state, engine.problem) == (facts.SILENT, "it did not answer in time")
    assert (engine.containers, engine.images) == (None, None)
    assert engine.settings["log-level"].value == "warn"
    skipped = [each["subject"] for each in coverage.entry()["skipped"]]
    assert skipped.count(other.address) == 1


_LISTENING = """
import os, socket, sys, time
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(5)
print("ready", flush=True)
time.sleep(1000)
"""


def test_a_process_that_calls_itself_dockerd_hides_and_stops_nothing(
    other: dockerd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_SECONDS", 2.0)
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        _test_impostors(other, pathlib.Path(directory))


def _test_impostors(other: dockerd.Engine, tmp_path: pathlib.Path) -> None:
    python, sleeper = tmp_path / "python" / "dockerd", tmp_path / "sleep" / "dockerd"
    for program, path in ((os.path.realpath(sys.executable), python), (shutil.which("sleep") or "", sleeper)):
        path.parent.mkdir()
        shutil.copy(program, path)
    environment = {"PYTHONHOME": sys.base_prefix}
    hanging, odd = str(tmp_path / "s"), str(tmp_path / "odd\n.sock")
    # A line in the kernel's list that says of the engine's socket that it is the one that hangs.
    forged = f"\n0: 0 0 00010000 0001 01 {_inode(other)} {hanging}"
    with contextlib.ExitStack() as stack:
        for command in (
            [str(python), "-c", _LISTENING, hanging],
            [str(python), "-c", _LISTENING, odd],
            [str(sleeper), "1000"],
        ):
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path)
            )
            stack.callback(process.kill)
            if command[0] == str(python):
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        stack.enter_context(_in(tmp_path))
        pathlib.Path(forged).parent.mkdir(parents=True)
        listening.bind(forged)
        listening.listen(1)
        coverage = ScopeCoverage("engines")
        host = _read(coverage)
    engine = _of(host, other.address)
    assert (engine.state, engine.pid) == (facts.RUNNING, other.process.pid)
    assert [listener.address for listener in engine.listeners] == [other.address]
    assert _of(host, f"unix://{hanging}").state == facts.SILENT


def _inode(engine: dockerd.Engine) -> str:
    lines = pathlib.Path("/proc/self/net/unix").read_text(errors="replace").splitlines()
    return next(line.split()[6] for line in lines if line.endswith(str(engine.socket)))


@contextlib.contextmanager
def _in(directory: pathlib.Path) -> t.Iterator[None]:
    before = pathlib.Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


# As systemd passes a socket.
_PASSING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_of_systemd_and_tcp_are_where_an_engine_listens(short_path: pathlib.Path) -> None:
    port = _free_port()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(short_path / "passed.sock"))
    listening.listen(5)
    (short_path / "daemon.json").write_text("{}")
    command = [sys.executable, "-c", _PASSING, str(listening.fileno()), str(commands.find("dockerd")), "--tls=false"]
    command += ["--data-root", str(short_path / "data"), "--exec-root", str(short_path / "exec"), "--bridge=none"]
    command += ["--iptables=false", "--ip6tables=false", "--pidfile", str(short_path / "pid")]
    command += ["-H", "fd://", "-H", f"tcp://127.0.0.1:{port}", "--config-file", str(short_path / "daemon.json")]
    with listening, dockerd.started(command, short_path, "passed.sock", pass_fds=[listening.fileno()]):
        engine = _of(_read(), f"unix://{short_path}/passed.sock")
    found = [(listener.address, listener.source, listener.has_tls) for listener in engine.listeners]
    assert found == [
        (f"tcp://127.0.0.1:{port}", "flag", False),
        (f"unix://{short_path}/passed.sock", "systemd", False),
    ]
    assert engine.state == facts.RUNNING


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
