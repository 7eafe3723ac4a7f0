# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What packages explain, with the real dpkg and a repository that a key signed; and all that only looks like it."""

from __future__ import annotations

import hashlib
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.packages import rpm_signature, signed_index

from tests.integration._signed_repository import (
    APT,
    CONFIGURE,
    UNPACK,
    Key,
    Repository,
    explained,
    explained_command,
)
from tests.integration.package_roots import Deb, DebianRoot, Rpm, RpmRoot

PAM = "/etc/pam.d/common-auth"
UNIT = "/usr/lib/systemd/system/tool.service"
POSTINST = ("/var/lib/dpkg/info/tool.postinst", "configure")
PRERM = ("/var/lib/dpkg/info/tool.prerm", "upgrade")
DPKG = (*UNPACK, "/var/cache/apt/archives/tool_1.0-1_all.deb")
ADDUSER = ("/usr/sbin/useradd", "--system", "_tool")

pytestmark = pytest.mark.requires("root", "command:dpkg-deb", "command:gpg", "command:rpmsign")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("keys") / "gnupg")


@pytest.fixture
def debian(tmp_path: pathlib.Path) -> DebianRoot:
    return DebianRoot(tmp_path / "root")


@pytest.fixture
def repository(debian: DebianRoot, key: Key) -> Repository:
    """A repository whose key came with the system."""
    repository = Repository(debian, key)
    debian.install(repository.keyring())
    return repository


TOOL = Deb(
    "tool",
    files={UNIT: b"[Service]\n", PAM: b"auth required pam_unix.so\n", "/usr/bin/tool": b"#!/bin/sh\n"},
    conffiles=(PAM,),
)


def offered(debian: DebianRoot, repository: Repository, keep: bool = False) -> pathlib.Path:
    """Install the tool as a repository has it; return its archive."""
    (package,) = debian.install(TOOL)
    repository.add(package, keep=keep)
    return package


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("path", [UNIT, PAM])
def test_a_file_that_a_signed_package_brings(debian: DebianRoot, repository: Repository, keep: bool, path: str) -> None:
    offered(debian, repository, keep)
    explanation = explained(debian, path, DPKG, APT)
    assert explanation is not None
    assert explanation.sentence == f"The package tool 1.0-1 brings {path}"
    # Under the name that it has while it is unpacked, too.
    inode = os.lstat(debian.path / path[1:]).st_ino
    assert explained(debian, path + ".dpkg-new", DPKG, APT, inode=inode) is not None


@pytest.mark.parametrize("keep", [False, True])
def test_a_package_of_no_repository(debian: DebianRoot, repository: Repository, keep: bool) -> None:
    (package,) = debian.install(TOOL)
    if keep:
        (repository.archives / package.name).write_bytes(package.read_bytes())
    assert explained(debian, PAM, DPKG, APT) is None


@pytest.mark.parametrize(
    "levels",
    [
        [("/usr/bin/dpkg", "-i", "/tmp/x.deb"), ("/usr/bin/bash",)],
        [DPKG, ("/usr/bin/bash",)],
        [DPKG],
        [(*UNPACK, "/tmp/tool_1.0-1_all.deb"), APT],
        [("/usr/bin/dpkg", "--pre-invoke=/tmp/x", *DPKG[1:]), APT],
        [("/usr/bin/dpkg", "--root=/tmp/x", *DPKG[1:]), APT],
        [DPKG, ("/usr/bin/apt-get", "-o", "APT::Update::Pre-Invoke::=/bin/sh", "install", "tool")],
        [DPKG, ("/usr/bin/apt-get", "-oDir::State::lists=/tmp/x", "install", "tool")],
        [DPKG, ("/usr/bin/apt-get", "-c", "/tmp/x.conf", "install", "tool")],
        [DPKG, ("/usr/bin/apt-get", "-c=/tmp/x.conf", "install", "tool")],
        [DPKG, ("/usr/bin/apt-get", "--allow-unauthenticated", "install", "tool")],
        [DPKG, ("/usr/bin/apt-get", "install", "./tool_1.0-1_all.deb")],
        [DPKG, ("/usr/bin/apt", "install", "/tmp/tool.deb")],
        [DPKG, ("/tmp/apt-get", "install", "tool")],
        [("/tmp/dpkg", *DPKG[1:]), APT],
        [("/usr/bin/cp", "/tmp/x", PAM), APT],
        [("/usr/bin/bash",), APT],
    ],
)
def test_without_the_archive_apt_must_have_taken_it_from_its_repositories(
    debian: DebianRoot, repository: Repository, levels: t.Sequence[t.Sequence[str]]
) -> None:
    offered(debian, repository)
    assert explained(debian, PAM, *levels) is None


@pytest.mark.parametrize(
    "apt",
    [
        ("/usr/bin/apt", "full-upgrade", "-y"),
        ("/usr/bin/apt-get", "-qq", "--only-upgrade", "install", "tool=1.0-1", "other/stable"),
        ("/usr/bin/apt-get", "-y", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
        + ("install", "tool"),
        ("/usr/bin/unattended-upgrade", "/usr/bin/unattended-upgrade", "-v"),
    ],
)
def test_the_ordinary_ways_to_upgrade(debian: DebianRoot, repository: Repository, apt: t.Sequence[str]) -> None:
    offered(debian, repository)
    assert explained(debian, UNIT, DPKG, apt) is not None
    assert explained(debian, PAM, CONFIGURE, apt) is not None


def test_the_archive_proves_it_whoever_called_dpkg(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository, keep=True)
    assert explained(debian, UNIT, DPKG) is not None


@pytest.mark.parametrize("keep", [False, True])
def test_a_file_with_other_content(debian: DebianRoot, repository: Repository, keep: bool) -> None:
    offered(debian, repository, keep)
    (debian.path / PAM[1:]).write_text("auth sufficient pam_permit.so\n")
    assert explained(debian, PAM, DPKG, APT) is None
    assert explained(debian, PAM, ("/usr/bin/sed", "-i"), POSTINST, CONFIGURE, APT) is None
    # Other files of the package still are.
    assert explained(debian, UNIT, DPKG, APT) is not None


def test_content_whose_digest_was_edited_too(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository, keep=True)
    (debian.path / UNIT[1:]).write_text("[Service]\nExecStart=/tmp/x\n")
    digest = hashlib.md5((debian.path / UNIT[1:]).read_bytes(), usedforsecurity=False).hexdigest()
    debian.database("info/tool.md5sums").write_text(f"{digest}  {UNIT[1:]}\n")
    assert explained(debian, UNIT, DPKG, APT) is None


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o646])
def test_a_file_that_somebody_gains_by(debian: DebianRoot, repository: Repository, keep: bool, mode: int) -> None:
    offered(debian, repository, keep)
    (debian.path / "usr/bin/tool").chmod(mode)
    assert explained(debian, "/usr/bin/tool", DPKG, APT) is None


@pytest.mark.parametrize(("name", "is_explained"), [("passwd", True), ("tool", False)])
def test_a_setuid_program_without_its_archive(
    debian: DebianRoot, repository: Repository, name: str, is_explained: bool
) -> None:
    path = f"/usr/bin/{name}"
    repository.add(debian.install(Deb("tool", files={path: b"program"}))[0])
    (debian.path / path[1:]).chmod(0o4755)
    assert (explained(debian, path, DPKG, APT) is not None) == is_explained


@pytest.mark.parametrize("path", ["/etc/pam.d/evil", "/etc/pam.d/evil.dpkg-new", "/etc/cron.d/x"])
def test_a_file_of_nobody(debian: DebianRoot, repository: Repository, path: str) -> None:
    offered(debian, repository, keep=True)
    (debian.path / path[1:]).parent.mkdir(exist_ok=True)
    (debian.path / path[1:]).write_text("x")
    assert explained(debian, path, DPKG, APT) is None
    assert explained(debian, path, ("/usr/bin/cp", "x", path), POSTINST, CONFIGURE, APT) is None


def test_another_file_of_the_same_name(debian: DebianRoot, repository: Repository) -> None:
    """Such as one below another root, or one that was there before the package's."""
    offered(debian, repository, keep=True)
    helper = ("/usr/bin/install", "x", PAM)
    assert explained(debian, PAM, helper, DPKG, APT) is not None
    assert explained(debian, PAM, helper, DPKG, APT, inode=12) is None
    assert explained(debian, PAM, DPKG, APT, inode=12, timestamp=time.time() - 3600) is None
    # dpkg replaced it twice.
    assert explained(debian, PAM, DPKG, APT, inode=12) is not None


def test_a_file_that_changed_later(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository, keep=True)
    assert explained(debian, PAM, DPKG, APT, timestamp=time.time() - 3600) is None


def test_a_configuration_that_stayed_as_it_was(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository)
    (debian.path / PAM[1:]).write_text("changed by its administrator\n")
    assert explained(debian, PAM + ".dpkg-new", DPKG, APT, inode=12) is not None
    assert explained(debian, "/etc/pam.d/other.dpkg-new", DPKG, APT, inode=12) is None


def test_another_archive_under_that_name(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository, keep=True)
    for archive in repository.archives.iterdir():
        archive.write_bytes(archive.read_bytes() + b"\n")
    assert explained(debian, PAM, DPKG, APT) is None


def test_an_index_that_was_edited(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository)
    (index,) = (debian.path / "var/lib/apt/lists").glob("*_Packages")
    index.write_text(index.read_text() + "\nPackage: more\n")
    assert explained(debian, PAM, DPKG, APT) is None


def test_an_index_that_nobody_signed_makes_a_package_doubtful(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository)
    index = debian.path / "var/lib/apt/lists/_tmp_repo_._Packages"
    index.write_text(f"Package: tool\nVersion: 1.0-1\nArchitecture: all\nSHA256: {'0' * 64}\n")
    assert explained(debian, PAM, DPKG, APT) is None


@pytest.mark.parametrize("is_packaged", [False, True])
@pytest.mark.parametrize("directory", ["etc/apt/keyrings", "usr/share/keyrings"])
def test_a_repository_of_ones_own(
    debian: DebianRoot, key: Key, monkeypatch: pytest.MonkeyPatch, directory: str, is_packaged: bool
) -> None:
    repository = Repository(debian, key)
    if is_packaged:
        debian.install(repository.keyring(directory))
    else:
        keys = debian.path / directory
        keys.mkdir(parents=True)
        (keys / "own.gpg").write_bytes(key.public)
    offered(debian, repository, keep=True)
    # The system of the test is as new as the key.
    assert explained(debian, PAM, DPKG, APT) is not None
    monkeypatch.setattr(signed_index, "WITH_SYSTEM", -60.0)
    assert explained(debian, PAM, DPKG, APT) is None


def test_links_to_what_a_package_ships(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository)
    wants = debian.path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "tool.service").symlink_to(UNIT)
    (wants / "evil.service").symlink_to("/tmp/evil.service")
    (debian.path / "etc/profile.d").mkdir()
    (debian.path / "etc/profile.d/tool.sh").symlink_to("/usr/bin/tool")
    levels = [("/usr/bin/deb-systemd-helper", "enable"), POSTINST, CONFIGURE, APT]
    directory = "/etc/systemd/system/multi-user.target.wants"
    assert explained(debian, f"{directory}/tool.service", *levels) is not None
    assert explained(debian, f"{directory}/evil.service", *levels) is None
    assert explained(debian, "/etc/profile.d/tool.sh", *levels) is None


def test_directories_and_masked_units(debian: DebianRoot, repository: Repository) -> None:
    mask = "usr/lib/systemd/system/hwclock.service"
    deb = Deb("tool", files={UNIT: b"", "/etc/cron.hourly/.placeholder": b"", PAM: b"x"}, links={mask: "/dev/null"})
    repository.add(debian.install(deb)[0])
    assert explained(debian, f"/{mask}", DPKG, APT) is not None
    assert explained(debian, "/etc/cron.hourly", DPKG, APT) is not None
    (debian.path / "etc/cron.hourly").chmod(0o777)
    assert explained(debian, "/etc/cron.hourly", DPKG, APT) is None
    (debian.path / UNIT[1:]).unlink()
    (debian.path / UNIT[1:]).symlink_to("/dev/null")
    assert explained(debian, UNIT, DPKG, APT) is None


@pytest.mark.parametrize("template", ["/usr/share/tool/job", "/usr/share/doc/tool/examples/job"])
def test_a_copy_of_a_template(debian: DebianRoot, repository: Repository, template: str) -> None:
    repository.add(debian.install(Deb("tool", files={template: b"* * * * * root tool\n"}))[0])
    for name in ("job", "other"):
        (debian.path / "etc/cron.d").mkdir(exist_ok=True)
        (debian.path / "etc/cron.d" / name).write_text("* * * * * root tool\n")
    levels = [("/usr/bin/cp", "x"), ("/usr/bin/ucf", "x"), POSTINST, CONFIGURE, APT]
    assert (explained(debian, "/etc/cron.d/job", *levels) is not None) == ("doc" not in template)
    assert explained(debian, "/etc/cron.d/other", *levels) is None
    assert explained(debian, "/etc/cron.d/job", DPKG, APT) is None


def test_the_mode_of_a_program_that_has_no_name_yet(debian: DebianRoot, repository: Repository) -> None:
    offered(debian, repository)
    tool = debian.path / "usr/bin/tool"
    os.chown(tool, 0, 101)
    (debian.path / "etc/group").write_text("root:x:0:\ntool:x:101:\n")
    tool.chmod(0o2755)
    inode = tool.stat().st_ino
    assert explained(debian, "", DPKG, APT, inode=inode, action="chmod") is not None
    assert explained(debian, "", DPKG, APT, inode=1, action="chmod") is None
    assert explained(debian, "", DPKG, APT, inode=inode) is None


def test_a_kernel_is_removed_while_another_remains(debian: DebianRoot, repository: Repository) -> None:
    image = Deb("linux-image", files={"/boot/vmlinuz-6.12.2": b"kernel"})
    repository.add(debian.install(image)[0])
    levels = (("/usr/bin/dpkg", "--purge", "linux-image-6.12.1"), ("/usr/bin/apt-get", "autoremove", "-y"))
    removed = "/boot/vmlinuz-6.12.1"

    def asked(path: str = removed, processes: t.Sequence[t.Sequence[str]] = levels) -> bool:
        return explained(debian, path, *processes, inode=1, action="delete") is not None

    assert not asked()  # It has no RAM disk.
    ram_disk = debian.path / "boot/initrd.img-6.12.2"
    ram_disk.write_bytes(b"x")
    assert asked()
    assert asked("/boot/initrd.img-6.12.1", [("/usr/bin/rm", "-f"), ("/usr/sbin/update-initramfs", "-d"), *levels])
    assert not asked("/boot/vmlinuz-6.12.2")
    assert not asked("/boot/grub/grub.cfg")
    assert not asked(processes=[("/usr/bin/rm", "-rf", "/boot"), ("/usr/bin/bash",)])
    (debian.path / "boot/vmlinuz-6.12.2").write_bytes(b"")
    assert not asked()


class TestCommands:
    """Commands below a maintainer script."""

    @pytest.fixture(autouse=True)
    def _host(self, debian: DebianRoot, repository: Repository) -> None:
        self.package = offered(debian, repository)
        for script in ("postinst", "prerm"):
            debian.database(f"info/tool.{script}").write_text("#!/bin/sh\n")
        self.root = debian
        self.account()

    def account(self, uid: int = 999, shell: str = "/usr/sbin/nologin", locked: str = "!", groups: str = "") -> None:
        etc = self.root.path / "etc"
        (etc / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\n_tool:x:{uid}:999::/:{shell}\n")
        (etc / "shadow").write_text(f"_tool:{locked}:1::::::\n")
        (etc / "group").write_text(f"root:x:0:\n_tool:x:999:\n{groups}")

    def asked(self, *command: str, script: t.Sequence[str] = POSTINST) -> bool:
        return explained_command(self.root, command, script, CONFIGURE, APT) is not None

    def test_a_system_account(self) -> None:
        assert self.asked(*ADDUSER)

    @pytest.mark.parametrize(
        "account",
        [
            {"uid": 0},
            {"uid": 1000},
            {"shell": "/bin/bash"},
            {"locked": ""},
            {"locked": "$6$x"},
            {"groups": "sudo:x:27:_tool\n"},
        ],
    )
    def test_an_account_that_is_more_than_that(self, account: dict[str, t.Any]) -> None:
        self.account(**account)
        assert not self.asked(*ADDUSER)

    def test_its_own_service_when_it_runs_again(self) -> None:
        stop = ("/usr/bin/systemctl", "stop", "tool.service")
        assert not self.asked(*stop, script=PRERM)
        group = self.root.path / "sys/fs/cgroup/system.slice/tool.service"
        group.mkdir(parents=True)
        (group / "cgroup.procs").write_text("12\n")
        assert self.asked(*stop, script=PRERM)
        assert not self.asked("/usr/bin/systemctl", "stop", "tool", "auditd", script=PRERM)
        assert not self.asked("/usr/bin/systemctl", "mask", "tool", script=PRERM)

    @pytest.mark.parametrize("command", ["auditctl -e 0", "passwd -d root", "usermod -aG sudo mallory", "chattr -i /x"])
    def test_anything_else(self, command: str) -> None:
        assert not self.asked(*f"/usr/sbin/{command}".split())
        assert not self.asked("/usr/bin/dash", "-c", command)

    def test_a_script_that_is_not_the_archives(self, repository: Repository) -> None:
        assert self.asked(*ADDUSER)
        # The archive has no such script.
        (repository.archives / self.package.name).write_bytes(self.package.read_bytes())
        assert not self.asked(*ADDUSER)

    @pytest.mark.parametrize(
        "levels",
        [
            [("/tmp/tool.postinst", "configure"), CONFIGURE, APT],
            [("/tmp/evil", "x"), POSTINST, CONFIGURE, APT],
            [("/var/lib/dpkg/info/other.postinst", "configure"), CONFIGURE, APT],
            [POSTINST, ("/usr/bin/bash",)],
            [CONFIGURE, APT],
        ],
    )
    def test_below_anything_else(self, levels: t.Sequence[t.Sequence[str]]) -> None:
        assert explained_command(self.root, ADDUSER, *levels) is None


class TestRpm:
    """Packages of RPM, whose headers are signed."""

    DNF = (("/usr/bin/rpm", "-U", "x.rpm"), ("/usr/bin/bash",))
    JOB = "/etc/cron.d/tool"

    @pytest.fixture
    def redhat(self, tmp_path: pathlib.Path) -> RpmRoot:
        return RpmRoot(tmp_path / "redhat")

    def installed(self, redhat: RpmRoot, key: Key | None, imported: bool = True) -> None:
        job = Rpm(
            "tool",
            install="mkdir -p %{buildroot}/etc/cron.d; echo x > %{buildroot}/etc/cron.d/tool",
            files="%attr(0644,root,root) /etc/cron.d/tool",
        )
        package = job.build(redhat.path.parent)
        if key is not None:
            key.sign_rpm(package)
            public = redhat.path.parent / "key.asc"
            public.write_bytes(key.armoured())
            if imported:
                redhat.rpm("--import", str(public))
        redhat.rpm("--nodeps", "-i", str(package))

    def test_a_signed_one(self, redhat: RpmRoot, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed(redhat, key)
        # The key came just now.
        assert explained(redhat, self.JOB, *self.DNF) is None
        monkeypatch.setattr(rpm_signature, "KEY_AGE", 0.0)
        timestamp = time.time() + 1
        explanation = explained(redhat, self.JOB, *self.DNF, timestamp=timestamp)
        assert explanation is not None
        assert explanation.sentence == f"The package tool 1.0-1 brings {self.JOB}"
        assert explained(redhat, self.JOB, ("/usr/bin/cp", "x"), ("/usr/bin/bash",), timestamp=timestamp) is None
        (redhat.path / self.JOB[1:]).chmod(0o666)
        assert explained(redhat, self.JOB, *self.DNF, timestamp=timestamp) is None
        (redhat.path / self.JOB[1:]).chmod(0o644)
        (redhat.path / self.JOB[1:]).write_text("evil\n")
        assert explained(redhat, self.JOB, *self.DNF, timestamp=timestamp) is None

    @pytest.mark.parametrize("is_signed", [False, True])
    def test_one_that_no_key_of_the_host_signed(
        self, redhat: RpmRoot, key: Key, monkeypatch: pytest.MonkeyPatch, is_signed: bool
    ) -> None:
        monkeypatch.setattr(rpm_signature, "KEY_AGE", 0.0)
        self.installed(redhat, key if is_signed else None, imported=False)
        assert explained(redhat, self.JOB, *self.DNF, timestamp=time.time() + 1) is None
