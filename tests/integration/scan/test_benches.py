# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benches run, with all that they compare before and after they measure; how quick anything is, they don't say.

Each is made smaller by its own constants, in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import pytest

from tests.bench import _same
from tests.bench.__main__ import FIGURES, names
from tests.support import paths, require
from tests.support.receivers.syslog_daemons import Rsyslog
from tests.support.windows import toolchain

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("benches")]

# What each needs, and how it is made smaller.
_SMALL: t.Mapping[str, tuple[tuple[str, ...], t.Mapping[str, t.Any]]] = {
    "app_control": (
        (),
        {"JUDGED": [101], "LARGE_HOSTS": 200, "EVENTS": 2_000, "PAIRS": 1, "EXECUTIONS": 100, "ROUNDS": 1},
    ),
    "audit_events": (
        ("command:ausearch", "data:sigmahq-linux"),
        {"RECORDS": 20_000, "COMMANDS": 500, "PAIRS": 1},
    ),
    "docker_benchmark": (
        ("docker", "command:dockerd", "command:busybox"),
        {"CONTAINERS": 2, "IMAGES": 1, "MANY": 3, "ROUNDS": 1},
    ),
    "export": (
        ("postgresql", "module:psycopg", *Rsyslog.NEEDS),
        {"FINDINGS": 500, "ROUNDS": 1, "OUTBOX": {"hosts": 2, "findings": 20, "rounds": 1}},
    ),
    "file_integrity": (("command:aide",), {"TREE": "/usr/include", "PAIRS": 1}),
    "fleet": (
        ("fleet", "command:ip", "command:nsenter"),
        {
            "BEFORE": "HEAD",
            "ROUNDS": 1,
            "HOSTS": 2,
            "DELAY": 0,
            "WARM_UP": False,
            "NOTHING": False,
            "SCANS": 1,
            "VARIABLES": {
                "bulwark_capabilities": "file_integrity",
                "file_integrity_priority": "normal",
                "file_integrity_default_watches": False,
                "file_integrity_watches": [{"name": "local", "paths": ["/usr/local"]}],
            },
        },
    ),
    "investigation": (
        ("root", "command:strace", "command:unshare"),
        {"PROCESSES": 5, "FILES": 40, "RECORDS": 2_000, "ROUNDS": 1},
    ),
    "memory_scan": (("command:gcc", "command:yara"), {"PROCESSES": 10, "ROUNDS": 1}),
    "network_hardening": ((), {"SEEDS": [7], "INSIDE_SEEDS": [7], "SMALL_SEEDS": [2, 3], "UNSEEN": [9001]}),
    "outbox": (("postgresql", "module:psycopg"), {"HOSTS": 2, "FINDINGS": 20, "ROUNDS": 1}),
    "report": (("chromium", "command:chromedriver", "module:selenium"), {"HOSTS": 20, "FINDINGS": 1_000, "ROUNDS": 1}),
    "sigma_rules": (("data:sigmahq-linux",), {"ROUNDS": 1}),
    "store": (
        ("postgresql", "module:psycopg"),
        {"SIZES": [10, 30], "FINDINGS": 2, "RECORDED": 10, "ROUNDS": 1, "SPREAD": 5},
    ),
    "vulnerability": (
        ("command:debsecan", "command:oscap", "data:vulnerability"),
        {"HOSTS": 2, "ROWS": 1_000, "RECORDS": 500},
    ),
    "windows_events": (
        (*toolchain.MONO, "data:windows/sigmahq-windows"),
        {"MEGABYTES": 2, "DIFFERENT": 500, "ROUNDS": 1},
    ),
    "windows_file_integrity": (
        toolchain.WINE,
        {"FILES": 100, "REGISTRY": r"HKLM\SOFTWARE\Microsoft\Cryptography", "PAIRS": 1},
    ),
    "traffic_recorder": (("command:nft", "command:ip"), {"PAIRS": 4}),
}
_RUN = """
import importlib, json, sys
bench = importlib.import_module("tests.bench." + sys.argv[1])
for name, value in json.loads(sys.argv[2]).items():
    getattr(bench, name)
    setattr(bench, name, value)
print(json.dumps(bench.run()))
"""


def test_each_is_tried() -> None:
    assert names() == sorted(_SMALL)


@pytest.mark.parametrize("name", sorted(_SMALL))
def test_a_bench_measures(name: str) -> None:
    needs, constants = _SMALL[name]
    require(*needs)
    ran = subprocess.run(
        [sys.executable, "-c", _RUN, name, json.dumps(constants)],
        cwd=paths.ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout.splitlines()[-1])
    assert {*FIGURES} <= {*figures}
    assert all(figures[figure] > 0 for figure in FIGURES)


def test_what_trees_record_differently_is_found() -> None:
    recorded: dict[str, t.Any] = {
        "findings": {"web1": {"a /x": {"severity": "high", "signs": [1, 2]}}},
        "exit codes": [0],
    }
    other: dict[str, t.Any] = {
        "findings": {"web1": {"a /x": {"severity": "low", "signs": [1]}, "b /y": {}}},
        "exit codes": [2],
    }
    before, ours = _same.Outcome(recorded, ()), _same.Outcome(other, ())
    assert _same.differences(before, before) == []
    assert _same.differences(before, ours) == [
        "/exit codes/0: 0 is now 2",
        '/findings/web1/a /x/severity: "high" is now "low"',
        "/findings/web1/a /x/signs: [1, 2] is now [1]",
        "/findings/web1/b /y: null is now {}",
    ]
