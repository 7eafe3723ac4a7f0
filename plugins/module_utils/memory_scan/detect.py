# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen of processes to detections: one for each executable, with all that was seen of it."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _secrets
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES, detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import CLASSES, Content
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign

_MOST_SIGNS = 30
_MOST_SOCKETS = 30
# Of a thousand workers of the same program, these tell as much as all of them.
_MOST_PROCESSES = 10
# Of those, so many are named in the message.
_MOST_NAMED = 3
_MOST_ANCESTORS = 6
_LONGEST_COMMAND = 2000
_LONGEST_OF_A_PARENT = 300
# What the catalogue says of those alerts that have no severity from here: what is there since the last scan.
_OF_CATALOGUE = "low"
# Characters of all findings together, and of one that tells of several processes: somebody may have long paths.
_ROOM = 16 << 20
_LARGE = 256 << 10


class Seen(t.NamedTuple):
    """A process, what was seen of it, and what is told beside that.

    parents: the nearest first. user: the name of its account. started: seconds since the epoch. sha256: of the
    executable, None where it could not be had.
    """

    process: Process
    signs: t.Sequence[Sign]
    parents: t.Sequence[Process]
    user: str | None
    started: float
    sha256: str | None
    sockets: t.Sequence[Socket]


def of_processes(seen: t.Iterable[Seen], content: Content, scope: str) -> list[dict[str, t.Any]]:
    """Return the detections, the gravest first."""
    groups: dict[tuple[str, str], list[Seen]] = {}
    for one in seen:
        groups.setdefault((content.gravest(one.signs), subject(one.process)), []).append(one)
    return [
        _detection(kind, about, members, content, scope)
        for (kind, about), members in sorted(groups.items(), key=lambda item: _order(item[0]))
    ]


def of_host(signs: t.Iterable[tuple[str, Sign]], content: Content, scope: str) -> list[dict[str, t.Any]]:
    """Return the detections of what is no single process. signs: with their subjects."""
    groups: dict[tuple[str, str], list[Sign]] = {}
    for about, sign in signs:
        groups.setdefault((content.kind(sign), about), []).append(sign)
    found = []
    for (kind, about), members in sorted(groups.items(), key=lambda item: _order(item[0])):
        found.append(
            detection(
                CLASSES[kind],
                about,
                scope,
                [{"data": {"signs": [_sign(sign, content) for sign in members[:_MOST_SIGNS]]}}],
                severity=content.worst(members),
                message=_sentence(list(dict.fromkeys(_text(sign, content) for sign in ordered(members, content)))),
                techniques=_techniques(members, content),
            )
        )
    return found


def fitting(detections: t.Sequence[dict[str, t.Any]], most: int, room: int = _ROOM) -> list[dict[str, t.Any]]:
    """Return what there is room for, in the order in which it came, so that many findings don't hide a grave one.

    most: findings. room: characters. Of a large one with several processes the first is told, which is the gravest.
    """
    kept: dict[int, dict[str, t.Any]] = {}
    for number in sorted(range(len(detections)), key=lambda one: -_rank(detections[one]["severity"]))[:most]:
        one = detections[number]
        size = len(json.dumps(one))
        if size > _LARGE and len(one["evidences"]) > 1:
            one = {**one, "evidences": one["evidences"][:1]}
            size = len(json.dumps(one))
        if size <= room:
            room -= size
            kept[number] = one
    return [kept[number] for number in sorted(kept)]


def _rank(severity: str | None) -> int:
    """Return the place of a severity among all, None where it is the catalogue's."""
    return SEVERITIES.index(severity or _OF_CATALOGUE)


def subject(process: Process) -> str:
    """Return what the finding is about: the executable, and the container in which it is. Pids come and go."""
    what = printable(process.executable if process.executable is not None else process.name)
    return "%s in container %s" % (what, process.container[:12]) if process.container else what


def _order(key: tuple[str, str]) -> tuple[int, str]:
    return -list(CLASSES).index(key[0]), key[1]


def _detection(kind: str, about: str, members: t.Sequence[Seen], content: Content, scope: str) -> dict[str, t.Any]:
    signs = [sign for one in members for sign in one.signs]
    gravest = sorted(members, key=lambda one: -SEVERITIES.index(content.worst(one.signs)))
    evidences = [_evidence(one, content) for one in gravest[:_MOST_PROCESSES]]
    return detection(
        CLASSES[kind],
        about,
        scope,
        evidences,
        severity=content.worst(signs),
        first_time=min(one.started for one in members),
        count=len(members),
        message=_message(gravest, content),
        techniques=_techniques(signs, content),
    )


def _message(members: t.Sequence[Seen], content: Content) -> str:
    """Return what was seen, the gravest first, each once, and of which processes. members: the gravest first.

    Pids come and go: they are in the message and the evidence, and never in what a finding is known by.
    """
    of_text: dict[str, list[Seen]] = {}
    for sign in ordered([sign for one in members for sign in one.signs], content):
        of_text.setdefault(_text(sign, content), [])
    for one in members:
        for text in dict.fromkeys(_text(sign, content) for sign in one.signs):
            of_text[text].append(one)
    if len(members) == 1:
        return _sentence(list(of_text))
    texts = [
        text if len(some) == len(members) else "%s (%s)" % (text, _processes(some)) for text, some in of_text.items()
    ]
    return "%s Seen of %s." % (_sentence(texts), _processes(members))


def _text(sign: Sign, content: Content) -> str:
    return "%s: %s" % (content.subtypes[sign.subtype].title, sign.detail)


def _sentence(texts: t.Sequence[str]) -> str:
    more = len(texts) - _MOST_SIGNS
    return "; ".join(texts[:_MOST_SIGNS]) + ("; and %d more" % more if more > 0 else "") + "."


def _processes(some: t.Sequence[Seen]) -> str:
    """Say how many processes there are, and name the first of them by pid and start, which together are of one only."""
    named = [
        "%d (%s)" % (one.process.pid, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(one.started)))
        for one in some[:_MOST_NAMED]
    ]
    more = len(some) - len(named)
    return "%d process%s: %s%s" % (
        len(some),
        "" if len(some) == 1 else "es",
        ", ".join(named),
        " and %d more" % more if more else "",
    )


def ordered(signs: t.Sequence[Sign], content: Content) -> list[Sign]:
    """Return signs by class and severity, the gravest first, otherwise as they came."""
    return sorted(
        signs, key=lambda sign: (-list(CLASSES).index(content.kind(sign)), -_severity(sign, content), sign.subtype)
    )


def _severity(sign: Sign, content: Content) -> int:
    return ("informational", "low", "medium", "high", "critical").index(content.severity(sign))


def _techniques(signs: t.Sequence[Sign], content: Content) -> list[str]:
    found = {technique for sign in signs for technique in content.subtypes[sign.subtype].attack}
    # A signature knows more closely what its tool is for.
    return sorted(found.union(*(sign.data.get("attack", ()) for sign in signs)))


def _sign(sign: Sign, content: Content) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {
        "subtype": sign.subtype,
        "class": content.kind(sign),
        "severity": content.severity(sign),
        "detail": sign.detail,
    }
    if sign.memory:
        shown["memory"] = [memory.shown() for memory in sign.memory]
    rest = {name: value for name, value in sign.data.items() if name != "class"}
    if rest:
        shown["facts"] = rest
    return shown


def _evidence(one: Seen, content: Content) -> dict[str, t.Any]:
    found = process_evidence(one)
    signs = [_sign(sign, content) for sign in ordered(one.signs, content)[:_MOST_SIGNS]]
    # What was seen comes first: readers show so much of a finding and no more.
    return {**found, "data": {"signs": signs, **found["data"]}}


def process_evidence(one: Seen) -> dict[str, t.Any]:
    """Return what is told of a process, whatever was seen of it."""
    process = one.process
    # With the pid, what tells this process from a later one of the same number.
    data: dict[str, t.Any] = {"started": process.started}
    listening = [_listener(socket) for socket in one.sockets if socket.state in ("listen", "unconnected")]
    connected = [_connection(socket) for socket in one.sockets if socket.remote is not None]
    if listening:
        data["listening"] = listening[:_MOST_SOCKETS]
    if connected:
        data["connections"] = connected[:_MOST_SOCKETS]
    if process.container:
        data["pid_in_container"] = process.pids[-1] if process.pids else process.pid
    found: dict[str, t.Any] = {"data": data, "process": _process(process, one)}
    if process.container:
        found["container"] = {"uid": process.container}
    return found


def _process(process: Process, one: Seen) -> dict[str, t.Any]:
    shown = _program(process)
    if process.executable is not None:
        shown["file"] = _file(process, one.sha256)
    shown["created_time"] = int(one.started * 1000)
    shown["user"] = {"uid": str(process.users[1]), **({"name": one.user} if one.user else {})}
    if process.directory is not None:
        shown["working_directory"] = printable(process.directory)
    below = shown
    for parent in one.parents[:_MOST_ANCESTORS]:
        below["parent_process"] = _program(parent, _LONGEST_OF_A_PARENT)
        below = below["parent_process"]
    return shown


def _program(process: Process, longest: int = _LONGEST_COMMAND) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"pid": process.pid, "name": printable(process.name)}
    if process.executable is not None:
        shown["path"] = printable(process.executable) + (" (deleted)" if process.executable_deleted else "")
    line = command_line(process)[:longest]
    if line:
        shown["cmd_line"] = line
    return shown


def _file(process: Process, sha256: str | None) -> dict[str, t.Any]:
    path = printable(process.executable or b"")
    file: dict[str, t.Any] = {"name": os.path.basename(path) or path, "path": path, "type_id": 1}
    if process.executable_deleted:
        file["is_deleted"] = True
    if process.status is not None:
        file["size"] = process.status.size
    if sha256 is not None:
        file["hashes"] = [{"algorithm": "SHA-256", "algorithm_id": 3, "value": sha256}]
    return file


def command_line(process: Process) -> str:
    """Return the arguments as text that is safe to show, without the passwords that are told as such."""
    line = " ".join(printable(argument) for argument in process.arguments)[: 4 * _LONGEST_COMMAND]
    return _secrets.masked(line)[:_LONGEST_COMMAND]


def _listener(socket: Socket) -> str:
    address, port = socket.local or ("", 0)
    return "%s %s:%d" % (socket.protocol, address, port)


def _connection(socket: Socket) -> str:
    here, there = socket.local or ("", 0), socket.remote or ("", 0)
    return "%s %s:%d to %s:%d (%s)" % (socket.protocol, here[0], here[1], there[0], there[1], socket.state)
