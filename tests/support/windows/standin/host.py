# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a stand-in Windows host: an sshd without a port, whose every command goes to the stand-in for PowerShell."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import json
import pathlib
import shlex
import subprocess
import sys
import typing as t

from tests.support import commands, paths
from tests.support.windows import toolchain

NEEDS = (*toolchain.WINE, "root", "command:ssh", "command:sshd", "command:ssh-keygen")
NAME = "windows1"


@dataclasses.dataclass(frozen=True)
class WindowsHost:
    """A host. prefix: its disk and registry, a Wine prefix. variables: those of Ansible's inventory."""

    directory: pathlib.Path
    prefix: pathlib.Path
    variables: t.Mapping[str, t.Any]

    @property
    def inventory(self) -> pathlib.Path:
        """The inventory with this host alone, as ``windows1``."""
        return self.directory / "inventory.json"

    def requests(self) -> list[dict[str, t.Any]]:
        """Return what the controller has asked: command, module, bytes of the payload, seconds, exit status."""
        log = self.directory / "requests.jsonl"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


@contextlib.contextmanager
def windows_host(directory: pathlib.Path, *, private: bool = False, name: str = NAME) -> t.Iterator[WindowsHost]:
    """Make a host with its files below ``directory`` while the block runs.

    private: with a disk and a registry of its own, instead of those that tests share.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        prefix = toolchain.shared_prefix()
        if private:
            prefix = stack.enter_context(toolchain.private_prefix(directory / "prefix"))
        toolchain.keep_running(prefix)
        yield _prepare(directory, prefix, name)


def _prepare(directory: pathlib.Path, prefix: pathlib.Path, name: str) -> WindowsHost:
    toolchain.windows_runtime()
    for key in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    host_file = directory / "host.json"
    settings = {"prefix": str(prefix), "requests": str(directory / "requests.jsonl")}
    host_file.write_text(json.dumps(settings), encoding="utf-8")
    words = ["env", f"PYTHONPATH={paths.ROOT}", sys.executable, "-m", "tests.support.windows.standin", str(host_file)]
    sshd_settings = {
        "HostKey": directory / "host_key",
        "AuthorizedKeysFile": directory / "key.pub",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "LogLevel": "ERROR",
        "ForceCommand": shlex.join(words),
    }
    configuration = directory / "sshd_config"
    configuration.write_text("".join(f"{key} {value}\n" for key, value in sshd_settings.items()))
    variables = _variables(directory, configuration)
    inventory = {"windows": {"hosts": {name: variables}}}
    (directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    return WindowsHost(directory, prefix, variables)


def _variables(directory: pathlib.Path, configuration: pathlib.Path) -> dict[str, t.Any]:
    proxy = shlex.join([commands.find("sshd") or "sshd", "-i", "-f", str(configuration)])
    options = {
        "ProxyCommand": f'"{proxy}"',
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        # A connection that stays open would outlive the test.
        "ControlMaster": "no",
    }
    return {
        "ansible_connection": "ssh",
        "ansible_shell_type": "powershell",
        "ansible_pipelining": True,
        "ansible_user": getpass.getuser(),
        "ansible_ssh_private_key_file": str(directory / "key"),
        "ansible_ssh_args": " ".join(f"-o {name}={value}" for name, value in options.items()),
    }
