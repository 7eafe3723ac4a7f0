# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store that several people on one controller share, as real accounts use it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError, location

from tests.support import paths

pytestmark = pytest.mark.requires("root")

# Numbers that no account and no group of this machine has.
GROUP, ALICE, BOB, MALLORY = 64_990, 64_991, 64_992, 64_993

_WORK = """
import contextlib, os, sys
os.umask(0o077)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, location
location.SHARED = sys.argv[1]
print(location.default_url(), location.is_own(None))
with contextlib.closing(Store.open()) as store:
    store.start_simulation("web1", ["x"], by=sys.argv[2], now=1.0)
    print(",".join(sorted(each.by for each in store.simulations())))
"""


@pytest.fixture
def shared() -> t.Iterator[pathlib.Path]:
    # Others get into it, as into /var/lib.
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="bulwark-test-") as above:
        os.chmod(above, 0o755)  # noqa: S103 - as /var/lib is, below which the directory is
        directory = pathlib.Path(above) / "store"
        directory.mkdir()
        os.chown(directory, 0, GROUP)
        directory.chmod(0o2770)
        yield directory


def use(shared: pathlib.Path, uid: int, *groups: int, name: str) -> list[str]:
    """Add to the default store as an account, with a umask that gives nothing to a group; return what it printed."""
    home = shared.parent / name
    home.mkdir(exist_ok=True)
    os.chown(home, uid, uid)
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}"]
    become += [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(paths.COLLECTIONS)}
    command = [*become, sys.executable, "-c", _WORK, str(shared), name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_members_share_what_they_record_and_others_have_their_own(shared: pathlib.Path) -> None:
    url = f"sqlite:///{shared}/findings.db"
    assert use(shared, ALICE, GROUP, name="alice") == [f"{url} False", "alice"]
    assert use(shared, BOB, GROUP, name="bob") == [f"{url} False", "alice,bob"]
    assert use(shared, ALICE, GROUP, name="alice")[1] == "alice,alice,bob"
    status = (shared / "findings.db").stat()
    assert (status.st_mode & 0o7777, status.st_gid) == (0o660, GROUP)
    own = shared.parent / "mallory" / ".local" / "state" / "bulwark" / "findings.db"
    assert use(shared, MALLORY, name="mallory") == [f"sqlite:///{own} True", "mallory"]
    assert own.stat().st_mode & 0o7777 == 0o600


def test_only_a_directory_that_root_made_for_a_group_is_shared(
    shared: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getgroups", lambda: [GROUP])
    assert location.is_shared(str(shared))
    for mode in (0o0770, 0o2775, 0o2750, 0o3770):
        shared.chmod(mode)
        assert not location.is_shared(str(shared))
    shared.chmod(0o2770)
    os.chown(shared, ALICE, GROUP)
    shared.chmod(0o2770)
    assert not location.is_shared(str(shared))
    os.chown(shared, 0, 0)
    shared.chmod(0o2770)
    assert not location.is_shared(str(shared))
    os.chown(shared, 0, GROUP)
    shared.chmod(0o2770)
    link = shared.parent / "link"
    link.symlink_to(shared)
    assert not location.is_shared(str(link))
    assert not location.is_shared(str(shared.parent / "none"))


def test_a_member_cannot_lead_another_to_a_store_of_their_own(
    shared: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(os, "getgroups", lambda: [GROUP])
    Store.open(f"sqlite:///{tmp_path}/own.db").close()
    (shared / "findings.db").symlink_to(tmp_path / "own.db")
    with pytest.raises(StoreError, match=r"findings\.db is a symbolic link in a shared directory: remove the link"):
        Store.open(f"sqlite:///{shared}/findings.db")
    # In a directory of one's own it is somebody's wish.
    (tmp_path / "link.db").symlink_to(tmp_path / "own.db")
    Store.open(f"sqlite:///{tmp_path}/link.db").close()


def test_a_named_store_comes_first(shared: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getgroups", lambda: [GROUP])
    monkeypatch.setattr(location, "SHARED", str(shared))
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert location.default_url() == f"sqlite:///{shared}/findings.db"
    monkeypatch.setenv("BULWARK_STORE", "postgresql://db/bulwark")
    assert location.default_url() == "postgresql://db/bulwark"
