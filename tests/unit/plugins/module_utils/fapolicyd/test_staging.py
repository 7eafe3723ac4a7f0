# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory is prepared with the files of others as they are, and takes the place of the one in use."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._exchange import exchange
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import staging

TIME = 1_700_000_000_123_456_789


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "fapolicyd"
    (directory / "rules.d").mkdir(parents=True, mode=0o750)
    (directory / "fapolicyd.conf").write_text("permissive = 0\n")
    (directory / "fapolicyd.conf").chmod(0o640)
    (directory / "rules.d" / "50-others.rules").write_text("allow perm=any all : all\n")
    (directory / "rules.d" / "link.rules").symlink_to("50-others.rules")
    os.setxattr(directory / "rules.d" / "50-others.rules", "user.others", b"kept")
    os.utime(directory / "rules.d" / "50-others.rules", ns=(TIME, TIME))
    os.utime(directory, ns=(TIME, TIME))
    return directory


def test_files_of_others_are_kept_as_they_are(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "staged"
    files = {"rules.d/00-ours.rules": b"deny\n", "trust.d/ours.trust": b"x", "fapolicyd.conf": b"permissive = 1\n"}
    staging.build(str(source), str(target), files, times={"fapolicyd.conf": TIME})
    assert {path: (target / path).read_bytes() for path in files} == files
    others = target / "rules.d" / "50-others.rules"
    assert (others.stat().st_mtime_ns, os.getxattr(others, "user.others")) == (TIME, b"kept")
    assert os.readlink(target / "rules.d" / "link.rules") == "50-others.rules"
    assert (target / "rules.d").stat().st_mode == (source / "rules.d").stat().st_mode
    conf = (target / "fapolicyd.conf").stat()
    assert (conf.st_mode & 0o777, conf.st_mtime_ns) == (0o640, TIME)
    # Ours are as everybody may read them, and the source is as it was.
    assert (target / "rules.d" / "00-ours.rules").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in source.iterdir()) == ["fapolicyd.conf", "rules.d"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fapolicyd", "staged"]


def test_files_are_left_out_and_names_exchanged(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "staged"
    target.mkdir()
    (target / "of a run that was killed").touch()
    staging.build(str(source), str(target), {}, without=("rules.d/50-others.rules",))
    exchange(str(source), str(target))
    assert sorted(path.name for path in (source / "rules.d").iterdir()) == ["link.rules"]
    assert (target / "rules.d" / "50-others.rules").exists()
    staging.discard(str(target))
    staging.discard(str(target))


def test_what_no_copy_can_be_made_of_is_refused(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    os.mkfifo(source / "fifo")
    with pytest.raises(staging.StagingError, match="fifo is not a file, directory or link"):
        staging.build(str(source), str(tmp_path / "staged"), {})


def test_a_link_is_never_read(source: pathlib.Path) -> None:
    assert staging.read(str(source), "rules.d/50-others.rules") == b"allow perm=any all : all\n"
    assert staging.read(str(source), "nothing") is None
    with pytest.raises(staging.StagingError):
        staging.read(str(source), "rules.d/link.rules")
