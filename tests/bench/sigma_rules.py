# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New command lines against all detections and SigmaHQ's rules, with the prefilter and, as the peer, without it."""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import typing as t

from tests.support import paths

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

_COMMANDS = 3000
ROUNDS = 5
_WORDS = (
    ("python3", "-m", "pip", "install", "requests", "-o", "/tmp/out.txt", "main.c", "12345", "build/main.o", "alpha")
    + ("/usr/lib/x86_64-linux-gnu/foo.so.1", "--option=value", "https://pypi.example.org/simple", "/var/log/syslog")
    + ("beta", "-c")
)
_PROGRAMS = ("/usr/bin/python3.11", "/usr/bin/gcc", "/usr/bin/sed", "/bin/sh", "/usr/bin/bash", "/usr/bin/apt-get") + (
    "/usr/bin/dpkg",
    "/usr/sbin/sshd",
    "/usr/bin/cat",
    "/usr/bin/git",
    "/usr/bin/curl",
)


def run() -> dict[str, t.Any]:
    """Return the figures; the best of some rounds, in processor time, because these machines are shared."""
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    from ansible_collections.bulwark.servers.plugins.module_utils import _payload
    from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

    from tests.support.sigma import unfiltered

    rules = paths.data("sigmahq-linux")
    content = detections.load([str(rules)] if rules.exists() else [], sources=detections.EVENT_SOURCES)
    compiled = _payload.unpack(content.payload)
    began = time.process_time()
    engine = RuleSet(compiled)
    built = time.process_time() - began
    plain = unfiltered(compiled)
    chosen = random.Random(1)  # noqa: S311 - the same command lines in each run
    ours, peer = [], []
    for _round in range(ROUNDS):
        views = [_view(chosen) for _number in range(_COMMANDS)]
        found, seconds = _timed(engine, views)
        ours.append(seconds)
        expected, seconds = _timed(plain, views)
        peer.append(seconds)
        if found != expected:
            raise AssertionError("the prefilter lost a match")
    return {
        "ours_s": round(min(ours), 4),
        "peer_s": round(min(peer), 4),
        "ratio": round(min(ours) / min(peer), 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "us_per_command": round(min(ours) / _COMMANDS * 1e6, 1),
        "build_ms": round(built * 1000, 1),
        "commands": _COMMANDS,
        "rules": len(engine),
        "payload_kb": round(len(json.dumps(content.payload)) / 1024, 1),
    }


def _view(chosen: random.Random) -> dict[str, t.Any]:
    arguments = [f"{chosen.choice(_WORDS)}{chosen.randrange(99)}" for _word in range(chosen.randrange(2, 14))]
    return {
        "Image": chosen.choice(_PROGRAMS),
        "CommandLine": " ".join(arguments),
        "Argv": arguments,
        "User": "root",
        "CurrentDirectory": "/root",
        "ParentImage": "/usr/bin/bash",
        "ParentCommandLine": "bash -c make all",
    }


def _timed(engine: RuleSet, views: t.Sequence[dict[str, t.Any]]) -> tuple[list[tuple[int, ...]], float]:
    began = time.process_time()
    found = [engine.match("process_creation", view) for view in views]
    return found, time.process_time() - began
