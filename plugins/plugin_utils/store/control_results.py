# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of controls and inventories of containers as a capability returned them, made fit to be kept.

They come from a host that may be compromised, through playbooks. What has no usable identity is refused with a
StoreError; texts and lists are bounded.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import (
    FAILED,
    ITEMS_LIMIT,
    NOT_APPLICABLE,
    PASSED,
    STATUSES,
)
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmark_score import WEIGHTS
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import compliance, evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

VERDICTS = (PASSED, FAILED, NOT_APPLICABLE)
# Of one host and capability in the store: forty engines with all controls of a benchmark.
CONTROLS_LIMIT = 5_000
CONTROLS_BYTES = 64 * 1024 * 1024
CONTAINERS_LIMIT = 5_000
# A key of an index holds a third of PostgreSQL's page of 8,192 bytes, which it shares with five other columns.
SUBJECT_LIMIT = 1_000

_TEXT_LIMIT = 500
_REASON_LIMIT = 2_000
_CONTAINER_BYTES = 32 * 1024
_CONTAINER_DEPTH = 8
_CONTAINER_FIELDS = 50
_ITEM_FIELDS = ("kind", "name", "detail", "note")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,63}")
_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class ControlResult:
    """One control as a run judged it. items, excepted, judgement: as JSON."""

    benchmark: str
    edition: str
    control: str
    number: str
    subject: str
    scope: str
    status: str
    severity: str
    weight: int
    reason: str
    examined: int
    count: int
    evidences: str
    excepted_count: int
    excepted: str
    digest: str
    judgement: str | None

    @property
    def size(self) -> int:
        return len(self.evidences) + len(self.excepted)

    @property
    def end(self) -> tuple[str | None, str]:
        """Who ended the finding of the control, where it does not fail any more, and why."""
        actor = None if self.judgement is None else json.loads(self.judgement)["actor"]
        return actor, compliance.end(self.status, self.reason)


@dataclasses.dataclass(frozen=True)
class ContainerResult:
    """One container of an inventory. container: as JSON."""

    subject: str
    scope: str
    container: str


def read_controls(reported: t.Any, host: str) -> list[ControlResult]:
    """Return what a capability says of controls; raise StoreError unless all of it can be kept."""
    try:
        results = [_control(evidence.mapping(control)) for control in _bounded(reported, CONTROLS_LIMIT)]
    except evidence.UnfitError as error:
        raise StoreError(f"the controls of {host} cannot be stored: {error}") from error
    if len({(result.benchmark, result.subject, result.control) for result in results}) < len(results):
        raise StoreError(f"the controls of {host} cannot be stored: one has two results about the same subject")
    return results


def read_containers(reported: t.Any, host: str) -> list[ContainerResult]:
    """Return the inventory of a host, each container bounded; raise StoreError for what is none."""
    try:
        return [_container(evidence.mapping(container)) for container in evidence.sequence(reported)[:CONTAINERS_LIMIT]]
    except evidence.UnfitError as error:
        raise StoreError(f"the containers of {host} cannot be stored: {error}") from error


def _control(fields: t.Mapping[t.Any, t.Any]) -> ControlResult:
    control = _matching(fields, "control", _IDENTIFIER)
    try:
        return ControlResult(
            benchmark=_matching(fields, "benchmark", _IDENTIFIER),
            edition=_matching(fields, "edition", _NUMBER),
            control=control,
            number=_matching(fields, "number", _NUMBER),
            subject=_name(fields.get("subject")),
            scope=_name(fields.get("scope")),
            status=evidence.choice(fields.get("status"), STATUSES),
            severity=evidence.choice(fields.get("severity"), SEVERITIES),
            weight=_weight(fields.get("weight")),
            reason=evidence.line(fields.get("reason"), _REASON_LIMIT),
            examined=_count(fields.get("examined")),
            count=_count(fields.get("count")),
            evidences=_dumped([_item(item) for item in _bounded(fields.get("evidences"), ITEMS_LIMIT)]),
            excepted_count=_count(fields.get("excepted_count")),
            excepted=_dumped([_excepted(item) for item in _bounded(fields.get("excepted"), ITEMS_LIMIT)]),
            digest=_matching(fields, "digest", _DIGEST),
            judgement=None if fields.get("judgement") is None else _dumped(_judgement(fields["judgement"])),
        )
    except evidence.UnfitError as error:
        raise evidence.UnfitError(f"{control}: {error}") from error


def _item(reported: t.Any) -> dict[str, t.Any]:
    fields = evidence.mapping(reported)
    texts = {name: evidence.text(fields.get(name), _TEXT_LIMIT) for name in _ITEM_FIELDS}
    return {**texts, "is_new": fields.get("is_new") is True}


def _excepted(reported: t.Any) -> dict[str, t.Any]:
    fields = evidence.mapping(reported)
    return {**_item(fields), **{name: evidence.text(fields.get(name), _TEXT_LIMIT) for name in ("exception", "until")}}


def _judgement(reported: t.Any) -> dict[str, t.Any]:
    fields = evidence.mapping(reported)
    return {
        "verdict": evidence.choice(fields.get("verdict"), VERDICTS),
        "reason": evidence.text(fields.get("reason"), _REASON_LIMIT),
        "actor": evidence.text(fields.get("actor"), _TEXT_LIMIT),
        "created": _time(fields.get("created")),
        "until": None if fields.get("until") is None else _time(fields["until"]),
    }


def _container(fields: t.Mapping[t.Any, t.Any]) -> ContainerResult:
    subject, scope = _name(fields.get("engine")), _name(fields.get("scope"))
    kept = {key: value for key, value in list(fields.items())[:_CONTAINER_FIELDS] if key != "scope"}
    text = _dumped(evidence.plain(kept, _CONTAINER_DEPTH))
    if len(text) > _CONTAINER_BYTES:
        # Whoever starts a container chooses its labels and mounts; they must not cost the rest of the inventory.
        text = _dumped({**evidence.plain(_scalars(kept)), "is_shortened": True})
    return ContainerResult(subject, scope, text)


def _scalars(fields: t.Mapping[t.Any, t.Any]) -> dict[t.Any, t.Any]:
    """Return the fields that are no lists and mappings, their texts cut."""
    scalars = {key: value for key, value in fields.items() if isinstance(value, (str, bool, int, float))}
    return {
        key: evidence.text(value, _TEXT_LIMIT) if isinstance(value, str) else value for key, value in scalars.items()
    }


def _bounded(reported: t.Any, limit: int) -> t.Sequence[t.Any]:
    items = evidence.sequence(reported)
    if len(items) > limit:
        raise evidence.UnfitError(f"{len(items)} are more than {limit}")
    return items


def _matching(fields: t.Mapping[t.Any, t.Any], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise evidence.UnfitError(f"a control has no usable '{name}'")
    return evidence.plain_text(value)


def _name(value: t.Any) -> str:
    name = evidence.name(value)
    if len(name) > SUBJECT_LIMIT:
        raise evidence.UnfitError(f"a name of 1 to {SUBJECT_LIMIT} characters is needed")
    return name


def _weight(value: t.Any) -> int:
    weight = evidence.integer(value)
    if weight not in WEIGHTS.values():
        raise evidence.UnfitError(f"a weight is one of {', '.join(map(str, WEIGHTS.values()))}")
    return weight


def _count(value: t.Any) -> int:
    number = evidence.integer(value, 63)
    if number < 0:
        raise evidence.UnfitError("a number of 0 or more is needed")
    return number


def _time(value: t.Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise evidence.UnfitError("a time in seconds since the epoch is needed")
    return float(value)


def _dumped(value: t.Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
