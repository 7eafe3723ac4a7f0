# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is new since the last scan: who listens, and who has rights by a set-uid file."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import drift
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.detect import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process

from tests.unit.plugins.module_utils.memory_scan._processes import process

ANY = "0.0.0.0"  # noqa: S104
NOW = 1_800_000_000.0
DAY = 86_400


def seen(one: Process, *listening: tuple[str, str, int]) -> Seen:
    sockets = [
        Socket(name, "listen" if name.startswith("tcp") else "unconnected", (address, port), None, 1, 0, 1)
        for name, address, port in listening
    ]
    return Seen(one, (), (), None, NOW, None, sockets)


def there(*ones: Seen) -> drift.Drift:
    return drift.current(ones, 32_768)


def owned(_one: Seen) -> bool:
    return True


def loose(_one: Seen) -> bool:
    return False


def alerts(
    last: t.Mapping[str, t.Any], now: drift.Drift, moment: float = NOW
) -> tuple[list[tuple[str, str]], dict[str, t.Any]]:
    found, remembered = drift.compare(last, now, moment, "drift", loose)
    return [(one["alert"], one["subject"]) for one in found], remembered


SSHD = seen(process("/usr/sbin/sshd"), ("tcp", ANY, 22), ("tcp6", "::", 22))


def test_of_the_first_scan_nothing_is_new_and_of_the_second_what_was_not_there() -> None:
    found, remembered = alerts({}, there(SSHD))
    assert found == []
    door = seen(process("/tmp/door"), ("tcp", ANY, 4444))
    found, remembered = alerts(remembered, there(SSHD, door))
    assert found == [("process_new_listener", "port 4444/tcp of /tmp/door")]
    assert alerts(remembered, there(SSHD, door))[0] == []


def test_what_comes_back_within_a_month_is_not_new_and_later_it_is() -> None:
    door = there(seen(process("/opt/door"), ("udp", "10.0.0.1", 53)))
    remembered = alerts({}, door)[1]
    remembered = alerts(remembered, there(SSHD), NOW + 29 * DAY)[1]
    assert alerts(remembered, door, NOW + 29 * DAY)[0] == []
    remembered = alerts(remembered, there(SSHD), NOW + 31 * DAY)[1]
    assert len(alerts(remembered, door, NOW + 31 * DAY)[0]) == 1


@pytest.mark.parametrize(
    ("listening", "about"),
    [
        (("tcp", "127.0.0.1", 5432), None),
        (("tcp6", "::1", 5432), None),
        (("udp", ANY, 40_000), None),
        (("tcp", ANY, 40_000), "some port/tcp of /x"),
        (("tcp6", "fe80::1", 80), "port 80/tcp of /x"),
        (("raw", ANY, 1), None),
        (("tcp", "nonsense", 80), None),
    ],
)
def test_what_others_can_reach_counts(listening: tuple[str, str, int], about: str | None) -> None:
    assert list(there(seen(process("/x"), listening)).listeners) == ([about] if about else [])


def test_programs_with_rights_by_a_set_uid_file_are_new_once() -> None:
    remembered = alerts({}, there(SSHD))[1]
    sudo = seen(process("/usr/bin/sudo", user=(1000, 0, 0, 0), mode=0o4755))
    kept = seen(process("/home/x/rootshell", user=0, mode=0o4755))
    assert alerts(remembered, there(SSHD, sudo, kept))[0] == [
        ("process_new_privileged", "/home/x/rootshell"),
        ("process_new_privileged", "/usr/bin/sudo"),
    ]


def test_a_new_listener_of_a_package_is_only_mentioned() -> None:
    door = there(seen(process("/usr/sbin/nginx"), ("tcp", ANY, 80)))
    last = drift.compare({}, there(SSHD), NOW, "drift", owned)[1]
    (found,) = drift.compare(last, door, NOW, "drift", owned)[0]
    assert found["severity"] == "informational"


def test_what_is_remembered_outlives_the_scan_and_damage_is_said(tmp_path: pathlib.Path) -> None:
    where = drift.open_state(str(tmp_path / "state"), create=True)
    assert where is not None
    assert drift.read(where) == {}
    with drift.locked(where, 1):
        drift.write(where, {"process_new_listener": {"a": 1.0}})
    assert drift.read(where) == {"process_new_listener": {"a": 1.0}}
    file = pathlib.Path(where.path) / "last.json"
    for text in ("", "[]", '{"version": 1}', '{"version": 1, "seen": 5}', "[" * 100_000):
        file.write_text(text)
        with pytest.raises(DamagedError, match=r"last\.json is damaged"):
            drift.read(where)
    file.write_text('{"version": 2, "seen": {}}')
    with pytest.raises(NewerError):
        drift.read(where)
    where.close()


@pytest.mark.parametrize("last", [{"process_new_listener": 5}, {"process_new_listener": {"a": "x"}}, {"x": {}}])
def test_what_is_remembered_may_be_anything(last: dict[str, t.Any]) -> None:
    assert len(alerts(last, there(SSHD))[0]) == 1
