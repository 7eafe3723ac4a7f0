# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that reaches a host by real SSH, both in network namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

from tests.integration import _keep
from tests.support import commands, network, paths
from tests.support.controllers import Controller
from tests.support.waiting import until


class Team:
    """A controller in the place of a friend of the host, which runs sshd. version: of IP, by which they speak."""

    def __init__(
        self,
        host: network.Namespace,
        friend: network.Namespace,
        controller: Controller,
        directory: pathlib.Path,
        sockets: str,
        version: int = 4,
    ) -> None:
        self._friend = friend
        self._controller = controller
        self._directory = directory
        self._inventory = directory / "inventory.json"
        address = host.address[version]
        # A master connection is kept, as it is by default: the proof must not go through it.
        options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=2"
        self._variables: dict[str, t.Any] = {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(directory / "key"),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        self._environment = {
            "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=15s",
            "ANSIBLE_NOCOLOR": "1",
            **_keep.ENVIRONMENT,
            # Whoever runs the tests may have a store, in which none of this is.
            "XDG_STATE_HOME": str(directory / "state_home"),
        }

    def prepare(self, tasks: t.Sequence[t.Mapping[str, t.Any]], **variables: t.Any) -> list[str]:
        """Return the command that runs tasks on the host."""
        hosts = {"all": {"hosts": {"web": {**self._variables, **variables}}}}
        self._inventory.write_text(json.dumps(hosts))
        playbook = self._directory / "play.json"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
        return [self._controller.program("ansible-playbook"), "-i", str(self._inventory), str(playbook)]

    def start(self, tasks: t.Sequence[t.Mapping[str, t.Any]], **variables: t.Any) -> subprocess.Popen[str]:
        command = self.prepare(tasks, **variables)
        environment = {**os.environ, **self._environment, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS)}
        with self._friend.entered():
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def run(self, *tasks: t.Mapping[str, t.Any], **variables: t.Any) -> tuple[int, str]:
        process = self.start(tasks, **variables)
        said, _nothing = process.communicate(timeout=180)
        return process.returncode, said

    def show(self, name: str) -> dict[str, t.Any]:
        """Return a task that writes a registered result where ``result`` reads it."""
        return _keep.task(name, self._directory / "shown.json")

    @property
    def shown(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads((self._directory / "shown.json").read_text())
        return found


@contextlib.contextmanager
def sshd(
    host: network.Namespace,
    friend: network.Namespace,
    directory: pathlib.Path,
    version: int = 4,
    within: t.Sequence[str] = (),
) -> t.Iterator[str]:
    """Run sshd on a host, with the key ``key`` in the directory; gives a directory for sockets.

    within: a command that runs another one, in surroundings of its own.
    """
    with contextlib.ExitStack() as stack:
        # The path of a socket is short.
        sockets = tempfile.mkdtemp(prefix="bw-")
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        for name in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
        configuration = {
            "Port": "22",
            "ListenAddress": host.address[version],
            "HostKey": directory / "host_key",
            "AuthorizedKeysFile": directory / "key.pub",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            # As hosts have it; without it Ansible tries each transfer in two other ways.
            "Subsystem": "sftp internal-sftp",
        }
        (directory / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in configuration.items()))
        os.makedirs("/run/sshd", exist_ok=True)
        with host.entered():
            command = [*within, commands.find("sshd") or "sshd", "-D", "-e", "-f", str(directory / "sshd_config")]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(server.wait)
        stack.callback(server.terminate)
        until(lambda: friend.connects(host, 22, version))
        yield sockets
