# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth of each world, and how verdicts differ from it."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as t

import yaml

_HERE = pathlib.Path(__file__).parent
STATUSES = frozenset({"passed", "failed", "excepted", "manual", "not_applicable", "not_checked"})
# Each must be in a world. Not among them: userns-remap, with which an engine makes accounts on the machine.
TRAPS = frozenset(
    {
        "audit_rules",
        "capability_names",
        "container_network",
        "containerd_store",
        "data_root_mount",
        "devices",
        "hanging",
        "icc_without_bridge",
        "limits",
        "live_restore_swarm",
        "loopback_ports",
        "nnp_default",
        "no_apparmor_selinux",
        "pending",
        "rootless",
        "seccomp_unconfined",
        "self_exception",
        "setting_twice",
        "socket_elsewhere",
        "socket_parent",
        "socket_symlink",
        "split_settings",
        "sshd_names",
        "swarm_absent",
        "unreadable_config",
        "user_by_flag",
    }
)


@dataclasses.dataclass(frozen=True)
class World:
    """One configuration. truth: engine to number of a control to its right statuses. items: the same to
    the names of those who fail it (``failing``) and of some who do not (``passing``)."""

    name: str
    path: pathlib.Path
    description: dict[str, t.Any]
    truth: dict[str, dict[str, tuple[str, ...]]]
    items: dict[str, dict[str, dict[str, list[str]]]]


@dataclasses.dataclass(frozen=True)
class Difference:
    """A verdict that is not the truth."""

    world: str
    engine: str
    number: str
    status: str
    right: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        wanted = " or ".join(self.right)
        return f"{self.world}/{self.engine} {self.number}: {self.status}, the truth is {wanted} ({self.reason})"


def load() -> list[World]:
    """Return all worlds."""
    return [_load(path) for path in sorted((_HERE / "worlds").glob("*.yml"))]


def _load(path: pathlib.Path) -> World:
    description = yaml.safe_load(path.read_text("utf-8"))
    truth = {engine: _merge(given) for engine, given in description["truth"].items()}
    return World(path.stem, path, description, truth, description.get("items", {}))


@functools.cache
def _defaults() -> dict[str, dict[str, t.Any]]:
    defaults: dict[str, dict[str, t.Any]] = yaml.safe_load((_HERE / "defaults.yml").read_text("utf-8"))
    return defaults


def _merge(given: dict[str, t.Any]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, t.Any] = {}
    for group in given.get("use", []):
        merged.update(_defaults()[group])
    merged.update({number: right for number, right in given.items() if number != "use"})
    return {
        number: (right,) if isinstance(right, str) else tuple(right)
        for number, right in merged.items()
        if right is not None
    }


def compare(world: World, verdicts: dict[str, dict[str, dict[str, t.Any]]], skip: frozenset[str]) -> list[Difference]:
    """Return where verdicts differ from the truth. verdicts: engine to number to the control. skip: numbers."""
    differences = []
    for engine, truth in world.truth.items():
        for number, right in truth.items():
            control = verdicts.get(engine, {}).get(number, {"status": "missing", "reason": "no such control"})
            if number not in skip and control["status"] not in right:
                differences.append(
                    Difference(world.name, engine, number, control["status"], right, str(control.get("reason", "")))
                )
    return differences


def compare_items(world: World, verdicts: dict[str, dict[str, dict[str, t.Any]]]) -> list[str]:
    """Return where a failed control names others than those who fail it."""
    differences = []
    for engine, numbers in world.items.items():
        for number, names in numbers.items():
            found = {item["name"] for item in verdicts[engine][number]["evidences"]}
            missed, wrong = set(names["failing"]) - found, set(names["passing"]) & found
            if missed or wrong:
                differences.append(f"{world.name}/{engine} {number}: missed {sorted(missed)}, wrong {sorted(wrong)}")
    return differences
