# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs of maintainer scripts, with the real dpkg and rpm and a repository that a key signed."""

from __future__ import annotations

import pathlib
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.package_scripts import (
    ANCESTORS,
    CLAIMED,
    CONTRADICTED,
    UNKNOWN,
    VERIFIED,
    PackageScripts,
    Provenance,
)
from ansible_collections.bulwark.servers.plugins.module_utils.packages import rpm_signature

from tests.integration._signed_repository import Key, Repository, process
from tests.integration.package_roots import Deb, DebianRoot, Rpm, RpmRoot

POSTINST = "/var/lib/dpkg/info/tool.postinst"
SCRIPT = b"#!/bin/sh\nexit 0\n"
TOOL = Deb("tool", files={"/usr/bin/tool": b"tool"}, scripts={"postinst": SCRIPT, "preinst": SCRIPT, "config": SCRIPT})

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


def provenance(root: DebianRoot | RpmRoot, path: str, after: float = 2.0) -> Provenance:
    """Return what vouches for a script that runs so many seconds from now."""
    found = PackageScripts(root.databases()).provenance(path, time.time() + after)
    assert found is not None
    return found


def test_script_of_a_signed_archive_is_verified(debian: DebianRoot, repository: Repository) -> None:
    repository.add(debian.install(TOOL)[0], keep=True)
    found = provenance(debian, POSTINST)
    assert found == Provenance(VERIFIED, "tool 1.0-1", POSTINST)
    assert found.by == "tool 1.0-1"
    debian.file(POSTINST).write_bytes(b"#!/bin/sh\n/tmp/evil\n")
    changed = provenance(debian, POSTINST)
    assert (changed.level, changed.reason) == (CONTRADICTED, "its package has another")


def test_script_of_a_signed_index_is_claimed(debian: DebianRoot, repository: Repository) -> None:
    repository.add(debian.install(TOOL)[0])
    found = provenance(debian, POSTINST)
    assert (found.level, found.by) == (CLAIMED, "claimed by tool 1.0-1")


def test_script_of_no_repository_is_unknown(debian: DebianRoot, repository: Repository) -> None:
    repository.add(debian.install(TOOL)[0])
    debian.install(Deb("own", scripts={"postinst": SCRIPT}))
    own = provenance(debian, "/var/lib/dpkg/info/own.postinst")
    assert (own.level, own.reason) == (UNKNOWN, "no signed repository index has the version that is installed")
    missing = provenance(debian, "/var/lib/dpkg/info/never-there.prerm")
    assert (missing.level, missing.reason) == (UNKNOWN, "the package is not installed, or not any more")
    # A newer version of a packaged name that nobody signed.
    debian.install(Deb("tool", version="9.0", scripts={"postinst": SCRIPT}))
    assert provenance(debian, POSTINST).level == UNKNOWN


def test_archive_of_another_package_vouches_for_nothing(debian: DebianRoot, repository: Repository) -> None:
    (package,) = debian.install(TOOL)
    repository.add(package)
    (repository.archives / package.name).write_bytes(package.read_bytes() + b"\n")
    assert provenance(debian, POSTINST).level == UNKNOWN


def test_scripts_that_are_gone_are_claimed_while_dpkg_unpacks(debian: DebianRoot, repository: Repository) -> None:
    repository.add(debian.install(TOOL)[0], keep=True)
    for path in ("/var/lib/dpkg/tmp.ci/preinst", "/var/cache/debconf/tmp.ci/tool.config.aB3dE6"):
        assert provenance(debian, path, after=-5).level == CLAIMED
        # Hours later, nothing was unpacked.
        assert provenance(debian, path, after=7200).level == UNKNOWN
    # The script of the version before, which the new one replaced.
    assert provenance(debian, POSTINST, after=-5).level == CLAIMED
    assert provenance(debian, "/var/lib/dpkg/info/tool.postrm", after=7200).level == UNKNOWN
    assert provenance(debian, "/var/lib/dpkg/tmp.ci/postrm", after=-5).level == UNKNOWN


@pytest.mark.parametrize(
    "path", ["/usr/bin/tool", "/var/lib/dpkg/info/tool.list", "/var/lib/dpkg/info/../x.postinst", "/var/tmp/rpm-tmp.x"]
)
def test_other_files_are_no_maintainer_scripts(debian: DebianRoot, path: str) -> None:
    assert PackageScripts(debian.databases()).provenance(path, time.time()) is None


def execution(*levels: str) -> Execution:
    """Return an execution below these processes, the nearest first."""
    running = process(("/usr/bin/id",), *((level,) for level in levels))
    return Execution(time.time() + 2, "root", levels[0], levels[1:], "/", "", "", process=running)


def test_what_a_signed_script_starts_is_explained_by_it(debian: DebianRoot, repository: Repository) -> None:
    repository.add(debian.install(TOOL)[0], keep=True)
    debian.install(Deb("own", scripts={"postinst": SCRIPT}))
    scripts = PackageScripts(debian.databases())
    assert scripts.explain(execution("/usr/bin/run-parts", POSTINST, "/usr/bin/dpkg")) == "tool 1.0-1"
    assert scripts.is_started("tool 1.0-1")
    assert scripts.explain(execution("/usr/bin/dpkg", "/usr/bin/apt-get")) == ""
    assert scripts.explain(execution("/var/lib/dpkg/info/own.postinst", POSTINST)) == ""
    assert not scripts.is_started("own 1.0-1")


def test_script_of_debconf_is_explained_itself(debian: DebianRoot, repository: Repository) -> None:
    """It has another name each time, and is gone afterwards."""
    repository.add(debian.install(TOOL)[0])
    path = "/var/cache/debconf/tmp.ci/tool.config.aB3dE6"
    running = process((path,), ("/usr/sbin/dpkg-preconfigure",))
    executed = Execution(time.time(), "root", "/usr/bin/perl", (), "/", "", "", script=path, process=running)
    scripts = PackageScripts(debian.databases())
    assert scripts.explain(executed) == "claimed by tool 1.0-1, by its own script"
    sentence = "claimed by tool 1.0-1, by its own script"
    record = Record(Program("script", path, content="gone"), 1.0, 2.0, [], explanations={sentence: 1}, newest=executed)
    assert scripts.is_script(sentence, record.program)
    assert scripts.vouches_for(record)
    folded = Record(Program("script", "/var/cache/debconf/tmp.ci/*"), 1.0, 2.0, [], explanations={sentence: 60})
    assert scripts.vouches_for(folded)
    folded.newest_unexplained = executed
    assert not scripts.vouches_for(folded)
    # Its interpreter, of which the same execution is, is not its script.
    assert not scripts.is_script(sentence, Program("program", "/usr/bin/perl"))
    assert not scripts.is_script(sentence, Program("script", "/tmp/x"))


@pytest.mark.parametrize(
    ("path", "is_asked"),
    [
        (POSTINST, True),
        ("/var/lib/dpkg/tmp.ci/preinst", True),
        ("/var/cache/debconf/tmp.ci/tool.config.aB3dE6", True),
        ("/usr/bin/rpm", True),
        ("/usr/bin/dnf-3", True),
        ("/usr/sbin/dpkg-preconfigure", True),
        ("/tmp/rpm", False),
        ("/usr/bin/dpkg", False),
        ("/tmp/var/lib/dpkg/info/x.postinst", False),
    ],
)
def test_only_what_may_be_explained_is_asked_about(path: str, is_asked: bool) -> None:
    assert bool(ANCESTORS.search(b'"%s"' % path.encode())) is is_asked


def test_scriptlets_of_rpm_are_claimed_by_signed_packages(
    tmp_path: pathlib.Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = RpmRoot(tmp_path / "root")
    signed = Rpm("tool").build(tmp_path)
    key.sign_rpm(signed)
    public = tmp_path / "key.asc"
    public.write_bytes(key.armoured())
    root.rpm("--import", str(public))
    root.rpm("--nodeps", "-i", str(signed))
    path = "/var/tmp/rpm-tmp.aB3dE6"
    # A key vouches for what comes a day after it.
    assert provenance(root, path).level == UNKNOWN
    monkeypatch.setattr(rpm_signature, "KEY_AGE", 0.0)
    found = provenance(root, path)
    assert (found.level, found.package) == (CLAIMED, "tool 1.0-1")
    assert provenance(root, path, after=-7200).reason == "rpm installed no package then"
    scripts = PackageScripts(root.databases())
    shell = ("/usr/bin/bash", path, "1")
    below = process(("/usr/bin/id",), shell, ("/usr/bin/rpm", "-U"))
    executed = Execution(time.time(), "root", "/usr/bin/bash", (), "/", "", "", process=below)
    assert scripts.explain(executed) == "claimed by tool 1.0-1"
    itself = executed._replace(process=process(shell, ("/usr/bin/rpm", "-U")), script=path)
    assert scripts.explain(itself) == "claimed by tool 1.0-1, by its own script"
    # Everybody can name a script so.
    elsewhere = process(("/usr/bin/id",), shell, ("/usr/bin/bash",), ("/usr/bin/rpm", "-U"))
    assert scripts.explain(executed._replace(process=elsewhere)) == ""
    itself = executed._replace(process=process(shell, ("/usr/bin/bash",), ("/usr/bin/rpm", "-U")), script=path)
    assert scripts.explain(itself) == ""
    root.install(Rpm("own"))
    assert provenance(root, path).reason == "own 1.0-1 has no signature that verifies"
