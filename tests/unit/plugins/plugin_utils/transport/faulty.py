# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks that go wrong. It is sent to hosts as a part of the collection."""

# ruff: noqa: ARG001
from __future__ import annotations

import faulthandler
import os
import pathlib
import signal
import sys
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._run import OWN_PROCESSES

Params = t.Mapping[str, t.Any]


def fine(params: Params, check_mode: bool) -> dict[str, t.Any]:
    given = {name: value for name, value in params.items() if name != OWN_PROCESSES}
    return {"params": given, "check_mode": check_mode, "diff": {"before": "", "after": ""}, "pid": os.getpid()}


def facts() -> dict[str, t.Any]:
    return {"system": os.uname().sysname}


def misused(params: Params, check_mode: bool) -> dict[str, t.Any]:
    raise UsageError("the option is wrong")


def hostless(params: Params, check_mode: bool) -> dict[str, t.Any]:
    raise HostError("there is nothing to look at")


def warned(params: Params, check_mode: bool) -> dict[str, t.Any]:
    return {"warnings": ["look here"]}


def raises(params: Params, check_mode: bool) -> dict[str, t.Any]:
    raise KeyError("what is missing")


def exits(params: Params, check_mode: bool) -> dict[str, t.Any]:
    sys.exit(3)


def leaves(params: Params, check_mode: bool) -> dict[str, t.Any]:
    os._exit(4)


def hangs_and_says_where_in_pieces(params: Params, check_mode: bool) -> dict[str, t.Any]:
    def say(_number: int, _frame: t.Any) -> None:
        os.write(2, b"Stack (most recent call first):\n")
        time.sleep(0.25)
        os.write(2, b'  File "plugins/module_utils/faulty.py", line 1 in say\n')

    faulthandler.unregister(signal.SIGQUIT)
    signal.signal(signal.SIGQUIT, say)
    return hangs(params, check_mode)


def hangs(params: Params, check_mode: bool) -> dict[str, t.Any]:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        time.sleep(1000)


def eats(params: Params, check_mode: bool) -> dict[str, t.Any]:
    eaten = []
    while True:
        eaten.append(b"x" * (1 << 20))


def prints(params: Params, check_mode: bool) -> dict[str, t.Any]:
    os.write(1, b'{"changed": true}\n' * 100_000)
    sys.stderr.write("\x1b]0;garbage\x07\n")
    sys.stderr.flush()
    sys.stdout.write('{"changed": true}\n')
    sys.stdout.flush()
    return {"printed": True}


def crashes(params: Params, check_mode: bool) -> dict[str, t.Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def is_killed(params: Params, check_mode: bool) -> dict[str, t.Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def detaches(params: Params, check_mode: bool) -> dict[str, t.Any]:
    """Leave a process that no group, session or parent leads to, and that holds everything open."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writes, b"%d" % os.getpid())
            time.sleep(1000)
        os._exit(0)
    os.wait()
    return {"left": int(os.read(reads, 20))}


def answers_at_length(params: Params, check_mode: bool) -> dict[str, t.Any]:
    return {"long": "x" * (65 << 20)}


def answers_bytes(params: Params, check_mode: bool) -> dict[str, t.Any]:
    return {"raw": b"\xff"}


def answers_oddly(params: Params, check_mode: bool) -> dict[str, t.Any]:
    return {"odd": '\udcff\u2028\u202e\x00"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>'}


def counts(params: Params, check_mode: bool) -> dict[str, t.Any]:
    """Note that it began; wait for a file, where it is told which."""
    with open(params["note"], "a", encoding="utf-8") as stream:
        stream.write("began\n")
    while params.get("wait") and not pathlib.Path(params["wait"]).exists():
        time.sleep(0.01)
    return {"counted": True}


def starts_and_hangs(params: Params, check_mode: bool) -> dict[str, t.Any]:
    child = os.fork()
    if child == 0:
        os.setsid()
        time.sleep(1000)
    pathlib.Path(params["note"]).write_text(str(child), encoding="ascii")
    return hangs(params, check_mode)


def ends_the_scan(params: Params, check_mode: bool) -> dict[str, t.Any]:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)
    return {}
