# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of signed RPM packages, with the real rpm: learned, allowed, upgraded, and exchanged by an intruder."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import sqlite3
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import PRESENT, VERIFIED
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule

from tests.integration._signed_repository import Key
from tests.integration.app_control._packaged_host import PackagedHost
from tests.integration.package_roots import Rpm, RpmRoot

pytestmark = pytest.mark.requires("root", "command:rpmbuild", "command:rpmsign", "command:gpg")

UNAPPROVED, CHANGED = [("app_unapproved_program", None)], [("app_changed_program", None)]
_RAN = "var/scriptlets"


class Keys(t.NamedTuple):
    """The distribution's key, and one that an intruder made."""

    own: Key
    other: Key


class Host(PackagedHost):
    """A host with rpm."""

    root: RpmRoot

    def __init__(self, root: RpmRoot, keys: Keys) -> None:
        super().__init__(root, Rule("web", package="tool", manager="rpm", origin=keys.own.short_id))
        self._keys = keys
        (root.path / "var").mkdir(exist_ok=True)
        self.trust(keys.own)

    def trust(self, key: Key) -> None:
        public = self.root.path.parent / "key.asc"
        public.write_bytes(key.armoured())
        self.root.rpm("--import", str(public))

    def install(self, version: str, key: Key | None, *options: str, text: str = "") -> None:
        """Install or upgrade the package, with scriptlets that note that they ran."""
        directory = self.root.path.parent / f"{version}-{time.monotonic_ns()}"
        directory.mkdir()
        package = _package(version, text).build(directory)
        if key is not None:
            key.sign_rpm(package)
        self.root.rpm("--nodeps", "-U", *options, str(package))

    def scriptlets(self) -> list[str]:
        return (self.root.path / _RAN).read_text().split()

    def run(self) -> list[tuple[str, str | None]]:
        """Execute the program and look."""
        return self.look(*self.execution())


def _package(version: str, text: str) -> Rpm:
    note = f'local f = io.open("/{_RAN}", "a"); f:write("%s-{version}\\n"); f:close()'
    program = f"#!/bin/sh\\n# {version}{text}\\n"
    write = "".join(f"printf '{program}' > %{{buildroot}}/usr/bin/{name}\n" for name in ("tool", "helper"))
    return Rpm(
        "tool",
        version=version,
        install=f"mkdir -p %{{buildroot}}/usr/bin\n{write}",
        files="%attr(0755,root,root) /usr/bin/*",
        scripts={kind: note.replace("%s", kind) for kind in ("pre", "post", "preun", "postun")},
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    directory = tmp_path_factory.mktemp("keys")
    return Keys(Key(directory / "own"), Key(directory / "other"))


@pytest.fixture
def host(tmp_path: pathlib.Path, keys: Keys) -> Host:
    host = Host(RpmRoot(tmp_path / "root"), keys)
    host.install("1.0", keys.own)
    return host


def test_signed_package_is_learned_with_its_key_and_allowed_by_it(host: Host, keys: Keys) -> None:
    assert host.run() == []
    assert host.program is not None
    about = host.program.manager, host.program.package, host.program.version, host.program.origin
    assert about == ("rpm", "tool", "1.0-1", keys.own.short_id)
    assert (host.program.verification, host.program.content) == (VERIFIED, PRESENT)
    host.rule = Rule("web", package="other", manager="rpm")
    assert host.run() == UNAPPROVED


def test_upgrades_with_scriptlets_raise_nothing(host: Host, keys: Keys) -> None:
    assert host.run() == []
    ran = host.execution()
    host.install("1.1", keys.own)
    assert host.scriptlets() == ["pre-1.0", "post-1.0", "pre-1.1", "post-1.1", "preun-1.0", "postun-1.0"]
    # The former version ran since the look before.
    assert host.look(*ran) == []
    assert host.run() == []
    ran = host.execution()
    host.root.rpm("-e", "tool")
    assert host.look(*ran) == []


def test_first_look_after_an_upgrade_raises_nothing(host: Host, keys: Keys) -> None:
    ran = host.execution()
    host.install("1.1", keys.own)
    assert host.look(*ran) == []


def test_package_of_the_same_name_that_somebody_else_made(host: Host, keys: Keys) -> None:
    assert host.run() == []
    host.install("1.1", None)
    assert host.run() == UNAPPROVED
    host.install("1.2", keys.other)
    assert host.run() == UNAPPROVED
    # Root can make the host trust a key.
    host.trust(keys.other)
    host.install("1.3", keys.other)
    assert host.run() == UNAPPROVED
    assert host.program is not None
    assert host.program.origin == keys.other.short_id
    host.install("1.4", keys.own)
    assert host.run() == []


def test_package_of_the_same_version_that_somebody_else_made(host: Host) -> None:
    assert host.run() == []
    host.install("1.0", None, "--force", text="evil")
    assert host.run() == CHANGED
    # What an earlier look knew of this version says nothing about a program that is new.
    host.turn_to("/usr/bin/helper")
    assert host.run() == UNAPPROVED


def test_file_that_was_edited(host: Host) -> None:
    assert host.run() == []
    genuine = host.file.read_bytes()
    host.file.write_bytes(genuine + b"evil")
    assert host.run() == CHANGED
    host.file.write_bytes(genuine)
    assert host.run() == []


def test_file_whose_recorded_digest_was_edited_with_it(host: Host) -> None:
    """Rpm refuses a header that is not as it was signed, so that the file belongs to no package."""
    assert host.run() == []
    genuine = host.file.read_bytes()
    host.file.write_bytes(genuine + b"evil")
    former, edited = (hashlib.sha256(text).hexdigest().encode() for text in (genuine, host.file.read_bytes()))
    with contextlib.closing(sqlite3.connect(host.root.path / "var/lib/rpm/rpmdb.sqlite")) as database, database:
        rows = database.execute("SELECT hnum, blob FROM Packages").fetchall()
        assert any(former in blob for _number, blob in rows)
        changed = [(blob.replace(former, edited), number) for number, blob in rows]
        database.executemany("UPDATE Packages SET blob = ? WHERE hnum = ?", changed)
    assert host.run() == UNAPPROVED
