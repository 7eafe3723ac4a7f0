# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark as large as a real one, and hosts that were judged by it."""

from __future__ import annotations

import collections
import dataclasses
import random
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import METHODS, Benchmark, Control
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, shown
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import BenchmarkRun, ControlState, Judgement

from tests.unit.plugins.plugin_utils.report import samples
from tests.unit.plugins.plugin_utils.report.samples import DAY, NOW

CAPABILITY = "docker_hardening"
ENGINE = "unix:///run/docker.sock"
_SIZES = {"1": 20, "2": 19, "3": 24, "4": 12, "5": 32, "6": 2, "7": 9}
_SECTIONS = {
    "1": "Host",
    "2": "Engine configuration",
    "3": "Engine files",
    "4": "Images",
    "5": "Containers",
    "6": "Operations",
    "7": "Swarm",
}
# number: id, what is required, what is wrong, severity, what to do
_NAMED = {
    "2.8": (
        "docker_api_without_tls",
        "The API on TCP asks clients for a certificate",
        "The engine's API is open to the network",
        "critical",
        "Remove the tcp address from the engine's hosts, or set tlsverify with certificates of your own.",
    ),
    "5.5": (
        "docker_container_privileged",
        "No container is privileged",
        "Container is privileged",
        "critical",
        "Start the container again without --privileged, with the capabilities and devices that it needs.",
    ),
    "5.32": (
        "docker_socket_mounted",
        "No container has the engine's socket",
        "Container can control the engine",
        "critical",
        "Start the container again without the socket, or put a proxy between that allows what it needs.",
    ),
    "5.10": (
        "docker_host_network_shared",
        "Containers have a network namespace of their own",
        "Container uses the network of the host",
        "high",
        "Start the container again without --network host, and publish the ports that it needs.",
    ),
    "5.11": (
        "docker_memory_not_limited",
        "Containers have a limit of memory",
        "Container may use all memory",
        "medium",
        "Give it --memory, with what it needs when it is busy.",
    ),
    "4.1": (
        "docker_image_runs_as_root",
        "Images name a user that is not root",
        "Image runs as root",
        "medium",
        "Add a USER to the image, or start its containers with --user.",
    ),
    "1.3": (
        "docker_group_members",
        "Only trusted accounts control the engine",
        "Untrusted account controls the engine",
        "high",
        "Remove the account from the group docker: gpasswd --delete ACCOUNT docker.",
    ),
}
_ITEMS = ("web-frontend", "shop-api", "shop-worker", "redis-cache", "metrics-exporter", "ci-runner", "nginx-proxy")


def control(**changes: t.Any) -> Control:
    fields: dict[str, t.Any] = {
        "id": "docker_host_network_shared",
        "numbers": {"1.8.0": "5.10", "1.6.0": "5.9"},
        "section": "5",
        "title": "Containers have a network namespace of their own",
        "level": 1,
        "profile": "docker",
        "method": "machine",
        "severity": "high",
        "evidence": "The network mode of each container.",
        "parameter": None,
        "question": None,
    }
    return Control(**{**fields, **changes})


def benchmark(controls: t.Iterable[Control]) -> Benchmark:
    by_id = {each.id: each for each in controls}
    return Benchmark("cis_docker", "CIS Docker Benchmark", CAPABILITY, ("1.8.0", "1.6.0"), _SECTIONS, by_id)


def state(**changes: t.Any) -> ControlState:
    fields: dict[str, t.Any] = {
        "host": "web1",
        "capability": CAPABILITY,
        "benchmark": "cis_docker",
        "edition": "1.8.0",
        "control": "docker_host_network_shared",
        "number": "5.10",
        "subject": ENGINE,
        "status": "failed",
        "previous_status": "failed",
        "since": NOW - 3 * DAY,
        "severity": "high",
        "reason": "1 of 7 containers uses the network of the host.",
        "examined": 7,
        "count": 1,
        "evidences": (item("nginx-proxy", "network mode host"),),
        "excepted_count": 0,
        "excepted": (),
        "digest": "d" * 64,
        "judgement": None,
        "run_id": "run",
        "time": NOW,
    }
    return ControlState(**{**fields, **changes})


def item(name: str, detail: str = "", is_new: bool = False, **more: str) -> dict[str, t.Any]:
    return {**_control.item("container", name, detail), "is_new": is_new, **more}


def judgement(**changes: t.Any) -> Judgement:
    fields: dict[str, t.Any] = {
        "host": "web1",
        "benchmark": "cis_docker",
        "control": "docker_host_network_shared",
        "subject": ENGINE,
        "digest": "d" * 64,
        "verdict": "passed",
        "reason": "the proxy needs it, and listens on two ports only",
        "actor": "alice",
        "created": NOW - 10 * DAY,
        "until": None,
    }
    return Judgement(**{**fields, **changes})


def run(**changes: t.Any) -> BenchmarkRun:
    fields: dict[str, t.Any] = {
        "run_id": "run",
        "time": NOW,
        "host": "web1",
        "capability": CAPABILITY,
        "benchmark": "cis_docker",
        "edition": "1.8.0",
        "subject": ENGINE,
        "statuses": {"passed": 1, "failed": 1},
        "weights": {"passed": 7, "failed": 7},
    }
    return BenchmarkRun(**{**fields, **changes})


def whole_benchmark() -> tuple[Benchmark, dict[str, model.AlertText]]:
    """Return a benchmark of 118 controls, and the texts of their alerts."""
    controls, texts = [], {}
    for section, size in _SIZES.items():
        for at in range(1, size + 1):
            number = f"{section}.{at}"
            made, text = _made(number, section, at)
            controls.append(made)
            texts[made.id] = text
    return benchmark(controls), texts


def _made(number: str, section: str, at: int) -> tuple[Control, model.AlertText]:
    name = f"docker_control_{section}_{at}"
    severity = ("low", "medium", "medium", "high", "low")[at % 5]
    identifier, title, problem, severity, remedy = _NAMED.get(number) or (
        name,
        f"{_SECTIONS[section]}: setting {at} is as the benchmark wants it",
        f"{_SECTIONS[section]}: setting {at} is not as the benchmark wants it",
        severity,
        "Change the setting in daemon.json and restart the engine, or make an exception with the reason.",
    )
    # A third waits for a person, of which half has a variable.
    method = METHODS[min(at % 6, 4) - 2] if at % 6 in (3, 4) else "machine"
    made = control(
        id=identifier,
        numbers={"1.8.0": number},
        section=section,
        title=title,
        level=1 + at % 2,
        profile="swarm" if section == "7" else "docker",
        method=method,
        severity=severity,
        evidence="What the engine's API and the files of the host show of the setting.",
        parameter=f"docker_hardening_setting_{at}" if method == "parameter" else None,
        question=None
        if method == "machine"
        else f"Does the team want what setting {at} allows, on each of the engines?",
    )
    description = (
        "Whoever gets into such a container gets more than the container: the host, or what other containers keep. "
        "Nothing else on the host stops it."
    )
    return made, model.AlertText(problem, "recommendation", description, remedy, ())


def docker(hosts: int = 14, runs: int = 12) -> model.ReportData:
    """Return data of hosts with an engine each, one with two, always the same."""
    chance = random.Random(20260102)  # noqa: S311 - sample data, not a secret
    known, texts = whole_benchmark()
    names = [f"{role}-{number:03d}.example.org" for number in range(hosts) for role in ("web", "db", "queue", "edge")]
    engines = [*((name, ENGINE) for name in names[:hosts]), (names[1], "unix:///run/user/1000/docker.sock")]
    states = [
        _state(chance, host, subject, made, at)
        for host, subject in engines
        for at, made in enumerate(known.controls.values())
    ]
    by_engine = {engine: [each for each in states if (each.host, each.subject) == engine] for engine in engines}
    past = [
        _past(chance, by_engine[host, subject], known, day)
        for day in range(runs)
        for host, subject in engines
        if day < 5 or host != names[0]
    ]
    failed = [each for each in states if each.status == "failed"]
    return samples.data(
        runs=tuple(
            samples.run(NOW - day * DAY, id=f"run-{day}", hosts=hosts, capabilities=(CAPABILITY,))
            for day in range(runs)
        ),
        findings=tuple(_finding(at, each) for at, each in enumerate(failed)),
        coverage=tuple(
            samples.coverage(host=name, capability=CAPABILITY, scope="engines", examined=1) for name in names[:hosts]
        ),
        alerts={**samples.ALERTS, **{shown.key(name): text for name, text in texts.items()}},
        benchmarks={known.id: known},
        controls=tuple(states),
        judgements=tuple(each.judgement for each in states if each.judgement)
        + tuple(
            judgement(host=names[0], control=control, digest="e" * 64, created=NOW - 40 * DAY, **ended)
            for control, ended in (("docker_group_members", {}), ("docker_image_runs_as_root", {"until": NOW - DAY}))
        ),
        benchmark_runs=tuple(past),
    )


def _state(chance: random.Random, host: str, subject: str, made: Control, at: int) -> ControlState:
    if made.section == "7":
        status = "not_applicable"
    elif made.method != "machine" and chance.random() < 0.8:
        status = "manual"
    else:
        bad = 0.15 + 0.6 * (at % 7 == 0)
        status = chance.choices(("failed", "passed", "not_checked", "excepted"), (bad, 0.8, 0.02, 0.02))[0]
    before = status if chance.random() < 0.985 else chance.choice(("passed", "failed"))
    count = chance.randint(1, 12) if status in ("failed", "manual") else 0
    items = [
        item(f"{_ITEMS[number % len(_ITEMS)]}-{number}", "network mode host", is_new=chance.random() < 0.02)
        for number in range(count)
    ]
    excepted = (item("monitoring-agent", "network mode host", exception="it measures the host", until="2027-01-31"),)
    reasons = {
        "failed": f"{count} of 12 containers are not as they should be.",
        "manual": "The engine has this setting, and only you know whether it is wanted.",
        "passed": "All 12 containers are as they should be.",
        "not_checked": "The engine did not answer within 5 seconds: GET /networks.",
        "excepted": "What fails is an exception.",
        "not_applicable": "The engine is in no swarm.",
    }
    decided = None
    if status == "passed" and made.method == "person":
        decided = judgement(host=host, subject=subject, control=made.id, created=NOW - chance.randint(1, 90) * DAY)
    return state(
        host=host,
        subject=subject,
        control=made.id,
        number=made.numbers["1.8.0"],
        severity=made.severity,
        status=status,
        previous_status=before,
        since=NOW - chance.randint(0, 60) * DAY,
        reason=reasons[status],
        examined=12,
        count=count,
        evidences=tuple(items),
        excepted=excepted if status == "excepted" else (),
        excepted_count=int(status == "excepted"),
        judgement=decided,
    )


def _past(chance: random.Random, states: t.Sequence[ControlState], known: Benchmark, day: int) -> BenchmarkRun:
    counts: collections.Counter[str] = collections.Counter()
    weights: collections.Counter[str] = collections.Counter()
    for each in states:
        # Earlier, less was in order.
        status = "failed" if each.status == "passed" and chance.random() < 0.03 * day else each.status
        counts[status] += 1
        weights[status] += benchmark_score.WEIGHTS[known.controls[each.control].severity]
    return run(
        host=states[0].host,
        subject=states[0].subject,
        run_id=f"run-{day}",
        time=NOW - day * DAY,
        statuses=dict(counts),
        weights=dict(weights),
    )


def _finding(number: int, failed: ControlState) -> t.Any:
    return samples.finding(
        uid=f"00000000-0000-5000-9000-{number:012x}",
        host=failed.host,
        capability=CAPABILITY,
        alert=failed.control,
        kind="recommendation",
        severity=failed.severity,
        status="open",
        scope="engines",
        subject=failed.subject,
        event={"message": failed.reason, "evidences": [{"data": dict(each)} for each in failed.evidences]},
    )


def hostile(attack: str) -> model.ReportData:
    """Return ``samples.hostile`` with the attack in every text that a host or a store could say of controls."""
    names = {"host": attack, "subject": attack}
    words = {"verdict": "passed", "reason": attack, "actor": attack, "until": NOW}
    items = (dict.fromkeys(("kind", "name", "detail", "note", "exception", "until"), attack) | {"is_new": True},)
    fields = {**names, "reason": attack, "evidences": items, "count": 900, "excepted": items, "excepted_count": 900}
    unknown = {"control": attack, "number": attack, "edition": attack, "capability": attack}
    decided = judgement(**names, **words)
    return dataclasses.replace(
        samples.hostile(attack),
        benchmarks={"cis_docker": benchmark([control()])},
        controls=(
            state(**fields, judgement=decided),
            state(**{**fields, **unknown, "status": "manual", "previous_status": "passed"}),
            state(**{**fields, **unknown, "benchmark": f"other {attack}"}),
            state(**{**fields, **unknown, "control": f"{attack} dark", "status": "not_checked"}),
        ),
        judgements=(decided, judgement(**names, **words, ended=NOW, ended_by=attack, ended_reason=attack)),
        benchmark_runs=(
            run(**names),
            *(run(host=attack, subject=name, time=NOW - DAY, run_id="before") for name in (attack, f"{attack} gone")),
        ),
    )
