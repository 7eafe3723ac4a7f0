# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as a host reported them, made fit to be kept.

They come from a host that may be compromised, through playbooks. What has no usable identity is refused with a
StoreError; texts and lists are bounded, and times of a clock that is ahead become now.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    CONTENTS,
    KINDS,
    VERIFICATIONS,
    Program,
    Sighting,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

# In one result, and of one host in the store: what a host remembers by default, with some versions of each.
SIGHTINGS_LIMIT = 50_000
PROGRAMS_BYTES = 64 * 1024 * 1024
NAMES_LIMIT = 8

_DAY = 86_400
_TEXT_LIMIT = 500
_LIST_LIMIT = 100
_REASON_LIMIT = 2_000
_DIGEST = re.compile(r"([0-9a-f]{64})?")
_NAMES = ("manager", "package", "version", "origin", "owner")


@dataclasses.dataclass(frozen=True)
class HostFacts:
    """The facts of a look about all programs of a host; see ``fleet.HostPrograms``."""

    distribution: str
    since: float
    until: float
    days: int
    groups: tuple[str, ...]
    roles: tuple[str, ...]


def read_sightings(reported: t.Any, host: str, now: float) -> list[Sighting]:
    """Return the sightings of a result; raise StoreError unless all of them can be kept."""
    try:
        return _sightings(reported, now)
    except evidence.UnfitError as error:
        raise StoreError(f"the programs of {host} cannot be stored: {error}") from error


def read_host(reported: t.Any, host: str, now: float) -> HostFacts:
    """Return what a result says of the programs of a host as a whole; raise StoreError where it is none."""
    try:
        fields = evidence.mapping(reported)
        until = _time(fields.get("until"), now)
        since = min(_time(fields.get("since"), now), until)
        return HostFacts(
            distribution=evidence.text(fields.get("distribution"), _TEXT_LIMIT),
            since=since,
            until=until,
            days=min(_count(fields.get("days"), 31), day_of(until) - day_of(since) + 1),
            groups=_texts(fields.get("groups", ()), _LIST_LIMIT),
            roles=_texts(fields.get("roles"), _LIST_LIMIT),
        )
    except evidence.UnfitError as error:
        raise StoreError(f"the summary of the programs of {host} cannot be stored: {error}") from error


def read_ended(reported: t.Any, host: str) -> dict[tuple[str, str], str]:
    """Return why findings of a result ended, by alert and subject; raise StoreError for what is none."""
    try:
        ended = [evidence.mapping(item) for item in _bounded(reported)]
        return {
            (evidence.name(item.get("alert")), evidence.name(item.get("subject"))): evidence.line(
                item.get("reason"), _REASON_LIMIT
            )
            for item in ended
        }
    except evidence.UnfitError as error:
        raise StoreError(f"the end of findings of {host} cannot be recorded: {error}") from error


def digest(program: Program) -> str:
    """Return what identifies all that is known of a program."""
    return hashlib.sha256(json.dumps(program, separators=(",", ":")).encode()).hexdigest()


def day_of(time: float) -> int:
    """Return the day of a time (UTC), in days since the epoch."""
    return int(time // _DAY)


def _sightings(reported: t.Any, now: float) -> list[Sighting]:
    sightings = [_sighting(evidence.mapping(item), now) for item in _bounded(reported)]
    if len({sighting.program for sighting in sightings}) < len(sightings):
        raise evidence.UnfitError("one is in the result twice")
    size = sum(map(_size, sightings))
    if size > PROGRAMS_BYTES:
        raise evidence.UnfitError(f"{size} characters are more than {PROGRAMS_BYTES}")
    return sightings


def _bounded(reported: t.Any) -> t.Sequence[t.Any]:
    items = evidence.sequence(reported)
    if len(items) > SIGHTINGS_LIMIT:
        raise evidence.UnfitError(f"{len(items)} are more than {SIGHTINGS_LIMIT}")
    return items


def _sighting(fields: t.Mapping[t.Any, t.Any], now: float) -> Sighting:
    last = _time(fields.get("last"), now)
    last_day = min(_count(fields.get("last_day"), 31), day_of(now))
    executions = _count(fields.get("executions"), 53)
    return Sighting(
        program=_program(fields),
        first=min(_time(fields.get("first"), now), last),
        last=last,
        days=min(_count(fields.get("days"), 31), last_day + 1),
        last_day=last_day,
        executions=executions,
        explained=min(_count(fields.get("explained"), 53), executions),
        users=_texts(fields.get("users"), NAMES_LIMIT),
        parents=_texts(fields.get("parents"), NAMES_LIMIT, evidence.TEXT_LIMIT),
    )


def _program(fields: t.Mapping[t.Any, t.Any]) -> Program:
    path = evidence.name(fields.get("path"))
    try:
        return Program(
            kind=evidence.choice(fields.get("kind"), KINDS),
            path=path,
            image=evidence.text(fields.get("image"), _TEXT_LIMIT),
            interpreter=evidence.text(fields.get("interpreter")),
            sha256=_sha256(fields.get("sha256")),
            content=evidence.choice(fields.get("content"), CONTENTS),
            verification=evidence.choice(fields.get("verification"), VERIFICATIONS),
            writers=_texts(fields.get("writers"), _LIST_LIMIT),
            **{name: evidence.text(fields.get(name), _TEXT_LIMIT) for name in _NAMES},
        )
    except evidence.UnfitError as error:
        raise evidence.UnfitError(f"{path}: {error}") from error


def _size(sighting: Sighting) -> int:
    program = sighting.program
    names = (*program.writers, *sighting.users, *sighting.parents)
    return len(program.path) + len(program.interpreter) + sum(map(len, names))


def _sha256(value: t.Any) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise evidence.UnfitError("a SHA-256 digest in hexadecimal, or none, is needed")
    return evidence.plain_text(value)


def _texts(value: t.Any, number: int, limit: int = _TEXT_LIMIT) -> tuple[str, ...]:
    return tuple(evidence.text(item, limit) for item in evidence.sequence(value)[:number])


def _count(value: t.Any, bits: int) -> int:
    number = evidence.integer(value, bits)
    if number < 0:
        raise evidence.UnfitError("a number of 0 or more is needed")
    return number


def _time(value: t.Any, now: float) -> float:
    """Return a time, now for one to come: a clock that is ahead must not keep what it says for ever."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise evidence.UnfitError("a time in seconds since the epoch is needed")
    return min(float(value), now)
