# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of trials below /run: of one that runs, and of the last that ended.

They are of one boot only, also where /run is no tmpfs and keeps them longer.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import steps
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Plan, Step

DIRECTORY = "/run/bulwark"
_NAME = "trials"
_KINDS: dict[str, t.Any] = {
    kind.__name__: kind for kind in (steps.Kill, steps.Unmount, steps.Exchange, steps.Remove, steps.Run)
}
_LARGEST = 1 << 20

# Device and inode.
Identity = t.Tuple[int, int]


class Record(t.NamedTuple):
    """A trial that runs.

    started: seconds of CLOCK_BOOTTIME. who: started it, in words. before: the files that the plan names, as they were.
    """

    plan: Plan
    token: str
    started: float
    who: str
    before: t.Mapping[str, Identity]

    def left(self) -> float:
        """Return the seconds until the way back begins; the machine's sleep counts, and steps of the clock don't."""
        return self.started + self.plan.seconds - time.clock_gettime(time.CLOCK_BOOTTIME)


class Ended(t.NamedTuple):
    """The last trial of a name that ended since the boot.

    is_confirmed: otherwise the host went back. why: the rest of the sentence. failed: a sentence for each step that
    failed.
    """

    name: str
    token: str
    is_confirmed: bool
    why: str
    failed: tuple[str, ...] = ()


def open_directory(create: bool) -> StateDirectory | None:
    """Return the directory of all trials, which is root's alone; None where there is none. Raises StateError."""
    return StateDirectory.open(DIRECTORY, _NAME, create)


def write_running(directory: StateDirectory, record: Record) -> None:
    plan = record.plan
    content = {
        **record._asdict(),
        "boot": boot_id(),
        "plan": {**plan._asdict(), "back": _encoded(plan.back), "forward": _encoded(plan.forward)},
    }
    with directory.written(running(plan.name)) as stream:
        stream.write(json.dumps(content).encode("utf-8"))


def read_running(directory: StateDirectory, name: str) -> Record | None:
    content = _read(directory, running(name))
    if content is None:
        return None
    plan = content.pop("plan")
    plan = Plan(**{**plan, "back": _decoded(plan["back"]), "forward": _decoded(plan["forward"])})
    before = {path: (device, inode) for path, (device, inode) in content.pop("before").items()}
    return Record(plan=plan, before=before, **content)


def encode_ended(ended: Ended, this_boot: str) -> bytes:
    return json.dumps({**ended._asdict(), "boot": this_boot}).encode("utf-8")


def read_ended(directory: StateDirectory, name: str) -> Ended | None:
    content = _read(directory, last(name))
    return Ended(**{**content, "failed": tuple(content["failed"])}) if content is not None else None


def running(name: str) -> str:
    return "%s.running" % name


def last(name: str) -> str:
    return "%s.last" % name


def socket(name: str) -> str:
    return "%s.socket" % name


def lock(name: str) -> str:
    return "%s.lock" % name


def _read(directory: StateDirectory, name: str) -> dict[str, t.Any] | None:
    descriptor = directory.open_file(name)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        content: dict[str, t.Any] = json.loads(stream.read(_LARGEST))
    return content if content.pop("boot") == boot_id() else None


def _encoded(plan_steps: t.Iterable[Step]) -> list[dict[str, t.Any]]:
    return [{"step": type(step).__name__, **step._asdict()} for step in plan_steps]


def _decoded(encoded: t.Iterable[dict[str, t.Any]]) -> tuple[Step, ...]:
    return tuple(_step(**fields) for fields in encoded)


def _step(step: str, **fields: t.Any) -> Step:
    values: dict[str, t.Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    made: Step = _KINDS[step](**values)
    return made
