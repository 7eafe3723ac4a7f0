# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build one world of ``worlds/``, run the module's code in it and print its result as JSON.

``test_truth.py`` starts this as a program in mount, network and (nearly always) process namespaces of its own, so that
/etc, /var and /run are the world's, all its engines end with it, and no other engine of the machine is in it:

    python -m tests.integration.docker_hardening.truth._world WORLD.yml DIRECTORY
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import typing as t

import yaml

from tests.support import commands, paths, waiting

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What programs need of /etc; all else of it is the world's own.
_ETC = (
    "alternatives",
    "group",
    "gshadow",
    "hostname",
    "hosts",
    "ld.so.cache",
    "localtime",
    "login.defs",
    "nsswitch.conf",
    "os-release",
    "pam.d",
    "passwd",
    "profile",
    "protocols",
    "services",
    "shadow",
    "subgid",
    "subuid",
)
_DIRECTORIES = ("etc/docker", "etc/default", "etc/systemd/system", "var/lib", "var/log", "var/tmp", "units", "srv")
_JUDGE = """
import json, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import collect, options
checked = ArgumentSpecValidator(options.collect_spec()).validate({})
assert not checked.error_messages, checked.error_messages
json.dump(collect.collect(checked.validated_parameters, True), sys.stdout)
"""
_PR_SET_CHILD_SUBREAPER = 36


class World:
    """The processes and paths of one world, from inside of it."""

    def __init__(self, description: dict[str, t.Any], directory: pathlib.Path, tools: str) -> None:
        self._description, self._directory = description, directory
        self._tools = tools
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped: set[str] = set()
        self._environment = {"PATH": f"{tools}:{_PATH}" if tools else _PATH, "HOME": "/root", "LANG": "C.UTF-8"}

    def build(self) -> None:
        """Put the world's own directories in place of the machine's, and its files into them."""
        for name in _DIRECTORIES:
            (self._directory / name).mkdir(parents=True)
        for name in _ETC:
            source = pathlib.Path("/etc", name)
            if source.is_dir():
                shutil.copytree(source, self._directory / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copy2(source, self._directory / "etc" / name)
        (self._directory / "var/run").symlink_to("/run")
        for name, target in {"etc": "/etc", "var": "/var", "units": "/usr/lib/systemd/system", "srv": "/srv"}.items():
            self.execute("mount", "--bind", str(self._directory / name), target)
        self.execute("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        self.execute("ip", "link", "set", "lo", "up")
        pathlib.Path("/run/lock").mkdir()
        for command in self._description.get("prepare", []):
            self.execute(*shlex.split(command))
        group = pathlib.Path("/etc/group")
        group.write_text(re.sub(r"(?m)^(docker:.*:).*$", r"\1", group.read_text("utf-8")), "utf-8")
        self._write(_stock(self._description))

    def act(self) -> None:
        """Do the steps of the description in their order."""
        for step in self._description["steps"]:
            ((name, value),) = step.items()
            getattr(self, f"_{name}")(value)
        for engine in self._description["engines"]:
            if engine not in self._stopped:
                ended = self._docker_client(
                    engine, "ps", "--all", "--filter", "status=exited", "--format", "{{.Names}}"
                )
                assert not ended, f"ended containers: {ended}{self._logs()}"

    def judge(self) -> dict[str, t.Any]:
        """Run the module's code as it runs on a host and return its result."""
        # What it imports is compiled once for all worlds, and not beside the sources.
        compiled = {"PYTHONPYCACHEPREFIX": str(paths.BYTECODE)}
        environment = {**self._environment, "PYTHONPATH": str(paths.COLLECTIONS), **compiled}
        command = [sys.executable, "-c", _JUDGE]
        answer = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise AssertionError(answer.stderr)
        result: dict[str, t.Any] = json.loads(answer.stdout)
        return result

    def containers(self) -> list[str]:
        """Return the ids of all containers that the world's engines have."""
        roots = [engine.get("data", "/var/lib/docker") for engine in self._description["engines"].values()]
        return [path.name for root in roots for path in pathlib.Path(root, "containers").glob("*")]

    def stop(self) -> None:
        """End what runs, the youngest first: where processes have no namespace of their own, nothing else does."""
        for name, process in reversed(self._processes.items()):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                if name in self._description["engines"]:
                    ids = self._docker_client(name, "ps", "--all", "--quiet").split()
                    if ids:
                        self._docker_client(name, "rm", "--force", *ids)
                process.terminate()
                process.wait(waiting.SECONDS)

    def execute(self, *command: str, stdin: t.Any = subprocess.DEVNULL) -> str:
        """Run a program to its end and return what it printed; AssertionError when it fails."""
        environment = {**self._environment, "DOCKER_BUILDKIT": "0"}
        answer = subprocess.run(command, stdin=stdin, capture_output=True, text=True, env=environment, check=False)
        assert answer.returncode == 0, f"{shlex.join(command)}: {answer.stdout}{answer.stderr}{self._logs()}"
        return answer.stdout

    def _logs(self) -> str:
        logs = sorted(self._directory.glob("*.log"))
        return "".join(f"\n{log.name}:\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def _docker_client(self, engine: str, *arguments: str, stdin: t.Any = subprocess.DEVNULL) -> str:
        address = f"unix://{self._description['engines'][engine].get('socket', '/run/docker.sock')}"
        client = commands.docker() or "docker"
        return self.execute(client, "--host", address, *arguments, stdin=stdin)

    # The steps, each by its name in a description.

    def _write(self, files: dict[str, t.Any]) -> None:
        for name, given in files.items():
            path = pathlib.Path(name)
            wanted = given if isinstance(given, dict) else {"text": given}
            path.parent.mkdir(parents=True, exist_ok=True)
            if "link" in wanted:
                path.symlink_to(wanted["link"])
                continue
            if wanted.get("directory"):
                path.mkdir(exist_ok=True)
            elif wanted.get("fifo"):
                os.mkfifo(path)
            else:
                path.write_text(json.dumps(wanted["json"]) if "json" in wanted else wanted["text"])
            path.chmod(int(wanted.get("mode", "755" if wanted.get("directory") else "644"), 8))
            if "owner" in wanted:
                shutil.chown(path, *wanted["owner"].split(":"))

    def _remove(self, name: str) -> None:
        pathlib.Path(name).unlink()

    def _sh(self, command: str) -> None:
        self.execute("sh", "-ec", command)

    def _start(self, name: str) -> None:
        engine = self._description["engines"].get(name, {})
        command = shlex.split(engine.get("command") or self._description.get("daemons", {}).get(name, name))
        address = engine.get("socket", "/run/docker.sock")
        inherited = [_listen(address)] if engine.get("activation") else []
        if "activation_port" in engine:
            inherited.append(socket.create_server(("127.0.0.1", engine["activation_port"])))
        if inherited:
            # LISTEN_PID is the engine's own number: the shell that knows it becomes the engine.
            moved = " ".join(f"{number}<&{one.fileno()}" for number, one in enumerate(inherited, 3))
            script = f'LISTEN_FDS={len(inherited)} LISTEN_PID=$$ exec "$@" {moved}'
            command = ["sh", "-c", script, "sh", *command]
        with open(self._directory / f"{name}.log", "wb") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd="/",
                pass_fds=[one.fileno() for one in inherited],
            )
        for listener in inherited:
            listener.close()
        self._await(name, address)

    def _await(self, name: str, address: str) -> None:
        process = self._processes[name]

        def is_ready() -> bool:
            assert process.poll() is None, f"{name} ended with {process.returncode}{self._logs()}"
            if name not in self._description["engines"]:
                sockets = ("containerd/containerd.sock", "docker.sock")
                return any(pathlib.Path(f"/proc/{process.pid}/root/run", path).exists() for path in sockets)
            client = commands.docker() or "docker"
            command = [client, "--host", f"unix://{address}", "version"]
            return subprocess.run(command, capture_output=True, env=self._environment, check=False).returncode == 0

        waiting.until(is_ready, lambda: f"{name} does not start{self._logs()}")

    def _signal(self, given: dict[str, str]) -> None:
        ((name, number),) = given.items()
        self._processes[name].send_signal(getattr(signal, f"SIG{number}"))
        if number == "STOP":
            self._stopped.add(name)

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.terminate()
        assert process.wait(waiting.SECONDS) == 0, self._logs()

    def _authorize(self, path: str) -> None:
        """Serve an authorization plugin that allows everything."""
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=_serve_authorization, args=(_listen(path),), daemon=True).start()

    def _image(self, given: dict[str, t.Any]) -> None:
        """Import a root file system as an image, or build one on another; both need no registry."""
        name, engine = given["name"], given.get("engine", "main")
        with tempfile.TemporaryDirectory(dir="/srv") as context:
            if "dockerfile" in given:
                directory = pathlib.Path(context)
                directory.joinpath("Dockerfile").write_text(given["dockerfile"])
                directory.joinpath("file").write_text("content\n")
                self._docker_client(engine, "build", "--quiet", "--tag", name, context)
                return
        changes = [word for change in given.get("changes", []) for word in ("--change", change)]
        with open(self._directory.parent / f"{given.get('root', 'busybox')}.tar", "rb") as archive:
            self._docker_client(engine, "import", *changes, "-", name, stdin=archive)

    def _docker(self, given: str | dict[str, str]) -> None:
        """Run one command of the Docker client, on the engine ``main`` or on that which is named."""
        ((engine, line),) = given.items() if isinstance(given, dict) else [("main", given)]
        self._docker_client(engine, *shlex.split(line))


def _stock(description: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the files that a distribution's packages bring, with the description's own in their place."""
    files: dict[str, t.Any] = yaml.safe_load((pathlib.Path(__file__).parent / "stock.yml").read_text("utf-8"))
    return {path: file for path, file in {**files, **description.get("files", {})}.items() if file is not None}


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o660)
    shutil.chown(path, "root", "docker")
    listener.listen()
    return listener


def _serve_authorization(listener: socket.socket) -> None:
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=_authorize_requests, args=(connection,), daemon=True).start()


def _authorize_requests(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as requests:
        for line in requests:
            headers = dict(header.lower().split(b": ") for header in iter(lambda: requests.readline().strip(), b""))
            requests.read(int(headers.get(b"content-length", 0)))
            answer = b'{"Implements": ["authz"]}' if b"/Plugin.Activate" in line else b'{"Allow": true}'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


def main(name: str, directory: str, tools: str = "") -> None:
    """Print what the module says of the world, and the ids of the containers that were in it."""
    # In no process namespace of its own this has to end what it started, also when it is to end itself.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    world = World(yaml.safe_load(pathlib.Path(name).read_text("utf-8")), pathlib.Path(directory), tools)
    containers = pathlib.Path(directory, "containers.json")
    try:
        world.build()
        world.act()
        result = world.judge()
    finally:
        containers.write_text(json.dumps(world.containers()))
        if os.getpid() != 1:
            with contextlib.suppress(AssertionError):
                world.stop()
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
