# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver in a process of its own, which a test can kill and start again on the same port.

The application keeps what it has in a Journal, so that what it confirmed outlives it, as with a real receiver.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import typing as t

from tests.support import paths, waiting
from tests.support.receivers.certificates import Issued
from tests.support.receivers.exchange import Application
from tests.support.receivers.server import ReceiverServer


class Journal:
    """Lines of JSON that are on the disk before ``append`` returns; a half-written last line is no line."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        written = path.read_bytes() if path.exists() else b""
        whole = written[: written.rfind(b"\n") + 1]
        if len(whole) < len(written):
            path.write_bytes(whole)

    def append(self, *values: t.Any) -> None:
        """Write values, a line each."""
        data = "".join(json.dumps(value) + "\n" for value in values).encode()
        with self._path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[t.Any]:
        """Return what was written."""
        written = self._path.read_bytes() if self._path.exists() else b""
        return [json.loads(line) for line in written[: written.rfind(b"\n") + 1].splitlines()]


class ReceiverProcess:
    """A receiver's process; a context manager.

    factory: ``module:function``, which takes a Journal and the options as keywords and returns an Application.
    """

    def __init__(self, directory: pathlib.Path, factory: str, issued: Issued | None = None, **options: t.Any) -> None:
        self.journal = Journal(directory / "journal")
        self._port_file = directory / "port"
        self._arguments = json.dumps(
            {
                "factory": factory,
                "journal": str(directory / "journal"),
                "port_file": str(self._port_file),
                "issued": [str(issued.certificate), str(issued.key)] if issued else None,
                "options": options,
            }
        )
        self._scheme = "https" if issued else "http"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its address, the same after a restart."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.support.receivers.process", self._arguments, str(self.port)]
        self._process = subprocess.Popen(command, cwd=paths.ROOT)
        waiting.until(self._started, "the receiver did not start")
        self.port = int(self._port_file.read_text())

    def kill(self) -> None:
        """Kill it, without any chance to finish what it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the receiver ended at once"
        return self._port_file.exists()


def _serve(arguments: t.Mapping[str, t.Any], port: int) -> None:
    module, _, name = arguments["factory"].partition(":")
    factory: t.Callable[..., Application] = getattr(importlib.import_module(module), name)
    application = factory(Journal(pathlib.Path(arguments["journal"])), **arguments["options"])
    issued = Issued(*map(pathlib.Path, arguments["issued"])) if arguments["issued"] else None
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with ReceiverServer(application, issued, port=port) as server:
        # Renamed, so that whoever sees the file sees all of it.
        port_file = pathlib.Path(arguments["port_file"])
        aside = port_file.with_suffix(".new")
        aside.write_text(str(server.port))
        aside.replace(port_file)
        with contextlib.suppress(KeyboardInterrupt):
            ended.wait()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]), int(sys.argv[2]))
