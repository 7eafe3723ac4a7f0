# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A product as the controller describes it to the host: how it is noticed, and where it says how it is."""

from __future__ import annotations

import typing as t

# It stops malware; it finds malware when asked; it watches and reports; it is a part of the operating system. The last
# is no endpoint protection by itself: what is wrong with it is a finding only where it is expected.
PROTECTION, SCANNER, SENSOR, SYSTEM = KINDS = ("protection", "scanner", "sensor", "system")


class Command(t.NamedTuple):
    """A command that only reads. programs: absolute paths, of which the first that exists is run."""

    name: str
    programs: t.Sequence[str]
    arguments: t.Sequence[str]


class StateFile(t.NamedTuple):
    """A file to read. paths: the first that exists. fresh: seconds after which it is out of date, None for never."""

    name: str
    paths: t.Sequence[str]
    fresh: float | None


class Query(t.NamedTuple):
    """A request to the daemon over its unix socket. send: text, of which NUL is the end of the response, too."""

    name: str
    sockets: t.Sequence[str]
    send: str


class Entry(t.NamedTuple):
    """One product. The file of the same name in the content explains each field.

    programs: patterns (fnmatch) of the paths of its daemons. self_updating: it replaces its programs without the
    package manager. accounts: besides root, who writes its state files.
    """

    id: str
    title: str
    kind: str
    packages: t.Sequence[str]
    units: t.Sequence[str]
    programs: t.Sequence[str]
    sockets: t.Sequence[str]
    paths: t.Sequence[str]
    accounts: t.Sequence[str]
    commands: t.Sequence[Command]
    files: t.Sequence[StateFile]
    queries: t.Sequence[Query]
    self_updating: bool


def parse(content: t.Mapping[str, t.Any]) -> list[Entry]:
    """Return the products of the option ``_content``: ``{products: {id: {field: value}}}``."""
    return [_entry(identifier, fields) for identifier, fields in content["products"].items()]


def _entry(identifier: str, fields: t.Mapping[str, t.Any]) -> Entry:
    lists = {
        name: tuple(fields.get(name, ())) for name in ("packages", "units", "programs", "sockets", "paths", "accounts")
    }
    return Entry(
        id=identifier,
        title=fields["title"],
        kind=fields["kind"],
        commands=[
            Command(name, tuple(each["programs"]), tuple(each.get("arguments", ())))
            for name, each in fields.get("commands", {}).items()
        ],
        files=[
            StateFile(name, tuple(each["paths"]), each.get("fresh")) for name, each in fields.get("files", {}).items()
        ],
        queries=[Query(name, tuple(each["sockets"]), each["send"]) for name, each in fields.get("queries", {}).items()],
        self_updating=bool(fields.get("self_updating", False)),
        **lists,
    )
