# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import pathlib
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.packages import archives

from tests.support import require


@pytest.fixture
def kept(tmp_path: pathlib.Path) -> pathlib.Path:
    """Build an archive where apt keeps those of a root."""
    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN" / "control").write_text(
        "Package: probe\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <a@example.org>\nDescription: probe\n"
    )
    (source / "usr").mkdir()
    (source / "usr" / "probe").write_text("shipped\n")
    path = tmp_path / "root" / "var" / "cache" / "apt" / "archives" / "probe_1.0_all.deb"
    path.parent.mkdir(parents=True)
    require("command:dpkg-deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(source), str(path)], check=True, capture_output=True)
    return path


def _get(kept: pathlib.Path, sha256: str) -> archives.Archive | bool | None:
    root = bytes(kept.parents[4])
    return archives.KeptArchives(root, 10, 1 << 20).get("probe", "1.0", "all", sha256)


def test_an_archive_is_the_one_that_has_the_digest(kept: pathlib.Path) -> None:
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    archive = _get(kept, digest)
    assert isinstance(archive, archives.Archive)
    assert archive.files[b"/usr/probe"].sha256 == hashlib.sha256(b"shipped\n").hexdigest()
    assert _get(kept, "0" * 64) is False


def test_an_archive_that_can_not_be_unpacked_here_is_no_other_one(
    kept: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "DPKG_DEB", "/nonexistent/dpkg-deb")
    assert _get(kept, hashlib.sha256(kept.read_bytes()).hexdigest()) is None


def test_an_archive_that_nobody_signed_is_not_unpacked(kept: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it may have made it to take all memory: the length of a name in it is what a header says."""
    monkeypatch.setattr(archives._command, "piped", lambda *_arguments: pytest.fail("it was unpacked"))
    assert _get(kept, "0" * 64) is False
