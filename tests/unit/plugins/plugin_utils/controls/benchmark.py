# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark made by hand, what a host says of its controls, and the alerts that they are."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark, Control
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.controls import answers
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState, Judgement

from tests.unit.plugins.plugin_utils.ocsf import samples

ENGINE = "unix:///run/docker.sock"
OTHER = "unix:///run/other.sock"
UNJUDGED = "docker_controls_unjudged"
NETWORK = Control(
    id="docker_host_network_shared",
    numbers={"1.8.0": "5.10", "1.6.0": "5.9"},
    section="5",
    title="Containers have a network namespace of their own",
    level=1,
    profile="docker",
    method="machine",
    severity="medium",
    evidence="The network mode.",
    parameter=None,
    question=None,
)
USERS = dataclasses.replace(
    NETWORK,
    id="docker_trusted_users",
    numbers={"1.8.0": "1.1.2"},
    section="1",
    title="Only trusted accounts control the engine",
    method="parameter",
    severity="high",
    question="Should these accounts control the engine?",
)
DEEP = dataclasses.replace(
    NETWORK, id="docker_icc_enabled", numbers={"1.8.0": "2.2", "1.6.0": "2.1"}, section="2", level=2, severity="low"
)
BENCHMARK = Benchmark(
    id="cis_docker",
    title="CIS Docker Benchmark",
    capability="docker_hardening",
    editions=("1.8.0", "1.6.0"),
    sections={"1": "Host", "2": "Engine configuration", "5": "Containers"},
    controls={each.id: each for each in (USERS, DEEP, NETWORK)},
)
CATALOGUE = Catalogue(
    {
        identifier: samples.alert(
            "recommendation",
            id=identifier,
            capability=BENCHMARK.capability,
            severity="informational" if identifier == UNJUDGED else "medium",
            attack=(),
        )
        for identifier in (*BENCHMARK.controls, UNJUDGED)
    },
    {},
)


def answer(
    content: Control = NETWORK,
    status: str = "failed",
    items: t.Sequence[str] = ("web",),
    subject: str = ENGINE,
    **changes: t.Any,
) -> dict[str, t.Any]:
    """Return what a host says of a control."""
    listed = [_control.item("container", name, "network host") for name in items]
    made = _control.control(BENCHMARK.id, content.id, subject, status, "It says so.", listed, examined=50)
    return {**made, **changes}


def joined(*reported: t.Any, edition: str = "1.8.0", level: int = 2) -> dict[tuple[str, str], dict[str, t.Any]]:
    """Return controls by subject and number."""
    made = answers.joined(list(reported), BENCHMARK, edition, level, "engines")
    return {(control["subject"], control["number"]): control for control in made}


def one(content: Control = NETWORK, *more: t.Any, **changes: t.Any) -> dict[str, t.Any]:
    """Return one control as it is joined."""
    return joined(answer(content, *more, **changes))[ENGINE, content.numbers["1.8.0"]]


def judgement(control: t.Mapping[str, t.Any], **changes: t.Any) -> Judgement:
    fields: dict[str, t.Any] = {
        "host": "web1",
        "benchmark": BENCHMARK.id,
        "control": control["control"],
        "subject": control["subject"],
        "digest": control["digest"],
        "verdict": "passed",
        "reason": "OPS-12",
        "actor": "alice",
        "created": 1_780_000_000.0,
        "until": None,
    }
    return Judgement(**{**fields, **changes})


def state(control: t.Mapping[str, t.Any], **changes: t.Any) -> ControlState:
    """Return a control as the store has it after a run."""
    names = {field.name for field in dataclasses.fields(ControlState)}
    stored = {
        "host": "web1",
        "capability": BENCHMARK.capability,
        "previous_status": None,
        "since": 100.0,
        "run_id": "run-1",
        "time": 100.0,
        **{name: value for name, value in control.items() if name in names},
    }
    return ControlState(**{**stored, "evidences": tuple(control["evidences"]), **changes})
