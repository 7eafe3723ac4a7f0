# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust in packages that the real dpkg and rpm installed, and in files that somebody means ill with."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache, _state
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._program import SCRIPT as SCRIPT_KIND
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.content import RuleList, allowlist, as_data
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    digest_cache,
    refusals,
    trusted,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Facts, Options
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import (
    Policy,
    compile_policy,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.remembered import Memory
from ansible_collections.bulwark.servers.plugins.module_utils.packages import files

from tests.integration.package_roots import Deb, DebianRoot, Root, Rpm, RpmRoot

pytestmark = pytest.mark.requires("root")

SCRIPT = b"#!/bin/sh\n"
ELF = pathlib.Path("/bin/ls").read_bytes()
TOOL = Rule("base", package="tool", manager="dpkg")


def _facts(root: Root, *rules: Rule, exemptions: t.Sequence[Exemption] = ()) -> Facts:
    given = as_data([RuleList("base", "", rules)], exemptions)
    return trusted.facts({"_root": str(root.path)}, given, "1.3.4")


def _policy(root: Root, *rules: Rule, exemptions: t.Sequence[Exemption] = ()) -> Policy:
    given = as_data([RuleList("base", "", rules)], exemptions)
    facts = _facts(root, *rules, exemptions=exemptions)
    return compile_policy(allowlist(given, ""), facts, Options("enforce"))


def _paths(policy: Policy) -> list[str]:
    return [entry.path for entry in policy.trusted if not entry.path.startswith("/var/lib/dpkg/")]


def _install(root: DebianRoot, *debs: Deb) -> None:
    """Install packages, whose files below bin and etc are programs."""
    root.install(*debs)
    for top in ("usr/bin", "etc/init.d", "opt"):
        for directory, _directories, names in os.walk(root.path / top):
            for name in names:
                os.chmod(os.path.join(directory, name), 0o755)  # noqa: S103 - programs have this mode


@pytest.fixture
def directory() -> t.Iterator[pathlib.Path]:
    """Have a directory that only root can write to, and those above it."""
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~root")) as name:
        yield pathlib.Path(name)


@pytest.fixture
def debian(directory: pathlib.Path) -> DebianRoot:
    return DebianRoot(directory / "root")


@pytest.fixture
def red_hat(directory: pathlib.Path) -> RpmRoot:
    return RpmRoot(directory / "root")


@pytest.mark.requires("command:dpkg-deb")
def test_files_are_named_as_the_kernel_names_them(debian: DebianRoot) -> None:
    debian.divert("--local", "--rename", "--divert", "/usr/bin/taken.distrib", "--add", "/usr/bin/taken")
    files = {"/bin/merged": SCRIPT, "/usr/bin/taken": SCRIPT, "/usr/bin/a b": SCRIPT}
    _install(debian, Deb("tool", files={**files, "/usr/share/doc/tool/example": SCRIPT, "/usr/bin/empty": b""}))
    debian.file("/usr/bin/taken").write_bytes(SCRIPT)
    debian.file("/usr/bin/taken").chmod(0o755)
    policy = _policy(debian, TOOL)
    assert _paths(policy) == ["/usr/bin/a b", "/usr/bin/merged", "/usr/bin/taken.distrib"]
    digest = hashlib.sha256(SCRIPT).hexdigest()
    assert {(entry.size, entry.sha256) for entry in policy.trusted} == {(len(SCRIPT), digest)}


@pytest.mark.requires("command:dpkg-deb")
def test_only_what_can_run_is_trusted(debian: DebianRoot) -> None:
    _install(debian, Deb("tool", files={"/usr/bin/tool": ELF, "/usr/lib/data": b"data", "/usr/lib/tool.py": SCRIPT}))
    _install(debian, Deb("other", files={"/usr/bin/other": ELF, "/usr/lib/libx.so.1": ELF, "/usr/lib/plugin": ELF}))
    assert _paths(_policy(debian, TOOL)) == ["/usr/bin/tool", "/usr/lib/libx.so.1", "/usr/lib/plugin"]


@pytest.mark.requires("command:dpkg-deb")
def test_changed_files_are_not_trusted(debian: DebianRoot) -> None:
    files = {"/usr/bin/same": SCRIPT, "/usr/bin/other": SCRIPT, "/etc/init.d/conf": SCRIPT, "/etc/init.d/own": SCRIPT}
    _install(debian, Deb("tool", files=files, conffiles=["/etc/init.d/conf", "/etc/init.d/own"]))
    debian.file("/usr/bin/other").write_bytes(SCRIPT + b"# changed\n")
    debian.file("/etc/init.d/own").write_bytes(SCRIPT + b"# changed\n")
    assert _paths(_policy(debian, TOOL)) == ["/etc/init.d/conf", "/usr/bin/same"]
    digest = hashlib.sha256(SCRIPT + b"# changed\n").hexdigest()
    named = Rule("base", sha256=digest, path="/etc/init.d/own")
    assert _paths(_policy(debian, TOOL, named)) == ["/etc/init.d/conf", "/etc/init.d/own", "/usr/bin/same"]


@pytest.mark.requires("command:dpkg-deb")
def test_scripts_that_a_package_copied_to_etc_are_trusted_while_they_are_as_it_ships_them(debian: DebianRoot) -> None:
    _install(debian, Deb("tool", files={"/usr/share/tool/daily": SCRIPT + b"# daily\n"}))
    copy = debian.file("/etc/cron.daily/tool")
    copy.parent.mkdir()
    copy.write_bytes(SCRIPT + b"# daily\n")
    copy.chmod(0o755)
    assert _paths(_policy(debian, TOOL)) == ["/etc/cron.daily/tool"]
    assert _paths(_policy(debian)) == []
    copy.chmod(0o777)
    assert _paths(_policy(debian, TOOL)) == []
    copy.chmod(0o755)
    copy.write_bytes(SCRIPT + b"# evil\n")
    assert _paths(_policy(debian, TOOL)) == []


@pytest.mark.requires("command:dpkg-deb")
def test_what_a_package_needs_is_trusted(debian: DebianRoot) -> None:
    _install(debian, Deb("real", files={"/usr/bin/real": SCRIPT}, control="Provides: virtual (= 1), other\n"))
    _install(
        debian,
        Deb("else", files={"/usr/bin/else": SCRIPT}, control="Multi-Arch: allowed\n"),
        Deb("alone", files={"/usr/bin/alone": SCRIPT}),
        Deb("tool", files={"/usr/bin/tool": SCRIPT}, control="Pre-Depends: virtual (>= 1) | gone\nDepends: else:any\n"),
    )
    assert _facts(debian).depends["dpkg", "tool"] == {("dpkg", "real"), ("dpkg", "else")}
    assert _paths(_policy(debian, TOOL)) == ["/usr/bin/else", "/usr/bin/real", "/usr/bin/tool"]


@pytest.mark.requires("command:dpkg-deb")
def test_maintainer_scripts_run_when_a_package_is_removed(debian: DebianRoot) -> None:
    _install(debian, Deb("tool", scripts={"prerm": SCRIPT, "postrm": SCRIPT}))
    scripts = [entry.path for entry in _policy(debian).trusted]
    assert scripts == ["/var/lib/dpkg/info/tool.postrm", "/var/lib/dpkg/info/tool.prerm"]
    debian.file("/var/lib/dpkg/info/tool.prerm").chmod(0o777)
    assert [entry.path for entry in _policy(debian).trusted] == scripts[:1], "others than root can write it"


@pytest.mark.requires("command:dpkg-deb")
def test_links_that_others_put_in_the_way_give_no_other_content(debian: DebianRoot) -> None:
    _install(debian, Deb("tool", files={"/opt/tool/bin/x": SCRIPT, "/usr/bin/y": SCRIPT}))
    shutil.move(debian.path / "opt/tool", debian.path / "home")
    (debian.path / "opt/tool").symlink_to("../home")
    (debian.path / "home/bin/x").write_bytes(SCRIPT + b"evil\n")
    os.link(debian.path / "usr/bin/y", debian.path / "home/bin/hard")
    (debian.path / "usr/bin/z").symlink_to("../../home/bin/x")
    assert _paths(_policy(debian, TOOL)) == ["/usr/bin/y"]
    (debian.path / "home/bin/x").write_bytes(SCRIPT)
    assert _paths(_policy(debian, TOOL)) == ["/home/bin/x", "/usr/bin/y"], "where it lies, and as it was packaged"
    (debian.path / "opt/tool").unlink()
    (debian.path / "opt/tool").symlink_to("/usr")
    assert _paths(_policy(debian, TOOL)) == ["/usr/bin/y"]


@pytest.mark.requires("command:dpkg-deb")
def test_file_that_changes_while_it_is_read_is_left_out(debian: DebianRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(debian, Deb("tool", files={"/usr/bin/tool": SCRIPT}))
    pieces = _page_cache.pieces

    def changing(descriptor: int, size: int, length: int) -> t.Iterator[bytes]:
        yield from pieces(descriptor, size, length)
        with open(debian.file("/usr/bin/tool"), "ab") as stream:
            stream.write(b"evil\n")

    monkeypatch.setattr(_page_cache, "pieces", changing)
    facts = _facts(debian, TOOL)
    assert facts.files == ()
    assert facts.notes == ("/usr/bin/tool can't be trusted: it is too large, or changed while it was read",)


@pytest.mark.requires("command:dpkg-deb")
def test_cached_digests_are_of_files_that_are_the_same(debian: DebianRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(debian, Deb("tool", files={"/usr/bin/tool": SCRIPT, "/usr/bin/other": SCRIPT}))
    state = str(debian.path.parent / "state")
    given = as_data([RuleList("base", "", (TOOL,))], [])

    def facts() -> Facts:
        return trusted.facts({"_root": str(debian.path), "state_dir": state}, given, "1.3.4", keeps_digests=True)

    monkeypatch.setattr(files, "_TICK", 0)
    before = facts()
    assert digest_cache.read(state) == {}, "nothing is kept where nothing is deployed"
    _state.StateDirectory.open(state, "app_enforcement", create=True)
    assert facts().files == before.files
    assert len(digest_cache.read(state)) == 2
    monkeypatch.setattr(files, "_hashed", lambda *_arguments: pytest.fail("a file was read again"))
    assert facts().files == before.files
    monkeypatch.undo()
    debian.file("/usr/bin/tool").write_bytes(SCRIPT[:-1] + b" ")
    os.utime(debian.file("/usr/bin/tool"), ns=(0, 0))
    changed = {file.path: file.verification for file in facts().files}
    assert changed == {"/usr/bin/tool": "modified", "/usr/bin/other": "verified"}
    pathlib.Path(state, "app_enforcement/digests.json").write_text("{}")
    assert digest_cache.read(state) == {}


@pytest.mark.requires("command:dpkg-deb")
def test_rules_and_exceptions_name_files(debian: DebianRoot) -> None:
    for name in ("own", "a\nb", "any"):
        path = debian.path / "opt" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(SCRIPT)
    digest = hashlib.sha256(SCRIPT).hexdigest()
    rule = Rule("base", sha256=digest, path="/opt/own")
    exemptions = [Exemption("/opt/a\\nb", "", "me", sha256=digest), Exemption("/opt/any", "", "me")]
    policy = _policy(debian, rule, exemptions=exemptions)
    assert _paths(policy) == ["/opt/own"]
    assert [each.why for each in policy.unexpressed if "exception" in each.what] == []


@pytest.mark.requires("command:dpkg-deb")
def test_directories_are_followed_to_who_can_write_there(debian: DebianRoot) -> None:
    (debian.path / "opt/app/data").mkdir(parents=True)
    (debian.path / "opt/link").symlink_to("app")
    rules = [Rule("base", directory=path) for path in ("/opt/app", "/opt/link")]
    assert _facts(debian, *rules).directories["/opt/app"] == ()
    assert _facts(debian, *rules).directories["/opt/link"] == ("whoever can change the link that it is",)
    os.chown(debian.path / "opt/app/data", 33, 33)
    assert "www-data" in _facts(debian, *rules).directories["/opt/app"]


@pytest.mark.requires("command:rpmbuild")
def test_modules_of_a_connection_without_pipelining_are_not_said_to_be_stopped(
    debian: DebianRoot, directory: pathlib.Path
) -> None:
    script = Program(
        SCRIPT_KIND, "/home/daemon/ansible-tmp-1.2-3-4/AnsiballZ_setup.py", interpreter="/usr/bin/python3.13"
    )
    record = Record(script, 1.0, 2.0, [1], executions=1, users=["daemon"])
    remembered = {"records": Memory({script.identity: record}).rows()}
    checkpoint = Checkpoint.load(str(directory), trusted.NAME, None, True, directory=trusted.CAPABILITY)
    saved = checkpoint.save(remembered)
    assert saved is not None
    given = as_data([RuleList("base", "", (TOOL,))], ())
    params = {"_root": str(debian.path), "state_dir": str(directory), "_token": saved["token"]}

    def stopped(user: str) -> list[str]:
        way = {"pipelining": False, "remote_tmp": "/home/daemon", "remote_user": user}
        facts = trusted.facts({**params, "_connection": way}, given, "1.3.4")
        policy = compile_policy(allowlist(given, ""), facts, Options("enforce"))
        return [each.path for each in refusals.blocked(policy, facts.records, facts.users)]

    assert stopped("daemon") == []
    assert stopped("nobody") == [script.path]


def test_rpm_s_packages_make_the_same_policy(red_hat: RpmRoot) -> None:
    def package(name: str, *lines: str, **given: t.Any) -> Rpm:
        write = f"mkdir -p %{{buildroot}}/usr/bin\nprintf '#!/bin/sh\\n' > %{{buildroot}}/usr/bin/{name}\n"
        rpm = Rpm(name, install=write, files=f"%attr(0755,root,root) /usr/bin/{name}", **given)
        rpm.install = "\n".join((rpm.install, *lines))
        return rpm

    red_hat.install(package("needed"), package("file"), package("alone"), package("old", algorithm=1))
    red_hat.install(package("tool", requires=["needed >= 1", "/usr/bin/file"]))
    rules = [Rule("base", package=name, manager="rpm") for name in ("tool", "old")]
    needed = ["/usr/bin/file", "/usr/bin/needed", "/usr/bin/old"]
    assert _paths(_policy(red_hat, *rules)) == [*needed, "/usr/bin/tool"]
    red_hat.file("/usr/bin/tool").write_bytes(SCRIPT + b"# changed\n")
    assert _paths(_policy(red_hat, *rules)) == needed
