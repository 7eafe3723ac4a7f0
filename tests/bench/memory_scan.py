# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan of 300 processes with 4 GB in memory against ``yara`` on the same processes, with the same signatures.

Ours runs as it does on a target (the file that ansible-core sends, in a fresh process of the system's Python), with all
of its checks. yara gets the signatures of files and memory in its own language, compiled before, and one process after
the other. Both run at normal priority, in turns. ours_s and ratio are of the scan as it is by default, which searches
memory where something was seen; full_s and full_ratio of the option full, which searches all of it, as yara does. With
it, both have to find what some of the processes have in memory. floor_s is what yara needs with one signature that
never matches: attaching to the processes, and reading them. peak_mb is the largest proportional set size (PSS,
proc_pid_smaps(5)) of our process, in a run of its own; cpu_s is of the median run.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

from tests.bench import _measure as measure
from tests.support import commands, paths

PROCESSES = 300
ROUNDS = 3
_MODULE = "bulwark.servers.memory_scan_info"

# Fills memory as programs do, with texts, numbers and compressed data, puts a file into it, and waits.
_PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const char words[] = "error user session /var/lib/service/cache GET HTTP/1.1 200 OK name=value; "
        "connection closed by peer 10.0.0.1 content-type: application/json {\"id\": 7, \"state\": \"active\"} ";
    size_t size = strtoul(argv[1], NULL, 10) << 20, at, word = 0;
    uint64_t state = strtoul(argv[2], NULL, 10) + 88172645463325252u;
    char *memory = malloc(size + 65536);

    if (argc < 4 || memory == NULL)
        return 1;
    for (at = 0; at < size; at += 4096) {
        size_t within;
        for (within = 0; within < 4096; within += 8) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            switch (at >> 12 & 3) {
            case 0:
                word = (word + 8 + (state & 1)) % (sizeof(words) - 9);
                memcpy(memory + at + within, words + word, 8);
                break;
            case 1: memcpy(memory + at + within, &state, 8); break;
            case 2: *(uint64_t *)(memory + at + within) = state & 0xffff; break;
            default: *(uint64_t *)(memory + at + within) = (uintptr_t)memory + (state & 0xfffff0); break;
            }
        }
    }
    FILE *file = fopen(argv[3], "rb");
    if (file != NULL)
        fread(memory + size / 2, 1, 60000, file);
    puts("ready");
    fflush(stdout);
    getchar();
    return memory[0] == 1;
}
"""
_PYTHON = """
import sys
held = [("user-%d session %x" % (number, number * 7919)) for number in range(int(sys.argv[1]) * 9000)]
print("ready", flush=True)
sys.stdin.read()
"""


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when what is needed is missing, or either side finds something else."""
    yara, yarac = commands.find("yara"), commands.find("yarac")
    if yara is None or yarac is None or commands.find("gcc") is None or os.geteuid() != 0:
        raise RuntimeError("this bench needs root, gcc and yara: apt-get install gcc yara")
    measure.module_loader()
    sys.path.insert(0, str(paths.COLLECTIONS))
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulwark-bench-")))
        place = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulwark-", dir="/usr/local/lib")))
        place.chmod(0o755)
        planted = _started(stack, place)
        pids = sorted(planted)
        sides = {
            "peer": _peer(directory, yara, yarac, pids),
            "ours": _ours(directory, pids, full=False),
            "full": _ours(directory, pids, full=True),
            "floor": _floor(directory, yara, yarac, pids),
        }
        _same_found(sides, planted)
        floor = sides.pop("floor")
        seconds, cpu = _timed(sides, ROUNDS)
        seconds.update(_timed({"floor": floor}, 1)[0])
        return {
            "ours_s": _median(seconds["ours"]),
            "peer_s": _median(seconds["peer"]),
            "ratio": _ratio(seconds["ours"], seconds["peer"]),
            "cpu_s": _median(cpu["ours"]),
            "full_s": _median(seconds["full"]),
            "full_ratio": _ratio(seconds["full"], seconds["peer"]),
            "full_cpu_s": _median(cpu["full"]),
            "peer_cpu_s": _median(cpu["peer"]),
            "floor_s": _median(seconds["floor"]),
            **measure.peak(sides["ours"]),
            "full_peak_mb": measure.peak(sides["full"])["peak_mb"],
            "processes": len(pids),
            "resident_mb": sum(_private(pid) for pid in pids) // 1000,
            "python": measure.output([measure.python(), "-V"]).strip(),
            "peer": "yara " + measure.output([yara, "--version"]).strip(),
        }


def _started(stack: contextlib.ExitStack, place: pathlib.Path) -> dict[int, str | None]:
    """Start the processes; return for each what its memory has of a tool."""
    (place / "service.c").write_text(_PROGRAM)
    subprocess.run(["gcc", "-O1", "-w", "-o", str(place / "service"), str(place / "service.c")], check=True)
    (place / "service.py").write_text(_PYTHON)
    samples = _samples(place)
    waiting: list[tuple[subprocess.Popen[bytes], str | None]] = []
    for number in range(PROCESSES):
        name = samples[number // 10 % len(samples)] if number % 30 == 7 else None
        if number % 2 and name is None:
            command = [measure.python(), str(place / "service.py"), str(number % 5)]
        else:
            size = 180 if number % 30 == 4 else 14
            command = [str(place / "service"), str(size), str(number), str(place / (name or "nothing"))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        stack.callback(_end, process)
        waiting.append((process, name))
    found = {}
    for process, name in waiting:
        if process.stdout is None or process.stdout.readline() != b"ready\n":
            raise RuntimeError("a process of the bench did not start")
        found[process.pid] = name
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _private(pid: int) -> int:
    """Return the proportional set size of a process in kB."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _samples(place: pathlib.Path) -> list[str]:
    """Write what some tools have in memory; return their names."""
    from tests.content.memory_scan.samples import SAMPLES

    names = ["sliver", "merlin", "gafgyt", "mettle", "tsunami"]
    for name in names:
        (place / name).write_bytes(SAMPLES[name])
    return names


def _ours(directory: pathlib.Path, pids: list[int], full: bool) -> list[str]:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content

    arguments = {"pids": pids, "full": full, "read_budget": 16384, "priority": "normal", "_content": content.load()}
    return measure.payload(directory / f"ours-{full}.py", _MODULE, arguments)


def _peer(directory: pathlib.Path, yara: str, yarac: str, pids: list[int]) -> list[str]:
    """Write the signatures as YARA rules; return the command that looks at the processes with them."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import signatures

    rules = "\n".join(exported(one) for one in signatures.read().signatures if one["where"] != ["arguments"])
    return _compiled(directory, "rules", rules, yara, yarac, pids)


def _floor(directory: pathlib.Path, yara: str, yarac: str, pids: list[int]) -> list[str]:
    rules = 'rule never_there { strings: $a = "there is none of this anywhere in any memory" condition: $a }'
    return _compiled(directory, "floor", rules, yara, yarac, pids)


def _compiled(directory: pathlib.Path, name: str, rules: str, yara: str, yarac: str, pids: list[int]) -> list[str]:
    (directory / f"{name}.yar").write_text(rules)
    subprocess.run([yarac, str(directory / f"{name}.yar"), str(directory / name)], check=True)
    script = directory / f"{name}.sh"
    # A process that ended says so with an error; what is found is compared.
    script.write_text("\n".join(f"{yara} -w -C {directory / name} {pid}" for pid in pids) + "\n")
    return ["sh", str(script)]


def exported(signature: t.Mapping[str, t.Any]) -> str:
    """Return a signature as a YARA rule; what is near what, YARA can't say of process memory, and it is left out."""
    strings = "\n".join(f"    ${name} = {_string(pattern)}" for name, pattern in signature["patterns"].items())
    names = list(signature["patterns"])
    condition = signature.get("condition", "all")
    if isinstance(condition, list):
        needed = [_of(part["at_least"], part["of"]) for part in condition]
    else:
        needed = [_of({"all": len(names), "any": 1}.get(condition, condition), names)]
    return f"rule {signature['id']} {{\n  strings:\n{strings}\n  condition: {' and '.join(needed)}\n}}"


def _of(least: int, names: t.Sequence[str]) -> str:
    return f"{least} of ({', '.join('$' + name for name in names)})"


def _string(pattern: t.Any) -> str:
    given = {"text": pattern} if isinstance(pattern, str) else pattern
    if "hex" in given:
        return "{ " + given["hex"] + " }"
    text = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in given["text"].encode()
    )
    ways = [way for way in ("nocase", "wide") if given.get(way)]
    return " ".join([f'"{text}"', *ways, *(["ascii"] if "wide" in ways else [])])


def _same_found(sides: t.Mapping[str, list[str]], planted: t.Mapping[int, str | None]) -> None:
    """Raise RuntimeError unless both find what was put into memory, and nothing else."""
    expected = {(pid, name) for pid, name in planted.items() if name is not None}
    peer = {
        (int(pid), rule) for rule, pid in (line.split() for line in measure.output(sides["peer"]).splitlines()) if pid
    }
    result = json.loads(measure.output(sides["full"]))
    (scope,) = [entry for entry in result["coverage"] if entry["scope"] == "processes"]
    # That only these were asked for is all that is left out.
    if scope["examined"] != len(planted) or [one["subject"] for one in scope["skipped"]] != ["processes"]:
        raise RuntimeError(f"not all of it was looked at: {scope}")
    ours = {name for detection in result["detections"] for name in _signatures(detection)}
    if peer != expected:
        raise RuntimeError(f"yara found {sorted(peer ^ expected)[:5]} more or less than there is")
    if ours != {name for _pid, name in expected}:
        raise RuntimeError(f"ours found {sorted(ours)}")


def _signatures(detection: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for evidence in detection["evidences"]:
        for sign in evidence["data"]["signs"]:
            yield from sign.get("facts", {}).get("signatures", ())


def _timed(sides: t.Mapping[str, list[str]], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run everything in turns; return the seconds of each, and the processor time."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for _round in range(rounds):
        for name, command in sides.items():
            used, began = _children(), time.perf_counter()
            measure.output(command)
            seconds[name].append(time.perf_counter() - began)
            cpu[name].append(_children() - used)
        print(" ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()), flush=True)
    return seconds, cpu


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _ratio(ours: list[float], peer: list[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(ours, peer, strict=True)), 3)
