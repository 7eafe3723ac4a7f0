# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs of Windows with all detections and SigmaHQ's Windows rules, in C# by mono; the peer is the Python engine.

ours_s and peer_s are the processor time of both engines for the same views, the best of some rounds, and both must find
the same. records_per_second and peak_mb are those of a whole look at a log, from its bytes to findings: peak_mb is the
largest proportional set size, which does not depend on how large the log is.

RULES: Sigma rules to use beside ours, separated by colons; SigmaHQ's of the test data if they are there. LOGS: a
directory of .evtx files whose views are matched, too. MEGABYTES: how large the log of the look is.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import random
import sys
import tempfile
import time
import typing as t

from tests.bench import _measure
from tests.support import paths
from tests.support.windows import compiler, evtx_writer, utilities
from tests.support.windows.evtx_writer import hex64, text

MEGABYTES = int(os.environ.get("MEGABYTES") or 200)
LOGS = os.environ.get("LOGS")
# So many records are different, and the log repeats them.
DIFFERENT = 4_000
ROUNDS = 3
_SECONDS = 1800
_SCRIPT = pathlib.Path(__file__).parent / "windows" / "Events.cs"
_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_SYSMON = "Microsoft-Windows-Sysmon/Operational"
_POWERSHELL = "Microsoft-Windows-PowerShell/Operational"
_WORDS = (
    "-NoProfile",
    "--config ",
    "install",
    "C:\\Users\\eve\\a.txt",
    "https://host.example/x",
    "start",
    "-Name",
    "query",
)
_PROGRAMS = ("System32\\cmd.exe", "System32\\find.exe", "explorer.exe", "System32\\sc.exe", "System32\\mmc.exe")
_STATEMENTS = ("Get-ChildItem $home", "foreach ($x in $y) { $x.Name }", "Import-Module Storage", "$a = Get-Date")


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when rules are missing, or both engines find something else."""
    content = _content()
    program = compiler.compile_program([*utilities.sources("events.Collect"), _SCRIPT], compiler.Target.MONO)
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        directory = pathlib.Path(name)
        packed = directory / "content"
        packed.write_text(content.payload, encoding="ascii")
        part = evtx_writer.log(_records())
        (directory / "part.evtx").write_bytes(part)
        chunks = part[evtx_writer.HEADER_SIZE :]
        times = max(1, MEGABYTES * 1_000_000 // len(chunks))
        with (directory / "log.evtx").open("wb") as log:
            log.write(evtx_writer.log_of([], count=min(times * len(chunks) >> 16, 0xFFFF)))
            for _time in range(times):
                log.write(chunks)
        logs = [str(directory / "part.evtx"), *(map(str, sorted(pathlib.Path(LOGS).rglob("*.evtx"))) if LOGS else ())]
        views = directory / "views"
        program.run("views", str(packed), str(views), *logs, seconds=_SECONDS)
        ours = _json(program.run("match", str(packed), str(views), str(ROUNDS), seconds=_SECONDS).stdout)
        peer = _peer(content.payload, views)
        if ours["matches"] != peer["matches"]:
            raise RuntimeError("the engines found something else")
        look = [*program.command("look", str(packed), str(directory / "log.evtx"))]
        started = time.perf_counter()
        with (directory / "result").open("w") as output:
            peak = _measure.peak(look, output)
        seconds = time.perf_counter() - started
        looked = _json((directory / "result").read_text())
        if looked["figures"]["events"] != times * DIFFERENT:
            raise RuntimeError(f"not everything was looked at: {looked}")
        return {
            "ours_s": round(ours["seconds"], 3),
            "peer_s": round(peer["seconds"], 3),
            "ratio": round(ours["seconds"] / peer["seconds"], 3),
            **peak,
            "records_per_second": round(times * DIFFERENT / seconds),
            "megabytes": round((directory / "log.evtx").stat().st_size / 1e6),
            "views": len(ours["matches"]),
            "matches": sum(map(len, ours["matches"])),
            "findings": looked["findings"],
            "rules": content.rules,
        }


def _content() -> t.Any:
    data = paths.data("windows/sigmahq-windows")
    rules = os.environ["RULES"].split(":") if os.environ.get("RULES") else [str(data)] if data.is_dir() else []
    _measure.module_loader()
    sys.path.insert(0, str(paths.COLLECTIONS))
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
    from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS

    return detections.load(rules, platform=WINDOWS)


def _peer(content: str, views: pathlib.Path) -> dict[str, t.Any]:
    from ansible_collections.bulwark.servers.plugins.module_utils import _payload
    from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

    engine = RuleSet(_payload.unpack(content))
    pairs = [json.loads(line) for line in views.read_text(encoding="utf-8").splitlines()]
    best, matches = float("inf"), []
    for _round in range(ROUNDS):
        began = time.process_time()
        matches = [engine.match(source, view) for source, view in pairs]
        best = min(best, time.process_time() - began)
    return {"seconds": best, "matches": [list(each) for each in matches]}


def _json(output: str) -> dict[str, t.Any]:
    # At idle priority mono warns on standard output that it does not know that policy.
    lines = [line for line in output.splitlines() if line.startswith("{")]
    return t.cast("dict[str, t.Any]", json.loads(lines[-1]))


def _records() -> t.Iterator[evtx_writer.Record]:
    """Return records of an ordinary day: programs, scripts, connections and services."""
    chosen = random.Random(1)  # noqa: S311 - the same log in each run
    for number in range(1, DIFFERENT + 1):
        timestamp = _START + dt.timedelta(milliseconds=number)
        image = f"C:\\Windows\\{chosen.choice(_PROGRAMS)}"
        line = " ".join([image, *(f"{chosen.choice(_WORDS)}{chosen.randrange(99)}" for _ in range(5))])
        program: dict[str, evtx_writer.Value]
        kind = number % 5
        if kind == 0:
            script = "\n".join(f"{chosen.choice(_STATEMENTS)} # {chosen.randrange(999)}" for _ in range(40))
            program = {"MessageNumber": evtx_writer.uint32(1), "MessageTotal": evtx_writer.uint32(1)}
            program["ScriptBlockText"] = text(script)
            yield evtx_writer.event(number, event_id=4104, channel=_POWERSHELL, data=[*program.items()], time=timestamp)
        elif kind == 1:
            program = {
                "Image": text(image),
                "CommandLine": text(line),
                "ParentImage": text("C:\\Windows\\explorer.exe"),
            }
            program |= {"User": text("SHOP\\eve"), "Hashes": text(f"SHA256={chosen.randrange(1 << 60):064x}")}
            yield evtx_writer.event(number, event_id=1, channel=_SYSMON, data=[*program.items()], time=timestamp)
        elif kind == 2:
            program = {"Application": text(f"\\device\\harddiskvolume3{image[2:]}"), "Direction": text("%%14593")}
            program |= {"DestAddress": text(f"192.0.2.{chosen.randrange(255)}"), "DestPort": text("443")}
            yield evtx_writer.event(number, event_id=5156, data=[*program.items()], time=timestamp)
        else:
            program = {"SubjectUserName": text("eve"), "SubjectDomainName": text("SHOP"), "NewProcessName": text(image)}
            program |= {"NewProcessId": hex64(number), "ProcessId": hex64(4), "CommandLine": text(line)}
            yield evtx_writer.event(number, event_id=4688, data=[*program.items()], time=timestamp)
