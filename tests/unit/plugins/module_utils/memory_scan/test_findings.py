# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of processes becomes detections: one of each executable, the gravest class deciding."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import detect, drift
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import Content
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.detect import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Memory, Process, Sign
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content as compiled
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

from tests.unit.plugins.module_utils.memory_scan._processes import process


@pytest.fixture(scope="module")
def content() -> Content:
    return Content(compiled.load())


def seen(one: Process, *signs: Sign, sockets: t.Sequence[Socket] = ()) -> Seen:
    return Seen(one, signs, [process("/usr/sbin/sshd")], "root", 1_700_000_000.25, "ab" * 32, sockets)


def test_all_that_is_seen_of_an_executable_is_one_detection_of_the_gravest_class(content: Content) -> None:
    behavior = Sign("executable_replaced", "another file is there")
    technique = Sign("memfd_executable", "it is in memory", memory=(Memory(4096, 8192, "r-xp", "", 4096, 7.5),))
    both = seen(process("/memfd:x", deleted=True), behavior, technique)
    same = seen(process("/memfd:x", deleted=True), technique)
    (found,) = detect.of_processes([both, same], content, "processes")
    assert (found["alert"], found["subject"], found["severity"]) == ("fileless_attack_technique", "/memfd:x", "high")
    assert found["count"] == 2
    assert found["first_time"] == 1_700_000_000.25
    assert "T1620" in found["techniques"]
    signs = found["evidences"][0]["data"]["signs"]
    assert [sign["subtype"] for sign in signs] == ["memfd_executable", "executable_replaced"]
    assert signs[0]["memory"] == [{"range": "1000-2000", "permissions": "r-xp", "size": 4096, "entropy": 7.5}]
    assert found["message"].count("it is in memory") == 1


def test_the_evidence_has_who_it_is_and_whom_it_talks_to_and_the_controller_takes_it(
    content: Content,
) -> None:
    sockets = (
        Socket("tcp", "listen", ("10.0.0.1", 4444), None, 1, 0, 1),
        Socket("tcp", "established", ("10.0.0.1", 40000), ("203.0.113.5", 443), 2, 0, 1),
    )
    one = process("/tmp/\u202ex", "/tmp/x", "--password=hunter2", container="ab" * 32, user=33)
    (found,) = detect.of_processes([seen(one, Sign("memfd_executable", "x"), sockets=sockets)], content, "processes")
    (shown,) = found["evidences"]
    assert shown["data"]["listening"] == ["tcp 10.0.0.1:4444"]
    assert shown["data"]["connections"] == ["tcp 10.0.0.1:40000 to 203.0.113.5:443 (established)"]
    assert shown["data"]["started"] == one.started
    assert shown["process"]["user"] == {"uid": "33", "name": "root"}
    assert shown["process"]["parent_process"]["path"] == "/usr/sbin/sshd"
    assert "hunter2" not in json.dumps(found)
    assert "\u202e" not in json.dumps(found, ensure_ascii=False)
    assert found["subject"].endswith("in container abababababab")
    notes = evidence.Notes()
    assert evidence.evidences(found["evidences"], notes) == found["evidences"]
    assert notes.lines == []


def test_long_command_lines_are_cut_those_of_parents_sooner(content: Content) -> None:
    one = process("/tmp/x", "/tmp/x", "a" * 5000)
    parent = process("/usr/bin/make", "make", "b" * 5000)
    member = Seen(one, [Sign("memfd_executable", "x")], [parent], None, 1.0, None, ())
    (found,) = detect.of_processes([member], content, "processes")
    shown = found["evidences"][0]["process"]
    assert (len(shown["cmd_line"]), len(shown["parent_process"]["cmd_line"])) == (2000, 300)


def test_signs_of_the_host_are_detections_by_their_subject(content: Content) -> None:
    signs = [
        ("a", Sign("memfd_executable", "1")),
        ("b", Sign("memfd_executable", "2")),
        ("a", Sign("memfd_executable", "3")),
    ]
    found = detect.of_host(signs, content, "host")
    assert [(one["subject"], len(one["evidences"][0]["data"]["signs"])) for one in found] == [("a", 2), ("b", 1)]
    assert {one["scope"] for one in found} == {"host"}


def test_a_thousand_workers_are_one_detection_with_some_of_them(content: Content) -> None:
    workers = [seen(process("/tmp/worker"), Sign("memfd_executable", "x")) for _number in range(1000)]
    (found,) = detect.of_processes(workers, content, "processes")
    assert found["count"] == 1000
    assert len(found["evidences"]) == 10
    assert len(found["message"]) < 200


def test_a_finding_of_many_processes_says_which_and_stays_the_same_finding(content: Content) -> None:
    def scanned(first: int) -> dict[str, t.Any]:
        workers = [
            seen(process("/usr/bin/worker", pid=first + at), Sign("executable_replaced", "x")) for at in range(40)
        ]
        odd = seen(process("/usr/bin/worker", pid=first + 77), Sign("executable_replaced", "odd"))
        (found,) = detect.of_processes([*workers, odd], content, "processes")
        return found

    first, second = scanned(1000), scanned(5000)
    started = "2023-11-14 22:13:20 UTC"
    title = content.subtypes["executable_replaced"].title
    assert first["message"] == (
        f"{title}: x (40 processes: 1000 ({started}), 1001 ({started}), 1002 ({started}) and 37 more); "
        f"{title}: odd (1 process: 1077 ({started})). "
        f"Seen of 41 processes: 1000 ({started}), 1001 ({started}), 1002 ({started}) and 38 more."
    )
    assert first["message"] != second["message"]
    assert [(one["alert"], one["subject"], one["scope"]) for one in (first, second)] == [
        ("fileless_attack_behavior", "/usr/bin/worker", "processes")
    ] * 2


def test_the_gravest_of_many_workers_is_among_those_that_are_told(content: Content) -> None:
    workers = [seen(process("/bin/sh"), Sign("memfd_executable", "x", severity="low")) for _number in range(100)]
    grave = seen(process("/bin/sh", pid=77), Sign("memfd_executable", "grave"))
    (found,) = detect.of_processes([*workers, grave], content, "processes")
    assert found["evidences"][0]["process"]["pid"] == 77


def test_many_findings_leave_room_for_the_gravest(content: Content) -> None:
    low = [seen(process("/tmp/%d" % number), Sign("temporary_executable", "x")) for number in range(20)]
    found = detect.of_processes(low, content, "processes")
    found += detect.of_host([("/etc/ld.so.preload", Sign("preload_file_hidden", "x"))], content, "host")
    kept = detect.fitting(found, 5)
    assert [one["severity"] for one in kept] == ["low"] * 4 + ["critical"]
    assert detect.fitting(found, 50) == found
    room = 2 * len(json.dumps(kept[-1]))
    assert detect.fitting(found, 50, room)[-1]["severity"] == "critical"
    assert len(json.dumps(detect.fitting(found, 50, room))) <= room + 10


def test_what_is_new_since_the_last_scan_has_the_place_that_the_catalogue_gives_it(content: Content) -> None:
    door = seen(process("/tmp/door"), sockets=[Socket("tcp", "listen", ("192.0.2.1", 4444), None, 1, 0, 1)])
    last = {drift.LISTENER: {"x": 0.0}}
    new, _remembered = drift.compare(last, drift.current([door], 32_768), 1.0, "drift", lambda _seen: False)
    worse = detect.of_processes([seen(process("/bin/sh"), Sign("memfd_executable", "x"))], content, "processes")
    mentioned = [{**new[0], "severity": "informational"}]

    assert detect.fitting(mentioned + new + worse, 3) == mentioned + new + worse
    assert detect.fitting(mentioned + new + worse, 2) == new + worse
    known = catalogue.load()
    assert {known.alert(name).severity for name in (drift.LISTENER, drift.PRIVILEGED)} == {"low"}


def test_a_large_finding_tells_of_one_process(content: Content) -> None:
    data = {"files": ["/tmp/" + "x" * 4000] * 20}
    workers = [seen(process("/tmp/worker"), Sign("memfd_executable", "x", data=data)) for _number in range(10)]
    (found,) = detect.fitting(detect.of_processes(workers, content, "processes"), 10)
    assert (found["count"], len(found["evidences"])) == (10, 1)


@pytest.mark.parametrize("packed", ["", "x", "eJwDAAAAAAE=", "eJyrBQAAdgB2"])
def test_content_that_is_none_is_refused(packed: str) -> None:
    with pytest.raises(UsageError, match="_content"):
        Content(packed)
