# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan costs, against the tree of a commit: make bench NAME=fleet [BEFORE=commit] [ROUNDS=3].

Both trees scan 1 and 8 disposable hosts over ssh with ansible-core's own defaults and at normal priority, in turns,
fresh hosts for each tree and round. ANSIBLE_ variables of the environment, such as ANSIBLE_PIPELINING=1, are for both.
Every frame between the controller and the hosts is counted, and can be delayed, by 50 ms a round trip. Ratios are of
medians over the rounds, ours to the tree before; without a suffix they are of a later scan of 8 hosts. "first" is the
scan that takes the baselines, "one" is of 1 host, "delay" with the delay.

controller_cpu: ansible-playbook and all that it started, every ssh included. ssh_cpu: the part of the connections that
ssh keeps open between tasks (encryption, compression). host_cpu: all processes of a host, sshd and sudo included, by
its control group. bytes: Ethernet frames, both ways. "nothing" is a scan of 1 host with the default rules whose looks
have next to nothing to look at; nothing_pings, its time to that of a playbook with nothing but ansible.builtin.ping;
host_cpu_ratio_outside, its host_cpu less what those looks cost by themselves (``_look_cost``, the same seconds for both
trees). results and events: what AWX would keep, for each host and beside. Memory scans see the processes of their
container only. peak_mb: the largest sum of the proportional set sizes (PSS) of ansible-playbook and its processes, in a
later scan of 8 hosts of its own. differences: in how many places the trees record something else of the same hosts
(``_same``), each of which is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import statistics
import tempfile
import time
import typing as t

from tests.bench import _look_cost, _same, _trees
from tests.bench import _measure as measure
from tests.bench._controller import Controller, Run
from tests.fleet import engine, wire
from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host

BEFORE = os.environ.get("BEFORE") or "d102bb27b7c55e04bca7f114d975b72bd2deb9e8"
ROUNDS = int(os.environ.get("ROUNDS") or 3)
HOSTS = 8
# Seconds; with 0 nothing is run a second time.
DELAY = 0.05
WARM_UP = True
# Whether scans that have next to nothing to look at are run, and how often their looks are.
NOTHING = True
LOOK_ROUNDS = 9
# Scans whose records are compared.
SCANS = 3
# Of all scans.
VARIABLES: dict[str, t.Any] = {f"{role}_priority": "normal" for role in ("audit", "file_integrity", "memory_scan")}
# Rules and signatures are sent as ever, and meet hardly anything.
_NOTHING = {
    "file_integrity_baseline": "bench",
    "file_integrity_default_watches": False,
    "file_integrity_watches": [{"name": "bench", "paths": ["/etc/hostname"]}],
    "audit_rules_state": "absent",
    "memory_scan_pids": [1],
    "memory_scan_drift": False,
}
_PING = [{"hosts": "all", "become": True, "gather_facts": False, "tasks": [{"ansible.builtin.ping": None}]}]

# Runs of one tree, by what was run.
Runs = dict[str, list[Run]]


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when what is needed is missing, or a scan fails."""
    if os.geteuid() != 0:
        raise RuntimeError("this bench needs root")
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name, contextlib.ExitStack() as stack:
        directory = pathlib.Path(name)
        fleet = Fleet(stack.enter_context(engine.use()), directory / "fleet")
        stack.callback(fleet.remove)
        trees = stack.enter_context(_trees.collections(directory, BEFORE))
        fleet.start("trixie")
        line = stack.enter_context(wire.join(fleet))
        bench = _Bench(fleet, line, directory, trees)
        if WARM_UP:
            bench.warm_up()
        for number in range(ROUNDS):
            bench.measure(number)
        outcomes = bench.outcomes()
        return {
            **_figures(bench.runs["before"], bench.runs["ours"], bench.looks),
            **bench.peak,
            "differences": _shown(outcomes["before"], outcomes["ours"]),
            "before": _trees.subject(BEFORE),
            "rounds": ROUNDS,
            "hosts": HOSTS,
            "delay_s": DELAY,
            "ansible": bench.version(),
        }


class _Bench:
    def __init__(
        self, fleet: Fleet, line: wire.Line, directory: pathlib.Path, trees: t.Mapping[str, pathlib.Path]
    ) -> None:
        self.runs: dict[str, Runs] = {name: {} for name in trees}
        self.looks: dict[str, list[float]] = {}
        self.peak: dict[str, float] = {}
        self._fleet = fleet
        self._line = line
        self._directory = directory
        self._trees = trees
        self._ping = directory / "ping.json"
        self._ping.write_text(json.dumps(_PING), encoding="utf-8")

    def warm_up(self) -> None:
        """Have what each tree compiles once for a controller, and what the kernel reads once, made."""
        for name in self._trees:
            self._fresh(1)
            self._controller(name, "warm-up").scan(**VARIABLES)

    def measure(self, number: int) -> None:
        """Run everything once with each tree, the other one first each time."""
        for name in sorted(self._trees, reverse=bool(number % 2)):
            one = self._fresh(HOSTS)[0]
            controller = self._controller(name, f"round-{number}")
            limited = ("--limit", one.name)
            self._note(name, "first", controller.scan(**VARIABLES))
            for delayed, delay in {"": 0.0, **({"_delay": DELAY} if DELAY else {})}.items():
                self._line.delay = delay
                self._note(name, f"all{delayed}", controller.scan(**VARIABLES))
                self._note(name, f"one{delayed}", controller.scan(*limited, **VARIABLES))
                self._note(name, f"ping{delayed}", controller.play(self._ping))
                self._note(name, f"ping_one{delayed}", controller.play(self._ping, *limited))
            self._line.delay = 0.0
            if NOTHING:
                self._look_at_nothing(name, controller, one)
            if name == "ours" and number == ROUNDS - 1:
                self.peak = measure.peak(controller.command("bulwark.servers.scan", **VARIABLES))

    def _look_at_nothing(self, tree: str, controller: Controller, host: Host) -> None:
        limited, variables = ("--limit", host.name), {**VARIABLES, **_NOTHING}
        controller.scan(*limited, **variables)
        self._note(tree, "nothing", controller.scan(*limited, **variables))
        if tree == "before" and not self.looks:
            controller.scan(*limited, environment={"ANSIBLE_KEEP_REMOTE_FILES": "1"}, **variables)
            self.looks = _look_cost.seconds(host, LOOK_ROUNDS)

    def outcomes(self) -> dict[str, _same.Outcome]:
        """Return what each tree records of the same hosts."""
        began = time.time()
        found = {}
        for name in self._trees:
            hosts = self._fresh(_same.HOSTS)
            controller = self._controller(name, "same")
            directory = self._directory / name / "look"
            found[name] = _same.look(hosts, controller, directory, began, SCANS, **VARIABLES)
        return found

    def version(self) -> str:
        command = self._controller("ours", "version").command(self._ping, "--version")
        return measure.output(command).splitlines()[0]

    def _fresh(self, number: int) -> list[Host]:
        self._fleet.stop()
        return self._fleet.start(*["trixie"] * number)

    def _controller(self, tree: str, name: str) -> Controller:
        return Controller(self._fleet, self._line, self._directory / tree, name, self._trees[tree])

    def _note(self, tree: str, name: str, run: Run) -> None:
        self.runs[tree].setdefault(name, []).append(run)
        costs = f"{run.wall_s:.1f} s, controller {run.controller_cpu_s:.2f} s, hosts {run.host_cpu_s:.2f} s"
        print(f"{tree:6} {name:14} {costs}, {run.bytes:,} bytes, {run.results} results", flush=True)


def _figures(before: Runs, ours: Runs, looks: t.Mapping[str, t.Sequence[float]]) -> dict[str, t.Any]:
    def ratio(name: str, what: str) -> float | None:
        return None if name not in ours else round(_median(ours[name], what) / _median(before[name], what), 3)

    return {
        "ours_s": round(_median(ours["all"], "wall_s"), 2),
        "peer_s": round(_median(before["all"], "wall_s"), 2),
        "ratio": ratio("all", "wall_s"),
        "controller_cpu_ratio": ratio("all", "controller_cpu_s"),
        "controller_cpu_ratio_one": ratio("one", "controller_cpu_s"),
        "host_cpu_ratio": ratio("all", "host_cpu_s"),
        "bytes_ratio": ratio("all", "bytes"),
        "bytes_ratio_first": ratio("first", "bytes"),
        "wall_ratio": ratio("all", "wall_s"),
        "wall_ratio_one": ratio("one", "wall_s"),
        "wall_ratio_delay": ratio("all_delay", "wall_s"),
        "wall_ratio_one_delay": ratio("one_delay", "wall_s"),
        "wall_ratio_first": ratio("first", "wall_s"),
        **(_of_nothing(before, ours, looks) if NOTHING else {}),
        "of_ours": _costs(ours),
        "of_before": _costs(before),
    }


def _of_nothing(before: Runs, ours: Runs, looks: t.Mapping[str, t.Sequence[float]]) -> dict[str, t.Any]:
    looks_s = sum(statistics.median(seconds) for seconds in looks.values())
    theirs, own = (_median(runs["nothing"], "host_cpu_s") for runs in (before, ours))
    ping_s = _median([*before["ping_one"], *ours["ping_one"]], "wall_s")
    return {
        "host_cpu_ratio_outside": round((own - looks_s) / (theirs - looks_s), 3),
        "host_cpu_ratio_nothing": round(own / theirs, 3),
        "nothing_pings": round(_median(ours["nothing"], "wall_s") / ping_s, 2),
        "nothing_looks_s": round(looks_s, 3),
    }


def _costs(runs: Runs) -> dict[str, t.Any]:
    """Return the medians of a tree, and how many task results and events a host and a run have."""
    return {
        **{f"results_a_{what}": count for what, count in _counts(runs, lambda run: run.results).items()},
        **{f"events_a_{what}": count for what, count in _counts(runs, lambda run: len(run.events)).items()},
        **{name: _cost(name, values) for name, values in runs.items()},
    }


def _cost(name: str, runs: t.Sequence[Run]) -> dict[str, float]:
    """Return the medians of the same run; what is used on hosts is of one host."""
    hosts = 1 if "one" in name or name == "nothing" else HOSTS
    return {
        "wall_s": round(_median(runs, "wall_s"), 2),
        "controller_cpu_s": round(_median(runs, "controller_cpu_s"), 2),
        "ssh_cpu_s": round(_median(runs, "ssh_cpu_s"), 3),
        "host_cpu_s": round(_median(runs, "host_cpu_s") / hosts, 3),
        "bytes": round(_median(runs, "bytes") / hosts),
    }


def _counts(runs: Runs, count: t.Callable[[Run], int]) -> dict[str, float]:
    """Return what each host adds, and what there is beside: of 1 and of all hosts, with what is written only once."""
    one, everything = (statistics.median(map(count, runs[name])) for name in ("one", "all"))
    a_host = (everything - one) / (HOSTS - 1)
    return {"host": round(a_host, 2), "run": round(one - a_host, 2)}


def _median(runs: t.Sequence[Run], what: str) -> float:
    return float(statistics.median(getattr(run, what) for run in runs))


def _shown(before: _same.Outcome, ours: _same.Outcome) -> int:
    """Print where the trees differ in what they record, and the tasks of a host in order; return how many places."""
    found = _same.differences(before, ours)
    for difference in found:
        print(f"differs: {difference}")
    for name, outcome in (("before", before), ("ours", ours)):
        print(f"tasks of an attacked host, {name}: {'; '.join(_same.tasks(outcome.runs[-1], 'trixie-1'))}", flush=True)
    return len(found)
