# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers of several ansible-core versions, each in an environment of its own that is built once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import subprocess
import typing as t

from tests.support import commands, compiled_once, paths
from tests.support._require import require
from tests.support.warm import warm

# ansible-core to the Pythons it is tested with; the first one found is used.
PYTHONS: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    "2.18": ("3.11",),
    "2.19": ("3.11",),
    "2.20": ("3.12", "3.13"),
    "2.21": ("3.13", "3.12"),
    "2.22": ("3.13", "3.14"),
}

# A series of which the package index has no final release yet.
_PREVIEWS: t.Final[t.Mapping[str, str]] = {"2.22": "ansible-core>=2.22.0rc1,<2.23"}

# Its connection plugin is in ansible-core until 2.20.
_MORE: t.Final[t.Mapping[str, str]] = dict.fromkeys(("2.18", "2.19", "2.20"), "paramiko>=3.4.1,<5")

_REQUIREMENTS = paths.ROOT / "requirements.txt"
_BOOTSTRAP = paths.ROOT / "tools" / "bootstrap.py"
_BOOTSTRAP_MODULES = ("bootstrap", "pip_wheel", "pip_settings", "package_index")

# The inventory of ``make scan``: this machine without a connection.
THIS_MACHINE = paths.ROOT / "tools" / "this_machine.yml"


@dataclasses.dataclass(frozen=True)
class Controller:
    """An environment with one ansible-core. ``version`` is its series, as in 2.18."""

    version: str
    directory: pathlib.Path

    def program(self, name: str) -> str:
        """Return the path of one of its programs: ansible-playbook, ansible-galaxy, ansible-test, python."""
        return str(self.directory / "bin" / name)

    def run_playbook(
        self,
        playbook: str | pathlib.Path,
        *arguments: str,
        inventory: str | pathlib.Path = THIS_MACHINE,
        extra_vars: t.Mapping[str, t.Any] | None = None,
        environment: t.Mapping[str, str] | None = None,
        state: pathlib.Path | None = None,
        collections: pathlib.Path = paths.COLLECTIONS,
        check: bool = True,
        account: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook, by path or as ``bulwark.servers.scan``, and return its exit code and output.

        arguments: more of ansible-playbook's own. state: where the default store is kept, instead of below the
        home directory. collections: where bulwark.servers is. check: raise AssertionError with the output when
        it fails. account: to run from, with the right to read and write what is root's, as the environment is.
        """
        command = [self.program("ansible-playbook"), str(playbook), "--inventory", str(inventory)]
        if extra_vars:
            command += ["--extra-vars", json.dumps(extra_vars)]
        command += arguments
        variables = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "LC_ALL": "C.UTF-8"}
        variables.pop("ANSIBLE_CONFIG", None)
        if state is not None:
            variables["XDG_STATE_HOME"] = str(state)
        variables.update(environment or {})
        if account is None and collections == paths.COLLECTIONS:
            ended = warm().run(command, variables)
        else:
            ended = subprocess.run(
                [*(as_account(account) if account else []), *command],
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        output, errors = (text.decode(errors="backslashreplace") for text in (ended.stdout, ended.stderr))
        answer = subprocess.CompletedProcess(ended.args, ended.returncode, output, errors)
        if check and answer.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {answer.returncode}\n{answer.stdout}{answer.stderr}")
        return answer


def as_account(name: str) -> list[str]:
    """Return what makes a command one of another account, which may read and write the files of root."""
    require("root", "command:setpriv")
    rights = "+dac_override,+dac_read_search"
    command = ["setpriv", f"--reuid={name}", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
    # Without that bit access(2) asks without those rights, and so Ansible.
    return [*command, "--securebits=+no_setuid_fixup", "--"]


@functools.cache
def controller(version: str) -> Controller:
    """Return the controller with this series of ansible-core, built when it isn't there; skip without its Python."""
    pythons = PYTHONS[version]
    python = next((candidate for candidate in pythons if commands.python(candidate)), pythons[0])
    require(f"python:{python}")
    more = [_MORE[version]] if version in _MORE else []
    directory = paths.cache() / "controllers" / f"{version}-python{python}-{_recipe(more)}"
    command = [commands.python(python) or python, str(_BOOTSTRAP), str(directory), "-r", str(_REQUIREMENTS)]
    for package in (_PREVIEWS.get(version, f"ansible-core~={version}.0"), *more):
        command += ["--package", package]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    compiled_once.install(directory)
    return Controller(version, directory)


def _recipe(more: t.Sequence[str]) -> str:
    """Return a digest of what controllers are made from: another checkout's must not replace one that is in use."""
    parts = [_REQUIREMENTS, *(_BOOTSTRAP.with_name(f"{name}.py") for name in _BOOTSTRAP_MODULES)]
    contents = [*(part.read_bytes() for part in parts), *(package.encode() for package in more)]
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()[:12]
