# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the looks that a controller asked for, one after the other, and say how each ended as soon as it has."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import time
import traceback
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import outcome
from ansible_collections.bulwark.servers.plugins.module_utils._run import OWN_PROCESSES, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils.scan import failure
from ansible_collections.bulwark.servers.plugins.module_utils.scan.child import Ended, Limits, Nursery

_PREFIX = "ansible_collections.bulwark.servers.plugins.module_utils."
# Of one look; the controller takes a few of these from a host.
_LARGEST_ANSWER = 16 << 20

Say = t.Callable[[t.Dict[str, t.Any]], None]


class Look(t.NamedTuple):
    """A function of the collection with its options.

    params: None for a function without arguments. content: the options that are large texts, by digest. paths: where
    paths are among the options, which may name a home directory or an environment variable of this account.
    """

    id: str
    entry: str
    params: t.Mapping[str, t.Any] | None
    check_mode: bool
    diff: bool
    content: t.Mapping[str, str]
    paths: t.Sequence[t.Sequence[str]]
    seconds: float


class Run(t.NamedTuple):
    """What all looks share.

    texts: the contents by digest. end: of all looks, by the monotonic clock. memory: bytes that each may use beyond
    what this process has. parent: the id of the module's process.
    """

    texts: t.Mapping[str, str]
    end: float | None
    memory: int
    parent: int

    def own_processes(self) -> list[int]:
        """Return the ids of the processes that run the looks; the connection of the module may have ended."""
        return [os.getpid(), *([self.parent] if os.getppid() == self.parent else [])]


def serve(looks: t.Sequence[Look], run: Run, say: Say) -> None:
    """Run the looks; say of each ``look`` and ``result``."""
    nursery = Nursery()
    for look in looks:
        # What several looks need is imported once. What is wrong with it, the look's own process will say.
        with contextlib.suppress(Exception):
            _function(look.entry)
    gc.freeze()
    for look in looks:
        rest = None if run.end is None else run.end - time.monotonic()
        if rest is not None and rest <= 0:
            say({"look": look.id, "result": failure.failed("the scan's time limit was used up before it began")})
            continue
        limits = Limits(_shorter(look.seconds or None, rest), run.memory, _LARGEST_ANSWER)
        say({"look": look.id, **_looked(nursery, functools.partial(_look, look, run, run.own_processes()), limits)})


def _looked(nursery: Nursery, function: t.Callable[[], bytes], limits: Limits) -> dict[str, t.Any]:
    """Return the ``result`` of a function's process, and a ``note`` if it left others behind."""
    try:
        ended = nursery.run(function, limits)
    except OSError as error:
        return {"result": failure.failed("no process can be started for it: %s" % error.strerror)}
    left = _left(ended)
    return {"result": _result(ended), **({"note": left} if left else {})}


def _result(ended: Ended) -> dict[str, t.Any]:
    if ended.answer is not None and not ended.reason:
        return t.cast("dict[str, t.Any]", json.loads(ended.answer))
    if ended.reason:
        return failure.stopped(ended.reason, ended.output)
    return failure.ended(ended.status or 0, ended.output)


def _left(ended: Ended) -> str:
    if ended.stayed:
        return "processes that it started could not be ended: %d" % ended.stayed
    if not ended.left or ended.reason:
        return ""
    return (
        "1 process that it left behind was ended"
        if ended.left == 1
        else "%d processes that it left behind were ended" % ended.left
    )


def _look(look: Look, run: Run, own_processes: t.Sequence[int]) -> bytes:
    """Return a look's result as JSON, whatever it raises. Runs in a process of its own."""
    if look.params is None:
        return _told(_function(look.entry), run.memory)
    if look.params.get("priority", "idle") == "idle":
        yield_to_others()
    params = {**look.params, **{name: run.texts[digest] for name, digest in look.content.items()}}
    for place in look.paths:
        params = _expanded(params, place)
    params[OWN_PROCESSES] = own_processes
    return _told(lambda: outcome(_function(look.entry), params, look.check_mode, look.diff), run.memory)


def _told(function: t.Callable[[], dict[str, t.Any]], memory: int) -> bytes:
    try:
        return json.dumps(function()).encode("ascii")
    except BaseException as error:  # noqa: BLE001 - also SystemExit: nothing of a look may end another's
        # What filled the memory, the frames hold.
        traceback.clear_frames(error.__traceback__)
        return json.dumps(failure.raised(error, memory)).encode("ascii")


def _function(entry: str) -> t.Callable[..., dict[str, t.Any]]:
    """Return the function of an entry such as ``audit.events.collect:collect``."""
    module, _colon, name = entry.partition(":")
    return t.cast("t.Callable[..., dict[str, t.Any]]", getattr(importlib.import_module(_PREFIX + module), name))


def _expanded(value: t.Any, place: t.Sequence[str]) -> t.Any:
    """Return options with the paths at a place expanded as ansible-core does it for an option of type path."""
    if isinstance(value, list):
        return [_expanded(item, place) for item in value]
    if isinstance(value, dict) and place:
        name, rest = place[0], place[1:]
        return {**value, name: _expanded(value[name], rest)} if name in value else value
    return os.path.expanduser(os.path.expandvars(value)) if isinstance(value, str) else value


def _shorter(first: float | None, second: float | None) -> float | None:
    given = [seconds for seconds in (first, second) if seconds is not None]
    return min(given) if given else None
