# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge all controls of all engines of a host."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control, _crash
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES, printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    containers,
    exceptions,
    files,
    host,
    images,
    operations,
    settings,
    swarm,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Excepted, Options

BENCHMARK = "cis_docker"
_LISTS = ("evidences", "excepted")
# The store keeps 64 MB of a host. An engine with 5,000 containers needs 2 MB, and anybody may run what is none.
_ITEMS_ROOM = 24 * 1024 * 1024
# Of all sections, by the ids of their controls.
CHECKS: t.Mapping[str, verdict.Check] = {
    **host.CHECKS,
    **settings.CHECKS,
    **files.CHECKS,
    **images.CHECKS,
    **containers.CHECKS,
    **operations.CHECKS,
    **swarm.CHECKS,
}


class Judged(t.NamedTuple):
    """The result of each control about each engine. unused: the exceptions that cover none of it."""

    controls: list[dict[str, t.Any]]
    unused: list[Excepted]


def judge(where: Host, options: Options) -> Judged:
    """Judge each control of each engine; without items where there is no room for more of them."""
    controls, covered = [], []
    room = _ITEMS_ROOM
    for engine in where.engines:
        for identifier, check in CHECKS.items():
            result, covers = _judged(identifier, check, where, engine, options)
            room -= sum(len(text) for name in _LISTS for item in result[name] for text in item.values())
            controls.append(result if room >= 0 else {**result, **{name: [] for name in _LISTS}})
            covered.append(covers)
    # Without an engine there is nothing that an exception could be wrong about.
    return Judged(controls, exceptions.unused(options.exceptions, covered) if covered else [])


def _judged(
    identifier: str, check: verdict.Check, where: Host, engine: Engine, options: Options
) -> tuple[dict[str, t.Any], t.Mapping[Excepted, bool | None]]:
    try:
        result = check(where, engine, options)
    except Exception as error:  # noqa: BLE001 - an answer of the API that one check stumbles over is that check's alone
        result = verdict.not_checked(f"The engine's response could not be judged: {_crash.describe(error)}")
    result, excepted, covers = exceptions.apply(result, identifier, options.exceptions, engine, where.now)
    control = _control.control(
        BENCHMARK,
        identifier,
        printable(engine.name),
        result.status,
        result.reason,
        [_evidence(each) for each in result.items],
        result.examined,
        _severity(result),
        [{**_evidence(each), "exception": by.reason, "until": by.until or ""} for each, by in excepted],
    )
    return control, covers


def _evidence(each: verdict.Item) -> dict[str, str]:
    return _control.item(each.kind, each.name, each.detail, each.note)


def _severity(result: verdict.Verdict) -> str | None:
    """Return the severity of a failure: the worst of what still fails, which may be less than all that did."""
    worst = max((each.severity for each in result.items if each.severity), key=SEVERITIES.index, default=None)
    return worst or result.severity
