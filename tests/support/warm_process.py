# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process behind ``warm``: it imports Ansible and the collection, and forks for each run of ansible-playbook.

The Python of a controller executes this file, with the path of its ansible-playbook and a socket as standard input.
Each message on the socket has four file descriptors (standard input, output and error of the run, and a socket for its
exit code) and the length of the JSON document that follows: ``argv``, ``environment`` and ``directory`` of the run.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing.util
import os
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import typing as t

_PLUGINS = "ansible_collections.bulwark.servers.plugins"


def main() -> None:
    sys.path[0] = os.path.dirname(sys.argv[1])
    with socket.socket(fileno=os.dup(0)) as requests:
        _load()
        assert threading.active_count() == 1, "a fork would lose the other threads"
        gc.freeze()
        # Nobody waits for the processes below.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while (received := _receive(requests)) is not None:
            request, descriptors = received
            if os.fork() == 0:
                requests.close()
                _supervise(request, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)


def _load() -> None:
    """Import what any run imports."""
    importlib.import_module("ansible.cli.playbook")
    importlib.import_module("ansible.executor.playbook_executor")
    loader: t.Any = importlib.import_module("ansible.plugins.loader")
    loader.init_plugin_loader()
    package = importlib.import_module(f"{_PLUGINS}.action")
    # The first one loads what scans fork with.
    importlib.import_module(f"{_PLUGINS}.action.host_scan")
    for file in sorted(pathlib.Path(next(iter(package.__path__))).glob("*.py")):
        importlib.import_module(f"{_PLUGINS}.action.{file.stem}")
    # Each run would do it again, and be warned.
    loader._configure_collection_loader = lambda *_arguments, **_options: None


def _receive(requests: socket.socket) -> tuple[dict[str, t.Any], list[int]] | None:
    head, descriptors, _flags, _address = socket.recv_fds(requests, 8, 4)
    if not head:
        return None
    length = int.from_bytes(head, "big")
    body = bytearray()
    while len(body) < length:
        part = requests.recv(length - len(body))
        if not part:
            return None
        body += part
    return json.loads(body), descriptors


def _supervise(request: dict[str, t.Any], descriptors: list[int]) -> t.NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, reply = descriptors
    child = os.fork()
    if child == 0:
        os.close(reply)
        _run(request, streams)
    for stream in streams:
        os.close(stream)
    _pid, status = os.waitpid(child, 0)
    os.write(reply, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(request: dict[str, t.Any], streams: list[int]) -> t.NoReturn:
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = request["argv"]
    code = 1
    with _own_state():
        try:
            importlib.import_module("ansible.cli.playbook").main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            multiprocessing.util._exit_function()  # type: ignore[attr-defined]  # what a process does at its end
            sys.stdout.flush()
            sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def _own_state() -> t.Iterator[None]:
    """Make anew what Ansible makes as it is imported: its temporary directory, and the start of random names."""
    atexit._clear()
    constants: t.Any = importlib.import_module("ansible.constants")
    parent = os.path.dirname(constants.DEFAULT_LOCAL_TMP)
    constants.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(prefix=f"ansible-local-{os.getpid()}", dir=parent)
    variables: t.Any = importlib.import_module("ansible.utils.vars")
    variables.random_int = f"{random.getrandbits(32):08x}"
    try:
        yield
    finally:
        shutil.rmtree(constants.DEFAULT_LOCAL_TMP, ignore_errors=True)


if __name__ == "__main__":
    main()
