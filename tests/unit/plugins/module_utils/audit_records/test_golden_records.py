# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of every record that go-libaudit's parser has golden files for."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner

from tests.support import paths, require
from tests.unit.plugins.module_utils.audit_records import golden

require("data:go-libaudit")
_DIRECTORY = paths.data() / "go-libaudit" / "auparse" / "testdata"
LOGS = sorted(path.name for path in _DIRECTORY.glob("*.log"))


def records(log: str) -> list[tuple[float, int, str, dict[str, str]]]:
    """Return time, number, type and fields of each record, in the order of the log."""
    content = (_DIRECTORY / log).read_bytes()
    found = []
    for line in content.splitlines(keepends=True):
        text = line if line.endswith(b"\n") else line + b"\n"
        one = Joiner()
        for event in [*one.events(text), *one.rest(1e12)]:
            for kind, body in event.records():
                name = kind.decode()
                found.append((event.time, event.serial, name.lower(), golden.fields(name, body)))
    return found


def expected(log: str) -> list[tuple[float, int, str, dict[str, str]]]:
    found = []
    for message in json.loads((_DIRECTORY / f"{log}.golden").read_text()):
        if message is None:
            # A line that is no record.
            continue
        time = dt.datetime.fromisoformat(message["@timestamp"]).timestamp()
        data = golden.without_noise(message.get("data") or {})
        found.append((round(time, 3), message["sequence"], message["record_type"].lower(), data))
    return found


@pytest.mark.parametrize("log", LOGS)
def test_every_field_is_what_go_libaudit_has(log: str) -> None:
    ours, theirs = records(log), expected(log)
    assert [(round(one[0], 3), *one[1:3]) for one in ours] == [one[:3] for one in theirs]
    wrong: list[t.Any] = []
    for mine, other in zip(ours, theirs, strict=True):
        names = mine[3].keys() | other[3].keys()
        wrong += [
            (other[2], other[1], name, mine[3].get(name), other[3].get(name))
            for name in sorted(names)
            if mine[3].get(name) != other[3].get(name)
        ]
    assert not wrong, "\n".join(map(str, wrong))
