# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the classification makes of what the real dpkg and rpm do to a root, and of what an attacker does meanwhile."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import stat
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import differences
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import classifier
from ansible_collections.bulwark.servers.plugins.module_utils.packages import signed_packages

from tests.content.file_integrity import harness
from tests.integration._signed_repository import Key, Repository
from tests.integration.package_roots import Deb, DebianRoot, Root, Rpm, RpmRoot

pytestmark = pytest.mark.requires(
    "root", "command:dpkg-deb", "command:rpmbuild", "command:gpg", "command:rpmsign", "command:gpgv"
)

CONFFILE = "/etc/tool.conf"


@dataclasses.dataclass
class State:
    """What the engine would have recorded of a root, with the packages of then."""

    entries: dict[bytes, model.Entry]
    snapshot: dict[str, dict[str, str]]


def record(root: Root) -> State:
    """Return the state of what the default watches cover in a root."""
    databases = root.databases()
    entries = {}
    top = os.fsencode(root.path)
    for directory, directories, files in os.walk(top):
        for name in [*directories, *files]:
            real = os.path.join(directory, name)
            path = real[len(top) :]
            watch = harness.owner(path)
            if watch is not None:
                owned = databases.owner(path)
                entries[path] = _entry(path, real, watch, owned.key if owned else None)
    return State(entries, databases.snapshot())


def _entry(path: bytes, real: bytes, watch: str, package: str | None) -> model.Entry:
    status = os.lstat(real)
    kinds = {stat.S_IFREG: model.FILE, stat.S_IFDIR: model.DIRECTORY, stat.S_IFLNK: model.LINK}
    kind = kinds[stat.S_IFMT(status.st_mode)]
    content = pathlib.Path(os.fsdecode(real)).read_bytes() if kind == model.FILE else b""
    return model.Entry(
        path=path,
        watch=watch,
        type=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        inode=status.st_ino,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        link_target=os.readlink(real) if kind == model.LINK else None,
        hashes={
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        if kind == model.FILE
        else None,
        package=package,
    )


def verdicts(root: Root, before: State) -> dict[str, model.Verdict]:
    """Return what each difference between then and now means, by path."""
    now = record(root)
    watches = {watch.name: watch for watch in harness.default_watches()}
    databases = root.databases()
    context = model.Context(
        packages=databases,
        snapshot=now.snapshot,
        baseline_snapshot=before.snapshot,
        watches=watches,
        derived=harness.derived_rules(),
        was_owned=lambda path: path in before.entries and before.entries[path].package is not None,
    )

    def is_sealed(path: bytes, content: bytes) -> bool:
        entry = before.entries.get(path)
        return entry is not None and (entry.hashes or {}).get("sha256") == hashlib.sha256(content).hexdigest()

    view = signed_packages.SignedPackages(databases, is_sealed, before.snapshot, now.snapshot, lambda _program: False)
    signed = context._replace(packages=view, snapshot=view.snapshot(), signed_only=True)
    found = {}
    for path in sorted({*before.entries, *now.entries}):
        old, new = before.entries.get(path), now.entries.get(path)
        entry = new or old
        assert entry is not None
        kind = model.MODIFIED
        attributes: tuple[str, ...] = ()
        if old is None or new is None:
            kind = model.CREATED if old is None else model.DELETED
        else:
            attributes = differences.differing(old, new, watches[new.watch])
            if not attributes or (new.type == model.DIRECTORY and model.NOISE_OF_DIRECTORIES.issuperset(attributes)):
                continue
            if old.type != new.type:
                kind = model.REPLACED_TYPE
        change = model.FileChange(kind, path, entry.watch, old, new, attributes)
        found[path.decode()] = classifier.classify(change, context, signed)
    return found


def alerts(found: t.Mapping[str, model.Verdict]) -> dict[str, str]:
    return {path: verdict.alert for path, verdict in found.items() if verdict.alert is not None}


def deb(version: str) -> Deb:
    """Return a package of which each version has other content, another file and another library version."""
    tag = version.encode()
    files: dict[str | bytes, bytes] = {
        "usr/bin/tool": b"tool " + tag,
        "bin/old-path": b"old path " + tag,
        CONFFILE: b"conf " + tag,
        f"usr/lib/libtool.so.{version}": b"library " + tag,
        f"usr/lib/tool/only-{version}": b"only " + tag,
        "usr/share/tool/default.conf": b"default " + tag,
    }
    links = {"usr/lib/libtool.so": f"libtool.so.{version}"}
    return Deb("tool", version, files=files, links=links, conffiles=[CONFFILE])


def rpm(version: str) -> Rpm:
    install = f"""
    mkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/etc %{{buildroot}}/usr/lib/tool
    printf 'tool {version}' > %{{buildroot}}/usr/bin/tool
    printf 'helper {version}' > %{{buildroot}}/usr/bin/helper
    printf 'conf {version}' > %{{buildroot}}{CONFFILE}
    printf 'library {version}' > %{{buildroot}}/usr/lib/libtool.so.{version}
    ln -s libtool.so.{version} %{{buildroot}}/usr/lib/libtool.so
    printf 'only {version}' > %{{buildroot}}/usr/lib/tool/only-{version}
    """
    files = f"""
    /usr/bin/tool
    %attr({"0755" if version == "1.0" else "4755"},root,root) /usr/bin/helper
    %config(noreplace) {CONFFILE}
    /usr/lib/libtool.so.{version}
    /usr/lib/libtool.so
    /usr/lib/tool
    """
    return Rpm("tool", version=version, install=install, files=files)


@pytest.fixture(name="key", scope="module")
def _key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return Key(tmp_path_factory.mktemp("keys") / "gnupg")


@pytest.fixture(name="debian")
def _debian(tmp_path: pathlib.Path) -> DebianRoot:
    root = DebianRoot(tmp_path / "debian")
    root.install(deb("1.0"))
    return root


@pytest.fixture(name="repository")
def _repository(debian: DebianRoot, key: Key) -> Repository:
    """A repository that has the tool, and whose key is in each baseline."""
    repository = Repository(debian, key)
    debian.install(repository.keyring())
    return repository


@pytest.fixture(name="redhat")
def _redhat(tmp_path: pathlib.Path, key: Key) -> RpmRoot:
    root = RpmRoot(tmp_path / "redhat")
    public = tmp_path / "key.asc"
    public.write_bytes(key.armoured())
    root.rpm("--import", str(public))
    _signed_rpm(root, key, rpm("1.0"))
    return root


def _signed_rpm(root: RpmRoot, key: Key, package: Rpm) -> None:
    built = package.build(root.path.parent / "redhat.rpms")
    key.sign_rpm(built)
    root.rpm("-U", str(built))


def upgraded(debian: DebianRoot, repository: Repository, version: str = "2.0", keep: bool = True) -> None:
    """Upgrade the tool from the repository. keep: whether apt keeps the archive."""
    (package,) = debian.install(deb(version))
    repository.add(package, keep=keep)


def claims(found: t.Mapping[str, model.Verdict]) -> dict[str, str]:
    return {path: verdict.message for path, verdict in found.items() if verdict.claimed}


def test_a_dpkg_upgrade_is_explained_to_the_last_file(debian: DebianRoot, repository: Repository) -> None:
    before = record(debian)
    upgraded(debian, repository)
    found = verdicts(debian, before)
    assert alerts(found) == {}
    assert {path: verdict.message for path, verdict in found.items()} == {
        "/etc/tool.conf": "explained by tool 2.0",
        "/usr/bin/old-path": "explained by tool 2.0",
        "/usr/bin/tool": "explained by tool 2.0",
        "/usr/lib/libtool.so": "explained by tool 2.0",
        "/usr/lib/libtool.so.1.0": "tool 1.0 was removed",
        "/usr/lib/libtool.so.2.0": "explained by tool 2.0",
        "/usr/lib/tool/only-1.0": "tool 1.0 was removed",
        "/usr/lib/tool/only-2.0": "explained by tool 2.0",
    }


def test_a_signed_upgrade_whose_archive_is_gone_is_claimed(debian: DebianRoot, repository: Repository) -> None:
    before = record(debian)
    upgraded(debian, repository, keep=False)
    found = verdicts(debian, before)
    assert alerts(found) == {}
    assert claims(found).keys() == found.keys()
    assert found["/usr/bin/tool"].message == "claimed by tool 2.0: apt keeps no archive of it"


@pytest.mark.usefixtures("repository")
def test_a_package_from_a_file_is_claimed(debian: DebianRoot) -> None:
    before = record(debian)
    debian.install(deb("2.0"))
    found = verdicts(debian, before)
    assert claims(found).keys() == found.keys()
    assert found["/usr/bin/tool"].message == "claimed by tool 2.0: no signed repository index has this version"


def test_a_repository_that_is_trusted_without_a_signature(debian: DebianRoot, repository: Repository) -> None:
    before = record(debian)
    upgraded(debian, repository)
    # apt keeps the Release file of a repository with [trusted=yes], without a signature.
    (release,) = (debian.path / "var/lib/apt/lists").glob("*_InRelease")
    text = release.read_bytes()
    release.rename(release.with_name(release.name.replace("InRelease", "Release")))
    assert claims(verdicts(debian, before)).keys() == verdicts(debian, before).keys()
    release.write_bytes(text.partition(b"-----BEGIN PGP SIGNATURE")[0])
    assert claims(verdicts(debian, before)).keys() == verdicts(debian, before).keys()


@pytest.mark.usefixtures("repository")
def test_a_key_that_came_after_the_baseline(debian: DebianRoot, tmp_path: pathlib.Path) -> None:
    before = record(debian)
    intruder = Key(tmp_path / "intruder")
    debian.file("usr/share/keyrings/x.gpg").write_bytes(intruder.public)
    upgraded(debian, Repository(debian, intruder, "evil.example_dists_stable"))
    found = verdicts(debian, before)
    assert alerts(found) == {"/usr/share/keyrings/x.gpg": "package_source_changed"}
    assert "/usr/bin/tool" in claims(found)
    # Nor does it count in the place of a key that the baseline knows.
    debian.file("usr/share/keyrings/x.gpg").rename(debian.file("usr/share/keyrings/test.gpg"))
    assert "/usr/bin/tool" in claims(verdicts(debian, before))
    # Once a person has accepted it, it does.
    accepted = record(debian)
    upgraded(debian, Repository(debian, intruder, "evil.example_dists_stable"), "3.0")
    assert claims(verdicts(debian, accepted)) == {}


def test_digests_that_were_edited_together_with_the_version(debian: DebianRoot, repository: Repository) -> None:
    before = record(debian)
    good = hashlib.md5(b"tool 1.0", usedforsecurity=False).hexdigest()
    evil = hashlib.md5(b"trojan", usedforsecurity=False).hexdigest()
    sums, status = debian.database("info/tool.md5sums"), debian.database("status")
    sums.write_text(sums.read_text().replace(good, evil))
    status.write_text(status.read_text().replace("Version: 1.0\n", "Version: 1.0-2\n"))
    debian.file("usr/bin/tool").write_text("trojan")
    found = verdicts(debian, before)
    assert found["/usr/bin/tool"].message == "claimed by tool 1.0-2: no signed repository index has this version"
    # The version of a genuine upgrade that is to come does not help, with or without its archive.
    later = deb("2.0").build(debian.path.parent)
    repository.add(later, keep=False)
    status.write_text(status.read_text().replace("Version: 1.0-2\n", "Version: 2.0\n"))
    assert claims(verdicts(debian, before)).keys() == {"/usr/bin/tool"}
    repository.add(later, keep=True)
    found = verdicts(debian, before)
    assert alerts(found) == {"/usr/bin/tool": "fim_package_mismatch"}
    assert found["/usr/bin/tool"].severity == "critical"
    # Another archive under the name of the signed one proves nothing.
    (repository.archives / later.name).write_bytes(b"!<arch>\n")
    found = verdicts(debian, before)
    assert claims(found) == {"/usr/bin/tool": "claimed by tool 2.0: the archive that apt keeps is not the signed one"}


def test_digests_that_were_edited_after_a_genuine_upgrade(debian: DebianRoot, repository: Repository) -> None:
    before = record(debian)
    upgraded(debian, repository)
    sums, status = debian.database("info/tool.md5sums"), debian.database("status")
    for path, good in (("usr/bin/tool", b"tool 2.0"), ("etc/tool.conf", b"conf 2.0")):
        for database in (sums, status):
            text = database.read_text()
            digests = [hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (good, b"trojan")]
            database.write_text(text.replace(*digests))
        debian.file(path).write_text("trojan")
    listed = debian.database("info/tool.list")
    listed.write_text(listed.read_text() + "/usr/lib/tool/more.so\n")
    more = hashlib.md5(b"more", usedforsecurity=False).hexdigest()
    sums.write_text(f"{sums.read_text()}{more}  usr/lib/tool/more.so\n")
    debian.file("usr/lib/tool/more.so").write_text("more")
    assert alerts(verdicts(debian, before)) == {
        "/usr/bin/tool": "fim_package_mismatch",
        "/etc/tool.conf": "fim_file_modified",
        "/usr/lib/tool/more.so": "fim_file_created",
    }


def test_a_program_that_was_edited_to_be_obsolete_configuration(debian: DebianRoot, repository: Repository) -> None:
    before = record(debian)
    upgraded(debian, repository)
    evil = hashlib.md5(b"trojan", usedforsecurity=False).hexdigest()
    status = debian.database("status")
    status.write_text(status.read_text().replace("Conffiles:\n", f"Conffiles:\n /usr/bin/tool {evil} obsolete\n"))
    debian.file("usr/bin/tool").write_text("trojan")
    found = verdicts(debian, before)["/usr/bin/tool"]
    assert (found.alert, found.severity) == ("fim_package_mismatch", "critical")


@pytest.mark.parametrize("age", [-3600, 0, 3600])
def test_a_program_that_another_package_is_said_to_own(debian: DebianRoot, repository: Repository, age: int) -> None:
    upgraded(debian, repository)
    # A package has the times of its files in it, in seconds: whoever builds it chooses them.
    genuine = int(time.time()) - 7200
    os.utime(debian.file("usr/bin/tool"), (genuine, genuine))
    before = record(debian)
    listed = debian.database("info/tool.list")
    listed.write_text(listed.read_text().replace("/usr/bin/tool\n", ""))
    built = genuine - age
    debian.install(Deb("other", "1.0", files={"usr/bin/tool": b"trojan"}, built=built))
    assert debian.file("usr/bin/tool").stat().st_mtime == built
    found = verdicts(debian, before)["/usr/bin/tool"]
    assert (found.alert, found.severity) == ("fim_package_mismatch", "critical")
    assert "the signed package ships something else there" in found.message
    assert ("T1070.006" in found.techniques) == (age >= 0)


def test_what_an_attacker_does_beside_an_upgrade(debian: DebianRoot, repository: Repository) -> None:
    own = debian.file("etc/own.conf")
    own.write_text("own")
    before = record(debian)
    upgraded(debian, repository)
    own.rename(debian.file("etc/own"))
    own.write_text("own")
    debian.file("usr/bin/tool").chmod(0o4755)
    debian.file("usr/lib/tool/only-2.0").chmod(0o664)
    debian.file("etc/alternatives").mkdir()
    debian.file("etc/alternatives/old").symlink_to("/usr/bin/tool")
    found = verdicts(debian, before)
    assert alerts(found) == {
        "/etc/own": "fim_file_created",
        "/etc/own.conf": "fim_metadata_changed",
        "/usr/bin/tool": "fim_setuid_added",
    }
    assert found["/usr/bin/tool"].severity == "high"
    assert "/etc/alternatives/old" in claims(found)


def test_an_rpm_package_without_a_signature_that_counts(redhat: RpmRoot, tmp_path: pathlib.Path) -> None:
    before = record(redhat)
    redhat.upgrade(rpm("2.0"))
    found = verdicts(redhat, before)
    assert found["/usr/bin/tool"].message == "claimed by tool 2.0-1: it has no signature that verifies"
    assert found["/usr/bin/helper"].severity in ("high", "critical")
    # The key of an intruder is imported, and the database rebuilt.
    intruder = Key(tmp_path / "intruder")
    public = tmp_path / "intruder.asc"
    public.write_bytes(intruder.armoured())
    redhat.rpm("--import", str(public))
    _signed_rpm(redhat, intruder, rpm("3.0"))
    redhat.rpm("--rebuilddb")
    found = verdicts(redhat, before)
    assert found["/usr/bin/tool"].message == "claimed by tool 3.0-1: the key that signed it is not in the baseline"


def test_an_rpm_key_of_the_same_short_id_that_was_imported_since(redhat: RpmRoot) -> None:
    databases = redhat.databases()
    before, now = databases.snapshot(), databases.snapshot()
    owned = databases.owner(b"/usr/bin/tool")
    assert owned is not None

    def problem() -> str:
        view = signed_packages.SignedPackages(databases, lambda *_key: False, before, now, lambda _program: False)
        return view.problem(owned)

    assert problem() == ""
    # rpm names a key by 32 bits and the time when it was made; another one with these bits is made within hours.
    (imported,) = before["rpm:gpg-pubkey:"]
    now["rpm:gpg-pubkey:"] = {f"{imported.partition('-')[0]}-5f000000": ""}
    assert problem() == signed_packages.UNKNOWN_KEY


def test_an_rpm_upgrade_is_explained_and_its_new_setuid_bit_shown(redhat: RpmRoot, key: Key) -> None:
    before = record(redhat)
    _signed_rpm(redhat, key, rpm("2.0"))
    found = verdicts(redhat, before)
    assert alerts(found) == {"/usr/bin/helper": "fim_setuid_added"}
    assert found["/usr/bin/helper"].severity == "low"
    assert found["/usr/lib/libtool.so"].message == "explained by tool 2.0-1"
    assert found["/usr/lib/libtool.so.1.0"].message == "tool 1.0-1 was removed"


def test_installing_again_is_explained(debian: DebianRoot, redhat: RpmRoot) -> None:
    before = record(debian)
    debian.reinstall("tool")
    found = verdicts(debian, before)
    assert found
    assert alerts(found) == {}
    before = record(redhat)
    redhat.rpm("-U", "--replacepkgs", *map(str, redhat.built()))
    found = verdicts(redhat, before)
    assert found
    assert alerts(found) == {}


def test_removing_is_explained(debian: DebianRoot, redhat: RpmRoot) -> None:
    before = record(debian)
    debian.dpkg("--purge", "tool")
    found = verdicts(debian, before)
    assert "/usr/bin/tool" in found
    assert alerts(found) == {}
    before = record(redhat)
    redhat.rpm("-e", "tool")
    found = verdicts(redhat, before)
    assert "/usr/bin/tool" in found
    assert alerts(found) == {}


def test_both_versions_of_edited_configuration_are_told_apart(debian: DebianRoot) -> None:
    debian.file(CONFFILE).write_text("edited")
    before = record(debian)
    debian.install(deb("2.0"))
    assert debian.file(f"{CONFFILE}.dpkg-dist").exists()
    assert alerts(verdicts(debian, before)) == {}
    debian.file(CONFFILE).write_text("edited again")
    debian.file(f"{CONFFILE}.dpkg-dist").write_text("forged")
    assert alerts(verdicts(debian, before)) == {
        CONFFILE: "fim_file_modified",
        f"{CONFFILE}.dpkg-dist": "fim_file_created",
    }


def test_a_trojan_does_not_pass_in_the_middle_of_an_upgrade(debian: DebianRoot, redhat: RpmRoot) -> None:
    for root in (debian, redhat):
        before = record(root)
        if isinstance(root, DebianRoot):
            root.install(deb("2.0"))
        else:
            root.upgrade(rpm("2.0"))
        root.file("usr/bin/tool").write_text("trojan")
        root.file("usr/lib/libtool.so").unlink()
        root.file("usr/lib/libtool.so").symlink_to("/tmp/evil.so")
        root.file("usr/bin/extra").write_text("extra")
        root.file("usr/bin/extra").chmod(0o755)
        found = alerts(verdicts(root, before))
        assert found["/usr/bin/tool"] == "fim_package_mismatch"
        assert found["/usr/lib/libtool.so"] in ("fim_file_modified", "fim_package_mismatch")
        assert found["/usr/bin/extra"] == "fim_file_created"


def test_a_trojan_whose_digest_was_put_into_the_database(debian: DebianRoot) -> None:
    before = record(debian)
    sums = debian.database("info/tool.md5sums")
    good = hashlib.md5(b"tool 1.0", usedforsecurity=False).hexdigest()
    evil = hashlib.md5(b"trojan", usedforsecurity=False).hexdigest()
    sums.write_text(sums.read_text().replace(good, evil))
    debian.file("usr/bin/tool").write_text("trojan")
    assert alerts(verdicts(debian, before)) == {"/usr/bin/tool": "fim_package_database_edited"}


@pytest.mark.parametrize("state", ["half-configured", "unpacked"])
def test_a_package_that_is_made_to_look_unfinished(debian: DebianRoot, state: str) -> None:
    before = record(debian)
    sums, status = debian.database("info/tool.md5sums"), debian.database("status")
    good = hashlib.md5(b"tool 1.0", usedforsecurity=False).hexdigest()
    evil = hashlib.md5(b"trojan", usedforsecurity=False).hexdigest()
    sums.write_text(sums.read_text().replace(good, evil))
    status.write_text(status.read_text().replace("install ok installed", f"install ok {state}"))
    debian.file("usr/bin/tool").write_text("trojan")
    assert alerts(verdicts(debian, before)) == {"/usr/bin/tool": "fim_package_database_edited"}


def test_a_trojan_in_place_of_a_diverted_program(debian: DebianRoot) -> None:
    before = record(debian)
    debian.divert("--local", "--divert", "/usr/bin/tool.distrib", "--rename", "--add", "/usr/bin/tool")
    debian.file("usr/bin/tool").write_text("trojan")
    found = verdicts(debian, before)
    assert alerts(found) == {"/usr/bin/tool": "fim_package_mismatch"}
    assert found["/usr/bin/tool.distrib"].message == "claimed by tool 1.0: no signed repository index has this version"


def test_a_setuid_bit_that_an_override_was_added_for(debian: DebianRoot) -> None:
    before = record(debian)
    debian.override("--update", "--add", "root", "root", "4755", "/usr/bin/tool")
    found = verdicts(debian, before)
    assert alerts(found) == {"/usr/bin/tool": "fim_setuid_added"}
    assert found["/usr/bin/tool"].severity == "high"
