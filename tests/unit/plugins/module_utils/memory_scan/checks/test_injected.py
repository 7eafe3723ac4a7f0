# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries whose file can't be opened, which what is at their path tells of, and those that were asked for."""

from __future__ import annotations

import os
import pathlib
import sys
import types

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import injected
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import UnknownError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process

from tests.unit.plugins.module_utils.memory_scan import _memory
from tests.unit.plugins.module_utils.memory_scan._processes import FakeHost, FakeSurroundings, file, process

_ONE = process("/usr/bin/cron")


class _Foreign(FakeSurroundings):
    """A host on which that is another machine's."""

    def status(self, path: bytes, pid: int | None = None) -> os.stat_result | None:
        raise UnknownError("nfs4")


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        # Taken from its place with its file system, and the same where another library lies at that path.
        (FakeSurroundings(), ["library_detached"]),
        (FakeSurroundings({b"/usr/lib/plugin.so": file(8)}), ["library_detached"]),
        # It is there, and may not be opened.
        (FakeSurroundings({b"/usr/lib/plugin.so": file(7)}), []),
        # It is on a file system that is not asked, and so isn't the path.
        (_Foreign(), []),
    ],
)
def test_a_library_that_cannot_be_opened(around: FakeSurroundings, expected: list[str]) -> None:
    library = _memory.mapping(0x7F0000000000, 4096, "r-xp", b"/usr/lib/plugin.so", inode=7, device=(0, 99))
    view = _memory.FakeView([(library, b"")], _ONE)
    assert [sign.subtype for sign in injected.check(view, FakeHost([_ONE], around))] == expected
    # Nothing follows where there are no rights to open it.
    view = _memory.FakeView([(library, b"")], _ONE, refused={7})
    assert list(injected.check(view, FakeHost([_ONE], around))) == []


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["ld.so", "--preload", "/home/ada/other.so:/home/ada/one.so", "/usr/bin/cron"], {}),
        (["ld.so", "--audit", "/home/ada/one.so", "/usr/bin/cron"], {}),
        (["ld.so", "/usr/bin/cron"], {b"LD_PRELOAD": b"/home/ada/one.so"}),
    ],
)
def test_a_library_that_the_loader_was_told_to_load(
    tmp_path: pathlib.Path, arguments: list[str], environment: dict[bytes, bytes]
) -> None:
    library = tmp_path / "library"
    library.write_bytes(pathlib.Path(sys.executable).read_bytes()[:4096])
    one = process("/usr/lib64/ld-linux-x86-64.so.2", *arguments, environment=environment)
    mapped = _memory.mapping(0x7F0000000000, 4096, "r-xp", b"/home/ada/one.so", inode=7, device=(8, 1))
    view = _memory.FakeView([(mapped, b"")], one, files={7: library})
    assert [sign.subtype for sign in injected.check(view, FakeHost([one]))] == ["library_preloaded_unpackaged"]
    one = process("/usr/bin/cron", *arguments)
    view = _memory.FakeView([(mapped, b"")], one, files={7: library})
    assert [sign.subtype for sign in injected.check(view, FakeHost([one]))] == []


@pytest.mark.parametrize(
    ("path", "user", "container", "expected"),
    [
        (b"/home/ada/one.so", 0, None, ["library_unpackaged"]),
        (b"/home/ada/one.so", 33, None, ["library_unpackaged"]),
        (b"/home/ada/one.so", 1000, None, []),
        (b"/home/ada/one.so", 0, "a" * 64, []),
        # Nothing needs it, so that it counts wherever administrators install what programs need.
        (b"/opt/vendor/one.so", 0, None, ["library_unpackaged"]),
    ],
)
def test_a_library_that_came_with_nothing(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    path: bytes,
    user: int,
    container: str | None,
    expected: list[str],
) -> None:
    library = tmp_path / "library"
    library.write_bytes(pathlib.Path(sys.executable).read_bytes()[:4096])
    monkeypatch.setattr(injected.libraries, "package_of_executable", lambda *_: "cron 1.0")
    monkeypatch.setattr(injected.libraries, "is_foreign", lambda *_: False)
    one = process("/usr/sbin/cron", user=user, container=container)
    view = _memory.FakeView([(_memory.mapping(1 << 32, 4096, "r-xp", path, inode=7), b"")], one, files={7: library})
    assert [sign.subtype for sign in injected.check(view, FakeHost([one]))] == expected


_TRACED = process("/usr/bin/cron", tracer=77)
_UNREADABLE = {"executable": "Permission denied"}


@pytest.mark.parametrize(
    ("tracer", "whole_host", "user", "expected", "skipped"),
    [
        (None, True, 0, ("traced_by_unknown", None), []),
        (
            None,
            False,
            0,
            ("traced", None),
            ["what traces it, process 77: it is not among the processes that were read"],
        ),
        (
            None,
            True,
            1000,
            ("traced", None),
            ["what traces it, process 77: it can't be seen; run as root (become: true, or sudo make scan)"],
        ),
        (
            process(None, pid=77, unreadable=_UNREADABLE),
            True,
            1000,
            ("traced", None),
            ["what traces it, process 77: Permission denied"],
        ),
        (process(None, pid=77), True, 0, ("traced_by_unknown", None), []),
        (process("/opt/x", pid=77), False, 1000, ("traced_by_unknown", None), []),
        (process("/tmp/x", pid=77), False, 0, ("traced_by_unknown", "high"), []),
    ],
)
def test_a_tracer_is_unknown_only_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch,
    tracer: Process | None,
    whole_host: bool,
    user: int,
    expected: tuple[str, str | None],
    skipped: list[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    view = _memory.FakeView([], _TRACED)
    host = FakeHost([_TRACED] if tracer is None else [_TRACED, tracer])
    host.options = types.SimpleNamespace(whole_host=whole_host)
    assert [(sign.subtype, sign.severity) for sign in injected.check(view, host)] == [expected]
    assert view.skipped == skipped
