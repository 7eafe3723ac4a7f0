# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import stat
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import differences, lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import attributes
from hypothesis import given
from hypothesis import strategies as st

_NUMBERS = st.integers(0, 2**63 - 1)
_NAMES = st.binary(min_size=1).filter(lambda name: b"/" not in name and b"\0" not in name)
_DIGESTS = st.sampled_from([None, {}, {"sha256": "ab" * 32}])
_XATTRS = st.none() | st.dictionaries(_NAMES, st.binary(max_size=30), max_size=3)


class _Status(t.NamedTuple):
    st_mode: int
    st_uid: int
    st_gid: int
    st_size: int
    st_ino: int
    st_nlink: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_rdev: int


_TYPES = st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR])
_STATUS = st.builds(
    _Status,
    st.builds(lambda kind, bits: kind | bits, _TYPES, st.integers(0, 0o7777)),
    *[_NUMBERS] * 8,
)


@given(_NAMES)
def test_a_name_is_one_word_and_comes_back(name: bytes) -> None:
    word = lines.escape(name)
    assert not set(word) & set(b" \n\t,=\0")
    assert lines.unescape(word) == name


@given(
    name=_NAMES,
    status=_STATUS,
    flags=st.sampled_from([None, 0, 0x10, 0x20, 0x30]),
    target=st.none() | st.binary(min_size=1),
    xattrs=_XATTRS,
    digests=_DIGESTS,
    package=st.none() | st.just("dpkg:a b:amd64"),
    marked=st.booleans(),
)
def test_a_line_holds_all_that_was_recorded(
    name: bytes,
    status: _Status,
    flags: int | None,
    target: bytes | None,
    xattrs: dict[bytes, bytes] | None,
    digests: dict[str, str] | None,
    package: str | None,
    marked: bool,
) -> None:
    layout = lines.Layout(model.Watch("w", ("/",)))
    beginning = layout.status(lines.escape(name), t.cast("t.Any", status))
    state = beginning + layout.rest(flags, target, xattrs, digests)
    line = lines.recorded(state, package, marked)
    assert b"\n" not in line
    assert line.startswith(beginning)
    assert lines.state_of(line) == state
    assert lines.states(line, state) is not marked
    assert lines.is_marked(line) is marked
    assert lines.is_unread(line) is (digests == {})
    entry = lines.parse(line, b"/x", "w")
    directory = stat.S_ISDIR(status.st_mode)
    assert entry.type == lines.type_of(line)
    assert entry.mode == stat.S_IMODE(status.st_mode)
    assert (entry.uid, entry.gid) == (status.st_uid, status.st_gid)
    assert entry.ctime_ns == (None if directory else status.st_ctime_ns)
    assert entry.device == (status.st_rdev if stat.S_ISCHR(status.st_mode) else None)
    assert entry.link_target == target
    assert entry.hashes == digests
    assert entry.xattrs == xattrs
    assert entry.package == package
    assert entry.package_mismatch is marked
    assert (entry.flags is None) is (flags is None)


def test_what_a_watch_does_not_select_is_not_recorded(tmp_path: pathlib.Path) -> None:
    status = tmp_path.stat()
    for attribute in model.ATTRIBUTES:
        layout = lines.Layout(model.Watch("w", ("/",), attributes=frozenset({attribute})))
        line = lines.recorded(layout.status(b"x", status) + layout.rest(0, b"t", {}, {"sha256": "00"}), None)
        assert len(line.split(b" ")) == 17


def _entry(**fields: t.Any) -> model.Entry:
    return model.Entry(**{"path": b"/x", "watch": "w", "type": model.FILE, **fields})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"mode": 0o644}, {"mode": 0o4755}, ("mode",)),
        ({"mode": None}, {"mode": 0o4755}, ()),
        ({"hashes": {"sha256": "a"}}, {"hashes": {"sha256": "b", "md5": "c"}}, ("content",)),
        ({"hashes": {"sha256": "a"}}, {"hashes": {"sha256": "a", "md5": "c"}}, ()),
        ({"hashes": {"sha256": "a"}}, {"hashes": {"sha512": "b"}}, ()),
        # Content that nobody could read is not known to be the same; content that can't be read now may be.
        ({"hashes": {}}, {"hashes": {"sha256": "a"}}, ("content",)),
        ({"hashes": {"sha256": "a"}}, {"hashes": {}}, ()),
        ({"hashes": {}}, {"hashes": {}}, ()),
        ({"type": model.FILE, "hashes": {"sha256": "a"}}, {"type": model.LINK, "link_target": b"t"}, ("type",)),
        (
            {"xattrs": {}, "xattr_kinds": ("acl", "capabilities")},
            {"xattrs": {b"security.capability": b"x", b"user.x": b"y"}, "xattr_kinds": lines.XATTR_KINDS},
            ("capabilities",),
        ),
    ],
)
def test_what_differs(before: dict[str, t.Any], after: dict[str, t.Any], expected: tuple[str, ...]) -> None:
    assert differences.differing(_entry(**before), _entry(**after), model.Watch("w", ("/",))) == expected


def test_capabilities_that_are_none_are_shown_as_they_are() -> None:
    assert attributes.capabilities(b"") == "0x"
    assert attributes.capabilities(b"\xff" * 20) == "0x" + "ff" * 20
    version3 = bytes.fromhex("01000003" + "00200000" + "00000000" + "00000000" + "00000000" + "e8030000")
    assert attributes.capabilities(version3) == "cap_net_raw=ep [rootid=1000]"


@given(st.binary(max_size=60))
def test_no_acl_and_no_capability_is_too_strange_to_show(value: bytes) -> None:
    assert isinstance(attributes.acl(value), str)
    assert isinstance(attributes.capabilities(value), str)


def test_every_attribute_can_be_shown() -> None:
    for name in model.ATTRIBUTES:
        attributes.attribute(_entry(), name)
