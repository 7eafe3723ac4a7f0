# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docker_benchmark_info returns of a host with real engines."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import collect, facts, processes
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.engines import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import collect_spec

from tests.support import commands, dockerd, paths, require

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("docker_hardening")]

_PROGRAM = """
import json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import collect
print(json.dumps(collect.collect(json.loads(sys.argv[1]), False)))
"""


@pytest.fixture(autouse=True, scope="module")
def _needs() -> None:
    require("root", "docker", "command:dockerd", "command:busybox")


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dockerd.Engine]:
    """Return an engine that sees other files and other processes than the scan."""
    with dockerd.running(tmp_path_factory.mktemp("apart"), is_apart=True) as engine:
        engine("import", "-", "base:1", given=dockerd.busybox())
        engine("run", "--detach", "--name", "web", "--network=none", "base:1", "/bin/sleep", "1000")
        yield engine


def _params() -> dict[str, t.Any]:
    return {name: option.get("default") for name, option in collect_spec().items()} | {"priority": "normal"}


def _collected(python: str, *before: str) -> dict[str, t.Any]:
    command = [*before, python, "-c", _PROGRAM, json.dumps(_params())]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(paths.COLLECTIONS), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert ran.returncode == 0, ran.stderr
    return t.cast("dict[str, t.Any]", json.loads(ran.stdout))


def _engine(result: t.Mapping[str, t.Any], address: str) -> dict[str, t.Any]:
    (found,) = [engine for engine in result["engines"] if engine["name"] == address]
    return t.cast("dict[str, t.Any]", found)


def test_an_engine_in_namespaces_of_its_own_is_read_through_its_root(apart: dockerd.Engine) -> None:
    host = collect.read(Deadline(60), ScopeCoverage("engines"))
    (engine,) = [each for each in host.engines if each.name == apart.address]
    assert (engine.state, engine.pid) == (facts.RUNNING, apart.pid)
    (container,) = engine.containers or ()
    assert [process.name for process in container.processes or ()] == ["sleep"]
    assert [image.setuid for image in engine.images or ()] == [()]


def test_the_oldest_python_of_hosts_returns_the_same(apart: dockerd.Engine) -> None:
    require("python:3.8")
    result = _collected(commands.python("3.8") or "")
    (entry,) = [each for each in result["containers"] if each["engine"] == apart.address]
    expected = collect.collect(_params(), False)
    assert entry == next(each for each in expected["containers"] if each["engine"] == apart.address)
    assert _engine(result, apart.address) == _engine(expected, apart.address)


def test_without_root_nothing_is_taken_for_known(apart: dockerd.Engine, tmp_path: pathlib.Path) -> None:
    tmp_path.parent.parent.chmod(0o755)
    account = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    result = _collected("/usr/bin/python3", *account)
    found = _engine(result, apart.address)
    assert (found["state"], found["containers"], found["images"]) == (facts.SILENT, None, None)
    assert "root" in found["problem"]
    (coverage,) = result["coverage"]
    subjects = [each["subject"] for each in coverage["skipped"]]
    assert apart.address in subjects
    assert subjects[0] == "engines of other accounts"


def test_a_swarm_is_read_with_its_certificate_and_its_ports_are_no_api() -> None:
    port = _free_port()
    # The paths of its sockets are longer, and bounded.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory, dockerd.running(pathlib.Path(directory)) as docker:
        docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", f"127.0.0.1:{port}")
        docker("secret", "create", "key", "-", given=b"hunter2")
        try:
            host = collect.read(Deadline(60), ScopeCoverage("engines"))
        finally:
            docker("swarm", "leave", "--force")
    (engine,) = [each for each in host.engines if each.name == docker.address]
    swarm = engine.swarm
    assert swarm is not None
    assert (swarm.is_active, swarm.is_manager, swarm.problem) == (True, True, None)
    assert (len(swarm.nodes), [secret["Spec"]["Name"] for secret in swarm.secrets]) == (1, ["key"])
    assert "JoinTokens" not in swarm.cluster
    assert 80 < ((swarm.certificate_expires or 0) - time.time()) / 86_400 < 91
    assert swarm.state.get("ListenAddr") == f"127.0.0.1:{port}"
    assert [listener.address for listener in engine.listeners] == [docker.address]


def test_an_engine_that_wants_certificates_is_not_asked(short_path: pathlib.Path) -> None:
    require("command:openssl")
    port = _free_port()
    key, certificate = str(short_path / "key.pem"), str(short_path / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + [
            "-keyout",
            key,
            "-out",
            certificate,
            "-days",
            "1",
            "-subj",
            "/CN=x",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    command = [
        str(commands.find("dockerd")),
        "--data-root",
        str(short_path / "data"),
        "--exec-root",
        str(short_path / "exec"),
    ]
    command += ["--pidfile", str(short_path / "pid"), "--bridge=none", "--iptables=false", "--ip6tables=false"]
    command += ["--tlsverify", "--tlscacert", certificate, "--tlscert", certificate, "--tlskey", key]
    tls = ["--tlsverify", "--tlscacert", certificate, "--tlscert", certificate, "--tlskey", key]
    with dockerd.started([*command, "--host", f"tcp://127.0.0.1:{port}"], short_path, port=port, client=tls):
        host = collect.read(Deadline(60), ScopeCoverage("engines"))
    (engine,) = [each for each in host.engines if each.name == f"tcp://127.0.0.1:{port}"]
    assert [(each.has_tls, each.verifies_clients) for each in engine.listeners] == [(True, True)]
    assert (engine.state, engine.problem) == (
        facts.SILENT,
        "it listens on no socket that can be asked without a certificate",
    )
    assert {name: fact.path for name, fact in engine.certificates.items()} == {
        "tlscacert": certificate,
        "tlscert": certificate,
        "tlskey": key,
    }
    assert engine.certificates["tlskey"].mode == 0o600


def test_an_engine_that_was_killed_is_not_gone_until_its_directory_is(monkeypatch: pytest.MonkeyPatch) -> None:
    every = processes.daemons

    def skipped(address: str) -> dict[str, str]:
        result = collect.collect(_params() | {"_known_engines": [address]}, False)
        return {each["subject"]: each["reason"] for each in result["coverage"][0]["skipped"]}

    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        directory = pathlib.Path(temporary, "engine")
        own = str(directory / "pid")
        monkeypatch.setattr(processes, "daemons", lambda: [each for each in every() if own in each.arguments])
        with dockerd.running(directory) as engine:
            engine("import", "-", "base:1", given=dockerd.busybox())
            engine("run", "--detach", "--network=none", "base:1", "/bin/sleep", "1000")
            assert engine.address not in skipped(engine.address)
            os.kill(engine.pid, signal.SIGKILL)
            os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOWAIT)
            try:
                killed = skipped(engine.address)
            finally:
                # Another start ends what the first has left, which has the id of a process that still has an entry.
                (directory / "pid").unlink()
                with dockerd.running(directory):
                    again = skipped(engine.address)
    assert "it does not run now" in killed[engine.address]
    assert "that no engine listed" in killed["containers of no known engine"]
    assert engine.address not in again
    assert engine.address not in skipped(engine.address)


def test_where_there_is_no_engine_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "daemons", list)
    monkeypatch.setattr(processes, "contained", lambda: processes.Contained({}, frozenset()))
    monkeypatch.setattr(Reader, "installed", lambda _self: None)
    result = collect.collect(_params(), False)
    (coverage,) = result["coverage"]
    assert (coverage["status"], coverage["examined"]) == ("checked", 0)
    assert coverage["note"].startswith("No Docker Engine runs or is installed here.")
    assert (result["controls"], result["detections"], result["containers"]) == ([], [], [])


def test_processes_that_cannot_be_listed_are_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> t.NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(processes, "daemons", refuse)
    coverage = ScopeCoverage("engines")
    collect.read(Deadline(60), coverage)
    assert coverage.entry()["reason"] == "The processes of this host cannot be listed: Permission denied."


def test_an_engine_whose_process_makes_the_scan_fail_hides_no_other(
    apart: dockerd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Reader.running

    def fail(self: Reader, daemon: processes.Daemon, deadline: Deadline) -> t.Any:
        if daemon.pid == apart.pid:
            raise ValueError("odd")
        return original(self, daemon, deadline)

    monkeypatch.setattr(Reader, "running", fail)
    coverage = ScopeCoverage("engines")
    host = collect.read(Deadline(60), coverage)
    assert apart.address not in [engine.name for engine in host.engines]
    reasons = {each["subject"]: each["reason"] for each in coverage.entry()["skipped"]}
    assert "ValueError: odd" in reasons[f"process {apart.pid} (/usr/sbin/dockerd)"]


def _stub(**changes: t.Any) -> Engine:
    return Engine("unix:///run/docker.sock", facts.RUNNING, **changes)


def test_what_is_pending_and_in_conflict_is_told_without_values() -> None:
    settings = {
        "log-opts": facts.Setting("log-opts", {}, "default", {"token": "hunter2"}, "/etc/docker/daemon.json", True),
        "icc": facts.Setting("icc", True, "default", True),
    }
    host = collect.read(Deadline(60), ScopeCoverage("engines"))._replace(
        engines=(_stub(settings=settings, conflicts=("icc", "dns")),)
    )
    conflict, pending = collect.detections(host)
    assert (conflict["alert"], pending["alert"]) == ("docker_setting_conflict", "docker_restart_pending")
    assert [evidence["data"]["setting"] for evidence in conflict["evidences"]] == ["icc", "dns"]
    assert pending["evidences"] == [{"data": {"setting": "log-opts", "written_in": "/etc/docker/daemon.json"}}]
    assert "hunter2" not in json.dumps([conflict, pending])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
