# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about files that ran: whether they are there, their content, their package, and who can write there."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import subprocess
import time
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._finding import unprintable
from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, Program
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.files import FileFacts, Identified
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Target
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

from tests.unit.plugins.module_utils.app_control.executions import program

LATER = time.time() + 1_000_000


class Packages(Files):
    """A database that knows some paths."""

    def __init__(self, owned: t.Mapping[bytes, Owned]) -> None:
        super().__init__()
        self._paths = owned

    def owned(self, path: bytes) -> Owned | None:
        return self._paths.get(path)

    @property
    def packages(self) -> t.Any:
        return types.SimpleNamespace(digest_algorithms=frozenset)


@dataclasses.dataclass
class Indexes:
    """Signed indexes with some packages."""

    names: t.Collection[str] = ()
    asked: int = 0

    def entry(self, package: str, version: str, architecture: str) -> t.Any:
        self.asked += 1
        return types.SimpleNamespace() if package in self.names and version and architecture else None


def facts(owned: t.Mapping[bytes, Owned] | None = None, **options: t.Any) -> FileFacts:
    options.setdefault("indexes", Indexes())
    options.setdefault("deadline", Deadline(0))
    return FileFacts(Roots({}), packages=Packages(owned or {}), **options)


def target_of(path: pathlib.Path) -> Target:
    status = path.stat()
    file = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    return Target(PROGRAM, os.fsencode(path), file=file)


def identify(path: pathlib.Path, last: float = LATER, before: Identified | None = None) -> Identified:
    former, key = (before.program, before.key) if before is not None else (None, None)
    return facts().identify(target_of(path), last, former, key)


def test_a_file_that_is_there(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    found = identify(tool)
    assert found.program == Program(
        PROGRAM,
        str(tool),
        sha256=hashlib.sha256(tool.read_bytes()).hexdigest(),
        verification=_program.UNPACKAGED,
        owner="root" if not os.geteuid() else found.program.owner,
        writers=found.program.writers,
    )
    assert found.key is not None


def test_what_did_not_change_is_not_read_again(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    first = identify(tool)
    again = facts()
    assert again.identify(target_of(tool), LATER, *first) == first
    assert again.read == 0
    # Neither size nor the time of the content tell of this.
    modified = tool.stat().st_mtime_ns
    tool.write_bytes(tool.read_bytes()[::-1])
    os.utime(tool, ns=(modified, modified))
    changed = again.identify(target_of(tool), LATER, *first)
    assert again.read == 1
    assert changed.program.sha256 not in ("", first.program.sha256)


def test_a_file_that_was_written_after_it_ran(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    assert identify(tool, time.time() - 60).program.content == _program.CHANGED
    assert identify(tool).program.content == _program.PRESENT


def test_another_file_in_the_place_of_what_ran(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    target, first = target_of(tool), identify(tool)
    other = program(tmp_path / "other", b"something else")
    other.rename(tool)
    # What ran is what was read before.
    known = facts().identify(target, LATER, *first)
    assert known.program == first.program._replace(content=_program.CHANGED)
    # Without that, nobody can tell what ran.
    unknown = facts({os.fsencode(tool): owned("tool")}).identify(target, LATER, None, None)
    assert (unknown.program.content, unknown.program.sha256) == (_program.CHANGED, "")
    assert (unknown.program.package, unknown.program.verification) == ("tool", _program.UNKNOWN)
    assert unknown.key is None


def test_a_link_in_the_place_of_what_ran(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    target = target_of(tool)
    tool.rename(tmp_path / "moved")
    tool.symlink_to(tmp_path / "moved")
    found = facts().identify(target, LATER, None, None).program
    assert (found.content, found.sha256) == (_program.GONE, "")


def test_a_file_that_is_gone(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    target, first = target_of(tool), identify(tool)
    tool.unlink()
    assert facts().identify(target, LATER, *first).program == first.program._replace(content=_program.GONE)
    found = facts().identify(target, LATER, None, None).program
    assert (found.content, found.sha256, found.verification) == (_program.GONE, "", _program.UNKNOWN)
    # What ran under the same name is another file than the one that was read.
    elsewhere = target._replace(file=(target.file[0], target.file[1], 1)) if target.file else target
    assert facts().identify(elsewhere, LATER, *first).program.sha256 == ""


def test_who_could_have_written_what_is_gone(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "open/tool")
    target = target_of(tool)
    tool.unlink()
    (tmp_path / "open").chmod(0o777)
    assert "everybody" in facts().identify(target, LATER, None, None).program.writers
    folded = target._replace(path=os.fsencode(tmp_path / "open/*"), is_folded=True)
    found = facts().identify(folded, LATER, None, None).program
    assert "everybody" in found.writers
    assert found.path == f"{tmp_path}/open/*"
    elsewhere = facts().identify(target._replace(image="nginx"), LATER, None, None).program
    assert elsewhere.writers == ("unknown",)


def test_a_file_whose_name_stands_for_a_directory_elsewhere(tmp_path: pathlib.Path) -> None:
    found = identify(program(tmp_path / "*")).program
    assert found.path == f"{tmp_path}/\\x2a"
    assert unprintable(found.path) == os.fsencode(tmp_path / "*")


@pytest.mark.parametrize("make", [pathlib.Path.mkdir, os.mkfifo])
def test_no_regular_file(tmp_path: pathlib.Path, make: t.Callable[[pathlib.Path], None]) -> None:
    make(tmp_path / "x")
    assert facts().identify(Target(PROGRAM, os.fsencode(tmp_path / "x")), LATER, None, None).program.content == "gone"


def test_a_process_leads_to_the_very_file(tmp_path: pathlib.Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(pathlib.Path("/bin/sleep").read_bytes())
    tool.chmod(0o755)
    target = target_of(tool)
    with subprocess.Popen([tool, "60"]) as process:
        try:
            opened = target._replace(opened=b"/proc/%d/exe" % process.pid)
            assert facts().identify(opened, LATER, None, None).program.content == _program.PRESENT
            tool.unlink()
            program(tool, b"something else")
            found = facts().identify(opened, LATER, None, None).program
            assert found.content == _program.GONE
            assert found.sha256 == hashlib.sha256(pathlib.Path("/bin/sleep").read_bytes()).hexdigest()
        finally:
            process.kill()


def owned(package: str, **recorded: t.Any) -> Owned:
    return Owned(f"dpkg:{package}:amd64", package, "1.0-1", "amd64", "dpkg", **recorded)


def test_packages(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    content = {"sha256": hashlib.sha256(tool.read_bytes()).hexdigest()}
    for recorded, verification in (
        ({"digests": content}, _program.VERIFIED),
        ({"digests": {"sha256": "0" * 64}}, _program.MODIFIED),
        ({}, _program.NO_DIGEST),
    ):
        indexes = Indexes(["signed"])
        for package, origin in (("signed", "signed"), ("own", "")):
            known = {os.fsencode(tool): owned(package, **recorded)}
            found = facts(known, indexes=indexes).identify(target_of(tool), LATER, None, None).program
            assert (found.manager, found.package, found.version) == ("dpkg", package, "1.0-1")
            assert (found.verification, found.origin) == (verification, origin)


def test_an_origin_is_asked_once(tmp_path: pathlib.Path) -> None:
    indexes = Indexes(["signed"])
    tools = [program(tmp_path / name) for name in ("one", "other")]
    known = {os.fsencode(tool): owned("signed") for tool in tools}
    origins: dict[tuple[str, str, str], str] = {}
    for _look in range(2):
        look = facts(known, indexes=indexes, origins=origins)
        assert [look.identify(target_of(tool), LATER, None, None).program.origin for tool in tools] == ["signed"] * 2
    assert indexes.asked == 1


def test_what_the_time_does_not_suffice_for(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    deadline = Deadline(0.000001)
    late = facts(deadline=deadline)
    found = late.identify(target_of(tool), LATER, None, None)
    assert (found.program.sha256, found.key, late.left_out) == ("", None, 1)
    assert late.identify(target_of(tool), LATER, *identify(tool)).program.sha256


def test_what_is_in_memory_has_no_file() -> None:
    found = facts().identify(Target(PROGRAM, b"/memfd:x", memory=True), LATER, None, None).program
    assert (found.content, found.path) == (_program.MEMORY, "/memfd:x")


@pytest.mark.requires("root")
def test_who_can_write(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "a/tool")
    # The modes of the directories above are the machine's.
    common = set(identify(tool).program.writers)
    tool.chmod(0o775)
    os.chown(tool, 0, 12_345)
    assert set(identify(tool).program.writers) - common == {"group 12345"}
    tool.chmod(0o755)
    os.chown(tool, 12_345, 0)
    assert set(identify(tool).program.writers) - common == {"12345"}
    os.chown(tool, 0, 0)
    (tmp_path / "a").chmod(0o777)
    assert "everybody" in identify(tool).program.writers
    (tmp_path / "a").chmod(0o755)
    assert set(identify(tool).program.writers) == common


def test_a_file_of_another_account_at_the_path_of_a_packaged_one(tmp_path: pathlib.Path) -> None:
    """Every account can mount its own file there for itself: no look at the path shows what ran."""
    tool = program(tmp_path / "tool")
    package = Owned("dpkg:tools", "tools", "1", "all", "dpkg")
    before = identify(tool)
    other = target_of(tool)._replace(file=(0, 31, tool.stat().st_ino), owner=4_711)
    found = facts({os.fsencode(tool): package}).identify(other, LATER, before.program, before.key).program
    assert (found.content, found.verification, found.package) == (_program.CHANGED, _program.MODIFIED, "tools")
    assert (found.sha256, found.owner, found.writers) == ("", "4711", ("4711",))
    found = facts().identify(other, LATER, before.program, before.key).program
    assert (found.verification, found.writers) == (_program.UNPACKAGED, ("4711",))
    tool.unlink()
    found = facts().identify(other, LATER, before.program, before.key).program
    assert (found.content, found.sha256, found.writers) == (_program.GONE, "", ("4711",))
