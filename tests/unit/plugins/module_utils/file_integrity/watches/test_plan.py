# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs, roots
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import (
    NOBODY,
    Plan,
    Root,
    Rules,
)
from hypothesis import example, given
from hypothesis import strategies as st

_NAMES = st.sampled_from(["a", "b", "ab", ".a", "x.so", "a\nb", "\udcff"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=5)
_PARTS = st.sampled_from(["a", "b", "*", "**", "?", "a*", "[ab]", "[!a]", "*.so"])
_GLOBS = st.lists(_PARTS, min_size=1, max_size=4)


def _plan(*watches: Watch, mounts: t.Mapping[bytes, str] | None = None) -> Plan:
    found = [Root(number, path, watch.recurse) for number, watch in enumerate(watches) for path in watch.paths]
    return Plan(watches, found, mounts or {})


def _owner(plan: Plan, path: str) -> str | None:
    owner = plan.owner(globs.to_bytes(path))
    return None if owner == NOBODY else plan.watches[owner].name


def _expression(parts: t.Sequence[str]) -> re.Pattern[str]:
    """Say in another way what a glob matches: as one regular expression over the path."""
    found = ""
    for position, part in enumerate(parts):
        last = position + 1 == len(parts)
        if part == "**":
            found += "(?:/[^/]+)+" if last else "(?:/[^/]+)*"
        else:
            plain = {"*": "[^/]*", "?": "[^/]"}
            found += "/(?=[^/])" + "".join(
                plain.get(char, char) for char in part.replace(".", r"\.").replace("[!", "[^/")
            )
    return re.compile(found, re.DOTALL)


@given(_GLOBS, _PATHS)
@example(["**", "a"], ["b", "b", "a"])
@example(["a", "**"], ["a"])
def test_a_glob_owns_what_it_matches_and_nothing_else(glob: list[str], path: list[str]) -> None:
    plan = _plan(Watch("w", ("/" + "/".join(glob),), recurse=0))
    expected = _expression(glob).fullmatch("/" + "/".join(path)) is not None
    assert (_owner(plan, "/" + "/".join(path)) == "w") == expected


@given(_GLOBS, _PATHS)
def test_a_walk_from_the_top_reaches_everything_that_is_watched(glob: list[str], path: list[str]) -> None:
    plan = _plan(Watch("w", ("/" + "/".join(glob),)))
    if plan.owner(globs.to_bytes("/" + "/".join(path))) == NOBODY:
        return
    directory = b"/"
    for part in path:
        rules = plan.rules(directory)
        name = globs.to_bytes(part)
        assert rules.active
        assert rules.names is None or name in rules.names
        directory = directory.rstrip(b"/") + b"/" + name


def test_the_most_specific_path_wins_then_the_literal_one_then_the_later() -> None:
    plan = _plan(
        Watch("etc", ("/etc",)),
        Watch("systemd", ("/etc/systemd",)),
        Watch("file", ("/etc/systemd/system/x.service",)),
        Watch("glob", ("/etc/sys*",)),
        Watch("first", ("/srv",)),
        Watch("later", ("/srv",)),
    )
    assert _owner(plan, "/etc/passwd") == "etc"
    assert _owner(plan, "/etc/sysctl.d") == "glob"
    assert _owner(plan, "/etc/systemd") == "systemd"
    assert _owner(plan, "/etc/systemd/system/y.service") == "systemd"
    assert _owner(plan, "/etc/systemd/system/x.service") == "file"
    assert _owner(plan, "/srv/a/b") == "later"
    assert _owner(plan, "/usr") is None


def test_recursion_excludes_and_includes() -> None:
    plan = _plan(
        Watch("deep", ("/a",), recurse=2, exclude=("*.pyc", "/a/out", "/a/half/**")),
        Watch("libs", ("/b",), include=("*.so*", "/b/*/exact")),
        Watch("below", ("/a/out/in", "/c"), exclude=("/c/**/x",)),
    )
    assert _owner(plan, "/a/1/2") == "deep"
    assert _owner(plan, "/a/1/2/3") is None
    assert _owner(plan, "/a/1/x.pyc") is None
    assert _owner(plan, "/a/out") is None
    assert _owner(plan, "/a/out/1") is None
    assert _owner(plan, "/a/out/in") == "below"
    assert _owner(plan, "/a/half") == "deep"
    assert _owner(plan, "/a/half/1") is None
    assert _owner(plan, "/b") is None
    assert _owner(plan, "/b/1/2/x.so.1") == "libs"
    assert _owner(plan, "/b/1/exact") == "libs"
    assert _owner(plan, "/b/1/2/exact") is None
    assert _owner(plan, "/c/1/x") is None
    assert _owner(plan, "/c/x/1") is None
    assert _owner(plan, "/c/1/y") == "below"


def test_what_one_watch_excludes_belongs_to_another_that_covers_it() -> None:
    plan = _plan(Watch("wide", ("/etc",)), Watch("narrow", ("/etc/systemd",), exclude=("/etc/systemd/out",)))
    assert _owner(plan, "/etc/systemd/out/x") == "wide"


def test_foreign_file_systems_are_left_out_unless_asked_for() -> None:
    mounts = {b"/srv/nfs": "nfs4", b"/srv/proc": "proc", b"/srv/disk": "xfs", b"/srv/fuse": "fuse.sshfs"}
    plan = _plan(Watch("local", ("/srv",)), Watch("all", ("/srv/nfs/wanted",), filesystems="all"), mounts=mounts)
    assert _owner(plan, "/srv/disk/x") == "local"
    assert _owner(plan, "/srv/nfs/x") is None
    assert _owner(plan, "/srv/fuse/x") is None
    assert _owner(plan, "/srv/nfs/wanted/x") == "all"
    assert plan.barred(b"/srv") == {b"nfs": "nfs4", b"proc": "proc", b"fuse": "fuse.sshfs"}


def test_directories_below_a_watch_share_their_rules() -> None:
    plan = _plan(Watch("usr", ("/usr",)), Watch("file", ("/usr/bin/sudo",)))
    shared: set[Rules] = {plan.rules(b"/usr/%d/%d" % (one, other)) for one in range(30) for other in range(30)}
    assert len(shared) == 1


def test_ten_thousand_homes_are_no_burden() -> None:
    homes = roots.homes("".join(f"u{number}:x:1:1::/home/u{number}:/bin/sh\n" for number in range(10_000)).encode())
    watch = Watch("keys", ("~/.ssh/authorized_keys",))
    plan = Plan([watch], [Root(0, f"{home}/.ssh/authorized_keys", 0) for home in homes], {})
    rules = plan.rules(b"/home")
    assert rules.names is not None
    looked = [rules.look(name)[1].active for name in rules.names]
    assert len(looked) == 10_000
    assert all(looked)
    assert _owner(plan, "/home/u77/.ssh/authorized_keys") == "keys"


@pytest.mark.parametrize(
    ("line", "home"),
    [
        (b"bob:x:1:1::/home/bob:/bin/sh", ["/home/bob"]),
        (b"a:x:1:1::/home/../etc/:/bin/sh", ["/etc"]),
        (b"a:x:1:1:://root:/bin/sh", ["/root"]),
        (b"a:x:1:1::/home/[x]*:/bin/sh", ["/home/[[]x][*]"]),
        (b"a:x:1:1::relative:/bin/sh", []),
        (b"a:x:1:1::", []),
        (b"", []),
    ],
)
def test_home_directories(line: bytes, home: list[str]) -> None:
    assert roots.homes(line) == home


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(
        lambda name: name not in (".", "..", "**")
    )
)
def test_an_escaped_glob_matches_exactly_its_text(name: str) -> None:
    (component,) = globs.compiled([globs.escaped(name)])
    if isinstance(component, bytes):
        assert component == globs.to_bytes(name)
    else:
        assert component is not None
        assert component.match(name)
        assert not component.match(name + "x")


@pytest.mark.parametrize("glob", ["etc", "~/x", "/a/../b", "", "/a\0b", "/\ud800"])
def test_wrong_globs(glob: str) -> None:
    with pytest.raises(globs.GlobError):
        globs.components(glob)


def test_links_on_the_way_are_resolved_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "two").symlink_to(tmp_path / "one" / "inner" / ".." / "inner")
    (tmp_path / "loop").symlink_to("loop")
    watch = Watch("w", (f"{tmp_path}/two/*", f"{tmp_path}/loop/x", f"{tmp_path}/two"))
    found = {(root.glob, root.recurse) for root in roots.resolve([watch], [])}
    assert found == {
        (f"{tmp_path}/two", 0),
        (f"{tmp_path}/one", 0),
        (f"{tmp_path}/real/inner/*", -1),
        (f"{tmp_path}/loop", 0),
        (f"{tmp_path}/loop/x", -1),
        (f"{tmp_path}/two", -1),
    }


@pytest.mark.parametrize("glob", ["/a/[a", "/a/[!]", "/a/[]", "/[a/b]", "/x[ab][c"])
def test_a_set_that_is_not_closed_is_refused(glob: str) -> None:
    with pytest.raises(globs.GlobError, match="not closed"):
        globs.check(glob)


@pytest.mark.parametrize("glob", ["/a/[ab]", "/a/[]]", "/a/[!]]", "/a/[[]x", "/a]b", "/a/[!ab]*"])
def test_a_set_that_is_closed_is_taken(glob: str) -> None:
    globs.check(glob)
    globs.check(glob.rpartition("/")[2], name=True)
