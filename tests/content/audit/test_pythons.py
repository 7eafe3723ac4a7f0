# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and correlations say the same on the oldest Python of a host as on the newest."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.content.audit import harness
from tests.support import commands, paths
from tests.support._require import require

_ON_HOST = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

given = json.load(sys.stdin)
compiled = _payload.unpack(given["payload"])
engine, correlator = RuleSet(compiled), Correlator(compiled)
found = []
for source, time, view in given["events"]:
    for number in engine.match(source, view):
        found.append([engine.rule(number).id, engine.subject(number, view), engine.message(number, view)])
        for match in correlator.feed(number, time, view):
            found.append([engine.rule(match.rule).id, engine.subject(match.rule, match.view), match.events])
print(json.dumps({"problems": engine.problems, "found": found, "state": correlator.state(time)}))
"""


def answer(python: str, given: dict[str, t.Any]) -> dict[str, t.Any]:
    done = subprocess.run(
        [python, "-I", "-c", _ON_HOST, str(paths.COLLECTIONS)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def test_the_oldest_python_finds_what_the_newest_finds(tmp_path: pathlib.Path) -> None:
    require("python:3.8")
    addresses = tmp_path / "list.txt"
    addresses.write_text("192.0.2.0/24\nexample.org\n")
    events = [event for case in harness.load() for event in case.events]
    given = {"payload": detections.load(threat_lists=[str(addresses)]).payload, "events": events}
    oldest = answer(str(commands.python("3.8")), given)
    assert oldest == answer(sys.executable, given)
    assert oldest["problems"] == []
    assert len(oldest["found"]) > len(events) / 4
