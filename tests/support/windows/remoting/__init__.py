# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The winrm and psrp connections of real Ansible, with real pywinrm and pypsrp, up to the network.

Real: Ansible's connection plugins, how they read an inventory, and the libraries that they use. Not real: the
transport. pywinrm's messages get the replies of ``transport``; of pypsrp, whose messages are a protocol of their own,
opening a runspace pool and invoking a pipeline are replaced. No one signs in, and nothing runs: ``requests`` returns
what a host would have been sent, and every module has the result ``{"changed": false, "received": true}``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t

from tests.support import paths
from tests.support._require import give_up
from tests.support.controllers import Controller
from tests.support.windows import toolchain

# As in requirements/windows.txt, without Kerberos, whose libraries have to be compiled.
_PACKAGES = ("pypsrp>=0.8.1,<1", "pywinrm>=0.5,<1")
_PATCHES = pathlib.Path(__file__).parent / "patches"
_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Request:
    """What a host was sent. authentication: as the library calls it. utilities: the texts of the C# by name."""

    endpoint: str
    authentication: str
    module: str
    utilities: t.Mapping[str, str]
    arguments: t.Mapping[str, t.Any]


def environment(core: Controller, log: pathlib.Path) -> dict[str, str]:
    """Return variables for a playbook of this controller, by which its requests go to the file ``log``."""
    directories = [_PATCHES, _libraries(core), paths.ROOT]
    return {"PYTHONPATH": os.pathsep.join(map(str, directories)), "BULWARK_REMOTING_LOG": str(log)}


def requests(log: pathlib.Path) -> list[Request]:
    """Return the requests of a playbook, in no order."""
    return [Request(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


def _libraries(core: Controller) -> pathlib.Path:
    python = core.program("python")
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.implementation.cache_tag)"], capture_output=True, text=True, check=True
    )
    digest = hashlib.sha256(" ".join(_PACKAGES).encode()).hexdigest()[:12]

    def install(directory: pathlib.Path) -> None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--no-compile",
            "--quiet",
            "--target",
            str(directory),
        ]
        ended = subprocess.run(
            [*command, *_PACKAGES],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if ended.returncode != 0:
            give_up(f"needs pypsrp and pywinrm, which cannot be fetched: pip says {ended.stderr.strip()[-300:]}")

    return toolchain.cached(f"remoting-{version.stdout.strip()}-{digest}", install)
