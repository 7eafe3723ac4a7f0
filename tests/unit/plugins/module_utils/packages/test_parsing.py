# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.packages import dpkg_files, path_index, rpm_query
from ansible_collections.bulwark.servers.plugins.module_utils.packages.aliases import MergedDirectories
from hypothesis import given
from hypothesis import strategies as st

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
DIGEST = bytes.fromhex(MD5)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (f"{MD5}  usr/bin/tool", b"/usr/bin/tool"),
        (f"{MD5}  ./usr/bin/tool", b"/usr/bin/tool"),
        (f"{MD5}  /usr/bin/tool", b"/usr/bin/tool"),
        (f"{MD5} *usr/bin/tool", b"/usr/bin/tool"),
        (f"{MD5}  usr/share/a  b", b"/usr/share/a  b"),
        (f"{MD5}  usr/lib/x\\x2dy.slice", b"/usr/lib/x\\x2dy.slice"),
        (f"\\{MD5}  usr/lib/x\\\\x2dy.slice", b"/usr/lib/x\\x2dy.slice"),
        (f"\\{MD5}  usr/lib/x\\ny", b"/usr/lib/x\ny"),
    ],
)
def test_a_line_of_md5sums(line: str, path: bytes) -> None:
    assert dpkg_files.parse_md5sums(f"{line}\n".encode()) == {path: DIGEST}


@pytest.mark.parametrize("line", ["", MD5, f"{MD5}  ", f"{MD5[:-1]}  usr/bin/tool", "# comment", f"{MD5}usr/bin/tool"])
def test_what_is_no_line_of_md5sums(line: str) -> None:
    assert dpkg_files.parse_md5sums(f"{line}\n".encode()) == {}


STATUS = f"""\
Package: tool
Essential: yes
Status: hold ok installed
Architecture: amd64
Version: 1:2.0-1
Conffiles:
 /etc/with space/a {MD5}
 /etc/old {MD5} obsolete
 /etc/new newconffile
 /etc/gone newconffile remove-on-upgrade
Description: a tool
 Package: not-a-field
 Status: none either

Package: gone
Status: purge ok not-installed
Architecture: all

Package: half
Status: install reinstreq half-installed
Architecture: all
Version: 3
"""


def test_a_status_file() -> None:
    found = dpkg_files.parse_status(STATUS.encode())
    assert list(found) == [("tool", "amd64"), ("gone", "all"), ("half", "all")]
    tool = found["tool", "amd64"]
    assert (tool.version, tool.state, tool.complete, tool.settled) == ("1:2.0-1", "installed", True, True)
    assert {path: (conffile.md5, conffile.obsolete) for path, conffile in tool.conffiles.items()} == {
        b"/etc/with space/a": (DIGEST, False),
        b"/etc/old": (DIGEST, True),
        b"/etc/new": (None, False),
        b"/etc/gone": (None, False),
    }
    assert (found["half", "all"].complete, found["gone", "all"].state) == (False, "not-installed")


def test_diversions_and_overrides() -> None:
    assert dpkg_files.parse_diversions(b"/bin/sh\n/bin/sh.distrib\ndash\n/bin/a\n/bin/a.local\n:\n") == [
        dpkg_files.Diversion(b"/bin/sh", b"/bin/sh.distrib", "dash"),
        dpkg_files.Diversion(b"/bin/a", b"/bin/a.local", None),
    ]
    assert dpkg_files.parse_statoverrides(b"root #104 4754 /usr/lib/a b\nbroken\n") == {
        b"/usr/lib/a b": dpkg_files.StatOverride("root", "#104", 0o4754)
    }


PATHS = st.lists(st.lists(st.binary(min_size=1, max_size=4), max_size=6), max_size=5)


@given(PATHS, st.binary(max_size=4))
def test_the_index_finds_exactly_what_it_was_given(groups: list[list[bytes]], other: bytes) -> None:
    index = path_index.PathIndex(groups)
    everything = [(number, path) for number, group in enumerate(groups) for path in group]
    assert len(index) == len(everything)
    for path in {other, *(path for _number, path in everything)}:
        found = list(index.find(path))
        assert [index.group(ordinal) for ordinal in found] == [number for number, name in everything if name == path]
        assert all(index.path(ordinal) == path for ordinal in found)
    for number, group in enumerate(groups):
        assert [index.path(ordinal) for ordinal in index.members(number)] == group


def test_the_index_tells_directories_from_what_only_begins_alike() -> None:
    groups = [[b"/a", b"/a/b", b"/a/b2", b"/x/a/b/c"], [b"/a/b/c"], []]
    index = path_index.PathIndex(groups)
    leading = [index.path(ordinal) for ordinal in index.members(0) if index.leads_on(ordinal, 0)]
    assert leading == [b"/a"]
    assert not index.leads_on(4, 1)


def quoted(text: bytes) -> bytes:
    return b"'" + text.replace(b"'", b"'\\''") + b"'"


NAME = st.binary(max_size=12).map(lambda name: name.replace(b"\0", b"\n"))


@given(st.lists(st.tuples(NAME, NAME, NAME), max_size=4))
def test_no_name_breaks_the_answer_of_rpm(names: list[tuple[bytes, bytes, bytes]]) -> None:
    answer = b"P 7\n"
    for name, link, user in names:
        answer += b"F %s %s %s 'root' '' .00ff 33188 1 4294967295 0\n" % (quoted(name), quoted(link), quoted(user))
    ((number, rows),) = list(rpm_query.parse_files(answer))
    assert number == 7
    assert [(row.name, row.link_target, os.fsencode(row.user)) for row in rows] == names
    assert all(row.installed and row.digest == b"00ff" and row.mode == 33188 for row in rows)


@pytest.mark.parametrize("answer", [b"(contains no files)\n", b"P 1\nF 'x\n", b"P x\n", b"P 1\nP 2\nrubbish"])
def test_an_answer_that_is_none_is_refused(answer: bytes) -> None:
    with pytest.raises(rpm_query.AnswerError, match="not understood at byte"):
        list(rpm_query.parse_files(answer))


def test_a_list_of_packages() -> None:
    answer = (
        b"1 8 0 'bash' '5.2' '1.el9' 'x86_64'\n2 (none) 2 'it'\\''s' '1' '1' '(none)'\n3 99 0 'new' '1' '1' 'noarch'\n"
    )
    rows = rpm_query.parse_packages(answer)
    assert [(row.algorithm, row.name, row.version) for row in rows] == [
        ("sha256", "bash", "5.2-1.el9"),
        ("md5", "it's", "2:1-1"),
        (None, "new", "1-1"),
    ]
    with pytest.raises(rpm_query.AnswerError, match="not understood at byte 36"):
        rpm_query.parse_packages(answer.replace(b"\n2 ", b"\nx "))


def test_a_key_that_was_imported_has_no_architecture() -> None:
    answer = b"1 (none) 0 'gpg-pubkey' '4e491a50' '6b0b1331' (none)\n2 8 0 'tool' '1.0' '1' 'noarch'\n"
    rows = rpm_query.parse_packages(answer)
    assert [(row.name, row.arch) for row in rows] == [("gpg-pubkey", ""), ("tool", "noarch")]


def test_merged_directories_of_a_chain_of_links(tmp_path: pathlib.Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "etc/rc.d/init.d").mkdir(parents=True)
    (tmp_path / "usr/sbin").symlink_to("bin")
    (tmp_path / "sbin").symlink_to("/usr/sbin")
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "etc/init.d").symlink_to("rc.d/init.d")
    (tmp_path / "lib").mkdir()
    merged = MergedDirectories(os.fsencode(tmp_path))
    assert merged.names(b"/sbin/init")[0] == b"/usr/bin/init"
    assert set(merged.names(b"/usr/bin/init")) == {b"/usr/bin/init", b"/bin/init", b"/sbin/init", b"/usr/sbin/init"}
    assert merged.names(b"/etc/init.d/ssh") == [b"/etc/rc.d/init.d/ssh", b"/etc/init.d/ssh"]
    assert merged.names(b"/lib/x") == [b"/lib/x"]
    assert merged.names(b"/usr/binary") == [b"/usr/binary"]


def test_a_loop_of_links_ends(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bin").symlink_to("sbin")
    (tmp_path / "sbin").symlink_to("bin")
    assert MergedDirectories(os.fsencode(tmp_path)).names(b"/etc/x") == [b"/etc/x"]


def test_rpm_packages_with_the_times_of_their_installation() -> None:
    listed = b"1700000000 7 8 0 'tool' '1.0' '2' 'noarch'\n1700000001 8 8 1 'o'\\''s' '1' '1' (none)\n"
    assert [(timestamp, row.name, row.version) for timestamp, row in rpm_query.parse_times(listed)] == [
        (1700000000, "tool", "1.0-2"),
        (1700000001, "o's", "1:1-1"),
    ]
    for wrong in (b"(none) 7 8 0 'tool' '1.0' '2' 'noarch'\n", listed + b"x", b"1700000000 'tool'\n"):
        with pytest.raises(rpm_query.AnswerError):
            rpm_query.parse_times(wrong)
