# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a real kernel says of a host: eBPF programs, flags and births of files."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pathlib
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _bpf
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import files
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.nearest import Nearest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import kernel
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

from tests.support import give_up

pytestmark = pytest.mark.requires("root", "command:chattr")

_LOAD = 5
# "return 0" as a socket filter (uapi/linux/bpf.h).
_RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")


class _Load(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("code", ctypes.c_uint64),
        ("licence", ctypes.c_uint64),
    )


@contextlib.contextmanager
def _program() -> t.Iterator[None]:
    code, licence = ctypes.create_string_buffer(_RETURN_0), ctypes.create_string_buffer(b"GPL")
    load = _Load(1, 2, ctypes.addressof(code), ctypes.addressof(licence))
    descriptor = _bpf.Kernel()._call(_LOAD, load)
    try:
        yield
    finally:
        os.close(descriptor)


def _nearest(*windows: tuple[float, float]) -> Nearest:
    process = Node("process:1@1", "x", {}, first=time.time())
    return Nearest(Wanted({process.id: process}, frozenset(), windows))


def test_a_program_that_was_loaded_near_in_time_is_there() -> None:
    now = time.time()
    before = kernel.gather(Host(), _nearest((now - 5, now + 60)), frozenset(), Budget(60, 1 << 20))
    with _program():
        facts = kernel.gather(Host(), _nearest((now - 5, now + 60)), frozenset(), Budget(60, 1 << 20))
        earlier = kernel.gather(Host(), _nearest((now - 900, now - 800)), frozenset(), Budget(60, 1 << 20))

    (node,) = [node for node in facts.nodes if node not in before.nodes]
    assert node.facts["startup"] == "eBPF program"
    assert node.facts["type"] == "socket_filter"
    assert abs((node.first or 0.0) - now) < 5
    assert (node.id, "process:1@1") in {(link.source, link.target) for link in facts.links}
    assert node.id not in {each.id for each in earlier.nodes}


def test_flags_of_a_file_and_its_birth_are_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    os.utime(path, (1, 1))
    done = subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True, text=True)
    if done.returncode:
        give_up(f"the file system of {tmp_path} has no flags: {done.stderr}")
    try:
        identity = f"file:{path}"
        wanted = Wanted({identity: Node(identity, str(path))}, frozenset([identity]), (), 1)
        (node,) = files.gather(Host(), wanted, Budget(60, 1 << 20)).nodes
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)

    assert node.facts["flags"] == ["immutable"]
    assert abs(node.facts["born"] - time.time()) < 60
    assert "Its content is dated before the file was made" in node.facts["signs"][0]


def test_without_root_it_is_said_what_could_not_be_seen(tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "x").write_bytes(b"x")
    identity = f"file:{secret}/x"
    wanted = Wanted({identity: Node(identity, "x")}, frozenset([identity]), (), 1)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        # The status says what went wrong, as no assertion of a child reaches pytest.
        os.setgid(65534)
        os.setuid(65534)
        budget = Budget(60, 1 << 20)
        facts = files.gather(Host(), wanted, budget)
        os.write(writing, repr((len(facts.nodes), budget.skipped)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    assert os.waitpid(child, 0)[1] == 0

    assert text.startswith("(0, [(")
    assert os.strerror(errno.EACCES) in text
    assert "run as root" in text
