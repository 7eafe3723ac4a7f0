# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine of this machine, with all that it has below a directory of the test."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import typing as t

from tests.support import commands
from tests.support.waiting import until


@contextlib.contextmanager
def own_engine(directory: pathlib.Path) -> t.Iterator[str]:
    """Give the address of an engine that answers; the kernel gets no bridge and no firewall rules from it."""
    # The path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="bw-", dir="/var/tmp") as short:
        address = f"unix://{short}/docker.sock"
        configuration = directory / "daemon.json"
        configuration.write_text("{}", encoding="utf-8")
        places = [f"--data-root={directory}/data", f"--exec-root={short}/exec", f"--pidfile={short}/pid"]
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        command = [
            str(commands.find("dockerd")),
            "--host",
            address,
            f"--config-file={configuration}",
            *places,
            *network,
        ]
        log = directory / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        try:
            until(
                lambda: process.poll() is not None or _answers(address), lambda: log.read_text(errors="replace")[-4000:]
            )
            assert process.poll() is None, log.read_text(errors="replace")[-4000:]
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            # The engine mounts its data root on itself.
            subprocess.run(["umount", f"{directory}/data"], check=False, capture_output=True)


def _answers(address: str) -> bool:
    command = [str(commands.docker()), "--host", address, "version"]
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    return subprocess.run(command, capture_output=True, check=False, env=environment).returncode == 0
