# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package databases as the real dpkg and rpm write them."""

from __future__ import annotations

import hashlib
import os
import pathlib
import sqlite3
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import header
from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases as reading

from tests.integration.package_roots import Deb, DebianRoot, Rpm, RpmRoot

pytestmark = pytest.mark.requires("root", "command:dpkg-deb", "command:rpmbuild")


def md5(content: bytes) -> dict[str, str]:
    return {"md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}


def sha256(content: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture(name="debian")
def _debian(tmp_path: pathlib.Path) -> DebianRoot:
    return DebianRoot(tmp_path / "root")


@pytest.fixture(name="redhat")
def _redhat(tmp_path: pathlib.Path) -> RpmRoot:
    return RpmRoot(tmp_path / "root")


def test_a_file_is_found_with_the_digest_of_its_package(debian: DebianRoot) -> None:
    debian.install(Deb("tool", "2:1.0-1", files={"usr/bin/tool": b"#!/bin/sh\n"}))
    owned = debian.databases().owner(b"/usr/bin/tool")
    assert owned is not None
    assert (owned.key, owned.package, owned.version, owned.arch) == ("dpkg:tool:all", "tool", "2:1.0-1", "all")
    assert owned.digests == md5(b"#!/bin/sh\n")
    assert (owned.mode, owned.uid, owned.link_target, owned.conffile) == (None, None, None, False)
    assert debian.databases().owner(b"/usr/bin/tool2") is None
    assert debian.databases().owner(b"/usr/bin/too") is None
    assert debian.databases().coverage_notes() == []


def test_merged_directories_are_one_and_the_same(debian: DebianRoot) -> None:
    debian.install(Deb("old", files={"bin/old": b"o"}), Deb("new", files={"usr/bin/new": b"n"}))
    databases = debian.databases()
    for name in (b"/bin/old", b"/usr/bin/old"):
        owned = databases.owner(name)
        assert owned is not None
        assert owned.digests == md5(b"o")
    for name in (b"/bin/new", b"/usr/bin/new"):
        owned = databases.owner(name)
        assert owned is not None
        assert owned.digests == md5(b"n")


def test_directories_that_are_not_merged_stay_two(tmp_path: pathlib.Path) -> None:
    root = DebianRoot(tmp_path / "root", merged=False)
    root.install(Deb("old", files={"bin/old": b"o"}))
    assert root.databases().owner(b"/bin/old") is not None
    assert root.databases().owner(b"/usr/bin/old") is None


def test_a_conffile_has_the_digest_that_was_shipped(debian: DebianRoot) -> None:
    conffile = "/etc/tool dir/tool.conf"
    first = Deb("tool", files={conffile: b"first\n", "usr/bin/tool": b"x"}, conffiles=[conffile])
    debian.install(first)
    debian.file(conffile).write_text("edited\n")
    owned = debian.databases().owner(os.fsencode(conffile))
    assert owned is not None
    assert owned.conffile
    assert owned.digests == md5(b"first\n")
    debian.install(Deb("tool", "2", files={conffile: b"second\n", "usr/bin/tool": b"x"}, conffiles=[conffile]))
    owned = debian.databases().owner(os.fsencode(conffile))
    assert owned is not None
    assert (owned.version, owned.digests, owned.obsolete) == ("2", md5(b"second\n"), False)
    debian.install(Deb("tool", "3", files={"usr/bin/tool": b"x"}))
    owned = debian.databases().owner(os.fsencode(conffile))
    assert owned is not None
    assert owned.obsolete


def test_only_the_configuration_is_left_of_a_removed_package(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"/etc/tool.conf": b"c", "usr/bin/tool": b"x"}, conffiles=["/etc/tool.conf"]))
    debian.dpkg("--remove", "tool")
    databases = debian.databases()
    assert databases.owner(b"/usr/bin/tool") is None
    assert databases.owner(b"/etc/tool.conf") is not None
    assert "dpkg:tool:all" not in databases.snapshot()
    assert databases.coverage_notes() == []
    successor = Deb("successor", files={"/etc/tool.conf": b"d"}, conffiles=["/etc/tool.conf"])
    debian.install(successor)
    owned = debian.databases().owner(b"/etc/tool.conf")
    assert owned is not None
    assert owned.package == "successor"


def test_a_diversion_moves_what_a_package_owns(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"original"}))
    debian.divert("--package", "better", "--divert", "/usr/bin/tool.real", "--rename", "--add", "/usr/bin/tool")
    assert debian.databases().owner(b"/usr/bin/tool") is None
    debian.install(Deb("better", files={"usr/bin/tool": b"better"}))
    databases = debian.databases()
    diverted, diverting = databases.owner(b"/usr/bin/tool.real"), databases.owner(b"/usr/bin/tool")
    assert diverted is not None
    assert diverting is not None
    assert (diverted.package, diverted.digests) == ("tool", md5(b"original"))
    assert (diverting.package, diverting.digests) == ("better", md5(b"better"))
    assert databases.coverage_notes() == []


def test_a_file_where_a_diversion_took_the_packaged_one_away_is_noted(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"original"}))
    debian.divert("--local", "--divert", "/usr/bin/tool.distrib", "--rename", "--add", "/usr/bin/tool")
    assert debian.databases().coverage_notes() == []
    debian.file("usr/bin/tool").write_text("trojan")
    databases = debian.databases()
    assert databases.owner(b"/usr/bin/tool") is None
    assert databases.coverage_notes() == [
        ("/usr/bin/tool", "diverted by the administrator: no package says what should be there")
    ]


def test_a_statoverride_gives_mode_and_owner(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"x", "usr/bin/other": b"y"}))
    before = debian.databases().snapshot()
    debian.override("--update", "--add", "root", "messagebus", "4754", "/usr/bin/tool")
    databases = debian.databases()
    owned = databases.owner(b"/usr/bin/tool")
    assert owned is not None
    assert (owned.mode, owned.uid, owned.gid) == (0o4754, 0, 101)
    after = databases.snapshot()
    assert {key for key in after if after[key] != before[key]} == {"dpkg:statoverride"}
    assert reading.edited_packages(before, after) == []


def test_a_package_that_is_installed_for_two_architectures(debian: DebianRoot) -> None:
    debian.dpkg("--add-architecture", "i386")
    shared: dict[str | bytes, bytes] = {"usr/share/doc/lib/copyright": b"c"}
    for arch in ("amd64", "i386"):
        files: dict[str | bytes, bytes] = {**shared, f"usr/lib/{arch}/lib.so": arch.encode()}
        debian.install(Deb("lib", arch=arch, files=files, control="Multi-Arch: same\n"))
    databases = debian.databases()
    for arch in ("amd64", "i386"):
        owned = databases.owner(f"/usr/lib/{arch}/lib.so".encode())
        assert owned is not None
        assert (owned.key, owned.digests) == (f"dpkg:lib:{arch}", md5(arch.encode()))
    common = databases.owner(b"/usr/share/doc/lib/copyright")
    assert common is not None
    assert common.digests == md5(b"c")
    assert {"dpkg:lib:amd64", "dpkg:lib:i386"} <= set(databases.snapshot())


def test_a_package_that_waits_for_its_configuration(debian: DebianRoot) -> None:
    debian.unpack(Deb("tool", files={"/etc/tool.conf": b"c", "usr/bin/tool": b"x"}, conffiles=["/etc/tool.conf"]))
    databases = debian.databases()
    program, conffile = databases.owner(b"/usr/bin/tool"), databases.owner(b"/etc/tool.conf")
    assert program is not None
    assert program.digests == md5(b"x")
    assert conffile is not None
    assert conffile.digests == {}
    # The digests are final, those of the conffiles are not: what is not known yet is no edit when it comes.
    unpacked = databases.snapshot()
    debian.dpkg("--configure", "tool")
    configured = debian.databases().snapshot()
    assert unpacked["dpkg:tool:all"] != configured["dpkg:tool:all"]
    assert reading.edited_packages(unpacked, configured) == reading.edited_packages(configured, unpacked) == []
    merged = header.merged_packages
    assert merged(unpacked, configured) == merged(configured, unpacked) == configured


# No newline: neither dpkg nor rpmbuild takes one.
NAMES = [
    b"/usr/share/t/with space",
    b"/usr/share/t/ leading",
    b"/usr/share/t/back\\slash",
    b"/usr/share/t/back\\nslash",
    b"/usr/share/t/*star",
    b"/usr/share/t/t\xc3\xa4st",
    b"/usr/share/t/invalid\xff\xfe",
    b"/usr/share/t/quote'\"`$(id)",
    b"/usr/share/t/tab\tcr\rbell\a",
]


def test_odd_names(debian: DebianRoot) -> None:
    debian.install(Deb("odd", files={name: name for name in NAMES}))
    databases = debian.databases()
    found = {name: databases.owner(name) for name in NAMES}
    assert {name: owned.digests if owned else None for name, owned in found.items()} == {n: md5(n) for n in NAMES}


def test_a_packaged_file_is_found_by_its_content(debian: DebianRoot) -> None:
    debian.install(
        Deb("one", files={"usr/share/one/default": b"default", "usr/share/one/other": b"other"}),
        Deb("two", files={"usr/share/two/default": b"default"}),
    )
    databases = debian.databases()
    found = [(path, owned.package) for path, owned in databases.shipping(md5(b"default"))]
    assert found == [(b"/usr/share/one/default", "one"), (b"/usr/share/two/default", "two")]
    assert list(databases.shipping(md5(b"nothing"))) == []
    assert list(databases.shipping({"md5": "00" * 16})) == []
    assert list(databases.shipping(sha256(b"default"))) == []


def test_digests_that_are_missing_are_noted_and_seen(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"x"}), Deb("meta"))
    before = debian.databases().snapshot()
    debian.database("info/tool.md5sums").unlink()
    databases = debian.databases()
    owned = databases.owner(b"/usr/bin/tool")
    assert owned is not None
    assert owned.digests == {}
    assert databases.coverage_notes() == [
        ("tool", "the package came without digests (md5sums); its files can't be verified")
    ]
    assert reading.edited_packages(before, databases.snapshot()) == [
        reading.PackageEdit("dpkg:tool:all", "tool", "1.0-1")
    ]


def test_digests_that_were_emptied_are_told_from_those_that_never_came(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"x"}), Deb("meta"))
    debian.database("info/tool.md5sums").write_bytes(b"")
    assert debian.databases().coverage_notes() == [
        ("tool", "the package's file of digests (md5sums) is empty; its files can't be verified")
    ]


def test_an_edit_of_the_metadata_is_told_from_reinstalling_and_upgrading(debian: DebianRoot) -> None:
    conffile = "/etc/tool.conf"
    tool = Deb("tool", files={"usr/bin/tool": b"good", conffile: b"c"}, conffiles=[conffile])
    debian.install(tool)
    before = debian.databases().snapshot()
    debian.reinstall("tool")
    assert reading.edited_packages(before, debian.databases().snapshot()) == []
    sums = debian.database("info/tool.md5sums")
    good = sums.read_text()
    sums.write_text(good.replace(md5(b"good")["md5"], md5(b"evil")["md5"]))
    assert [edit.name for edit in reading.edited_packages(before, debian.databases().snapshot())] == ["tool"]
    sums.write_text(good)
    assert reading.edited_packages(before, debian.databases().snapshot()) == []
    status = debian.database("status")
    status.write_text(status.read_text().replace(md5(b"c")["md5"], md5(b"evil")["md5"]))
    assert [edit.name for edit in reading.edited_packages(before, debian.databases().snapshot())] == ["tool"]
    debian.install(Deb("tool", "1.0-2", files={"usr/bin/tool": b"better"}))
    assert reading.edited_packages(before, debian.databases().snapshot()) == []


def test_the_journal_of_a_killed_dpkg_counts(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"x"}))
    stanza = debian.database("status").read_text().strip() + "\n"
    debian.database("updates/0001").write_text(stanza.replace("ok installed", "ok half-installed"))
    databases = debian.databases()
    owned = databases.owner(b"/usr/bin/tool")
    assert owned is not None
    assert owned.digests == {}
    assert databases.coverage_notes() == [("tool", "the package is half-installed; its files can't be verified")]


def test_a_fifo_in_place_of_a_database_is_no_trap(debian: DebianRoot) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"x"}))
    listing = debian.database("info/tool.list")
    listing.unlink()
    os.mkfifo(listing)
    databases = debian.databases()
    assert databases.owner(b"/usr/bin/tool") is None
    assert [subject for subject, _reason in databases.coverage_notes()] == ["tool"]


def test_what_this_machine_has_installed_agrees_with_dpkg() -> None:
    databases = reading.load_packages()
    listed = subprocess.run(["dpkg-query", "--listfiles", "dpkg"], capture_output=True, text=True, check=True).stdout
    for path in listed.split("\n"):
        if path and path != "/.":
            real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            owned = databases.owner(os.fsencode(real))
            assert owned is not None, path
    version = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "dpkg"], capture_output=True, text=True, check=True)
    owned = databases.owner(b"/usr/bin/dpkg")
    assert owned is not None
    assert (owned.package, owned.version) == ("dpkg", version.stdout)


def test_everything_that_rpm_records(redhat: RpmRoot) -> None:
    redhat.install(
        Rpm(
            "tool",
            epoch=3,
            install="""
            mkdir -p %{buildroot}/usr/bin %{buildroot}/etc %{buildroot}/usr/share/tool
            printf good > %{buildroot}/usr/bin/tool
            printf conf > %{buildroot}/etc/tool.conf
            printf free > %{buildroot}/usr/share/tool/free
            ln -s tool %{buildroot}/usr/bin/link
            """,
            files="""
            %attr(4750,root,messagebus) /usr/bin/tool
            /usr/bin/link
            %config(noreplace) /etc/tool.conf
            %ghost /var/log/tool.log
            %dir /usr/share/tool
            %verify(not md5 mode owner) %caps(cap_net_raw=ep) /usr/share/tool/free
            """,
        )
    )
    databases = redhat.databases()
    tool = databases.owner(b"/usr/bin/tool")
    assert tool is not None
    assert (tool.key, tool.version, tool.manager) == ("rpm:tool:noarch", "3:1.0-1", "rpm")
    assert (tool.digests, tool.mode, tool.uid, tool.gid) == (sha256(b"good"), 0o4750, 0, 101)
    link = databases.owner(b"/bin/link")
    assert link is not None
    assert (link.link_target, link.digests, link.mode) == (b"tool", {}, None)
    conffile = databases.owner(b"/etc/tool.conf")
    assert conffile is not None
    assert (conffile.conffile, conffile.digests) == (True, sha256(b"conf"))
    ghost = databases.owner(b"/var/log/tool.log")
    assert ghost is not None
    assert (ghost.ghost, ghost.digests, ghost.mode) == (True, {}, None)
    free = databases.owner(b"/usr/share/tool/free")
    assert free is not None
    assert (free.digests, free.mode, free.uid, free.gid) == ({}, None, None, 0)
    assert free.capabilities == "cap_net_raw=ep"
    assert databases.digest_algorithms() == {"sha256"}
    assert databases.coverage_notes() == []


def test_odd_names_in_an_rpm(redhat: RpmRoot) -> None:
    names = [
        "with space",
        "it's",
        "'quoted'",
        "back\\slash",
        "täst",
        "F 'x' '' 'root' 'root' '' .00 1 2 3 0",
        "a$(id)`b`",
    ]
    install = "mkdir -p %{buildroot}/usr/share/odd\ncd %{buildroot}/usr/share/odd\n"
    for number, name in enumerate(names):
        quoted = "'" + name.replace("'", "'\\''").replace("%", "%%") + "'"
        install += f"printf {number} > {quoted}\n"
    redhat.install(Rpm("odd", install=install, files="/usr/share/odd"))
    databases = redhat.databases()
    found = {name: databases.owner(f"/usr/share/odd/{name}".encode()) for name in names}
    digests = {name: owned.digests if owned else None for name, owned in found.items()}
    assert digests == {name: sha256(str(number).encode()) for number, name in enumerate(names)}


def test_rpm_versions_side_by_side_and_without_files(redhat: RpmRoot) -> None:
    def kernel(version: str) -> Rpm:
        path = f"/lib/modules/{version}/vmlinuz"
        install = f"mkdir -p %{{buildroot}}/lib/modules/{version}\nprintf {version} > %{{buildroot}}{path}"
        return Rpm("kernel", version=version, install=install, files=path, algorithm=10)

    redhat.install(kernel("6.1"), kernel("6.2"), Rpm("meta"))
    databases = redhat.databases()
    snapshot = databases.snapshot()
    assert set(snapshot["rpm:kernel:noarch"]) == {"6.1-1", "6.2-1"}
    assert set(snapshot["rpm:meta:noarch"]) == {"1.0-1"}
    owned = databases.owner(b"/usr/lib/modules/6.1/vmlinuz")
    assert owned is not None
    assert (owned.version, owned.digests) == ("6.1-1", {"sha512": hashlib.sha512(b"6.1").hexdigest()})
    assert databases.coverage_notes() == []


def test_a_header_that_was_edited_is_not_taken(redhat: RpmRoot) -> None:
    install = "mkdir -p %{buildroot}/usr/bin\nprintf good > %{buildroot}/usr/bin/tool"
    redhat.install(Rpm("tool", install=install, files="/usr/bin/tool"))
    with sqlite3.connect(redhat.path / "var/lib/rpm/rpmdb.sqlite") as database:
        (blob,) = database.execute("SELECT blob FROM Packages").fetchone()
        good, evil = sha256(b"good")["sha256"].encode(), sha256(b"evil")["sha256"].encode()
        assert blob.count(good) == 1
        database.execute("UPDATE Packages SET blob = ?", (blob.replace(good, evil),))
    database.close()
    databases = redhat.databases()
    assert databases.owner(b"/usr/bin/tool") is None
    ((subject, reason),) = databases.coverage_notes()
    assert subject == "rpm database"
    assert "BAD" in reason
    assert "rpm:incomplete" in databases.snapshot()


def test_a_host_with_both_and_a_host_with_neither(debian: DebianRoot, tmp_path: pathlib.Path) -> None:
    debian.install(Deb("tool", files={"usr/bin/tool": b"x"}))
    rpm = Rpm("other", install="mkdir -p %{buildroot}/opt\nprintf o > %{buildroot}/opt/other", files="/opt/other")
    subprocess.run(["rpm", "--root", debian.path, "-i", rpm.build(tmp_path)], check=True, capture_output=True)
    databases = debian.databases()
    assert databases.digest_algorithms() == {"md5", "sha256"}
    assert {"dpkg:tool:all", "rpm:other:noarch"} <= set(databases.snapshot())
    assert databases.owner(b"/opt/other") is not None
    assert databases.owner(b"/usr/bin/tool") is not None
    empty = tmp_path / "empty"
    empty.mkdir()
    databases = reading.load_packages(os.fsencode(empty))
    assert databases.owner(b"/usr/bin/tool") is None
    assert databases.snapshot() == {}
    assert databases.coverage_notes() == [
        ("package databases", "there is neither dpkg's nor rpm's; files can't be verified with them")
    ]
    assert not list(empty.iterdir())


def test_a_database_that_cannot_be_read_is_noted(redhat: RpmRoot) -> None:
    redhat.file("var/lib/rpm").mkdir(parents=True)
    redhat.file("var/lib/rpm/rpmdb.sqlite").write_bytes(b"no database at all")
    databases = redhat.databases()
    assert databases.owner(b"/usr/bin/tool") is None
    assert "rpm database" in {subject for subject, _reason in databases.coverage_notes()}
