# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that apt and dpkg are about to unpack, by what apt writes and by dpkg's command line."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.packages import planned

APT = b"""VERSION 3
APT::Architecture=amd64
Dir::Cache=var/cache/apt

new - - none < 1.0 all none /var/cache/apt/archives/new_1.0_all.deb
old 1 amd64 same < 2 amd64 same /srv/with a space/old_2_amd64.deb
old 1 amd64 same < 2 amd64 same **CONFIGURE**
gone 1 amd64 none > - - none **REMOVE**
"""


def test_archives_of_apt() -> None:
    assert planned.of_apt(APT) == planned.Plan(
        (b"/var/cache/apt/archives/new_1.0_all.deb", b"/srv/with a space/old_2_amd64.deb"),
        frozenset(("new", "old", "gone")),
    )


@pytest.mark.parametrize("text", [b"", APT.replace(b"VERSION 3", b"VERSION 2"), APT + b"x 1 < 2 /x.deb\n"])
def test_what_apt_does_not_write(text: bytes) -> None:
    with pytest.raises(planned.PlanError):
        planned.of_apt(text)


def test_archives_of_dpkg(tmp_path: pathlib.Path) -> None:
    for name in ("a.deb", "b.deb", "below/c.deb", "below/text"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    here = os.fsencode(tmp_path)
    first, second, third = (os.path.join(here, name) for name in (b"a.deb", b"b.deb", b"below/c.deb"))
    assert plan(here, b"-i", b"a.deb", second) == ([first, second], [])
    assert plan(here, b"--status-fd", b"15", b"--unpack", b"./a.deb") == ([os.path.join(here, b"./a.deb")], ["15"])
    assert plan(here, b"--configure", b"-a") == ([], [])
    for option in (b"-R", b"--recursive", b"-iR"):
        assert plan(b"/", b"-i", option, here) == ([first, second, third], [])
    # Without the option dpkg takes no directory.
    assert plan(b"/", b"-i", here) == ([], [])


def test_packages_of_dpkg(tmp_path: pathlib.Path) -> None:
    assert plan(os.fsencode(tmp_path), b"--purge", b"libc6:amd64", b"g++", b"--", b"/x") == ([], ["g++", "libc6"])


def plan(directory: bytes, *arguments: bytes) -> tuple[list[bytes], list[str]]:
    made = planned.of_dpkg([b"dpkg", *arguments], directory)
    assert made is not None
    return list(made.archives), sorted(made.packages)


@pytest.mark.parametrize("option", [b"--root=/mnt", b"--root", b"--instdir=/mnt", b"--admindir=/mnt/var/lib/dpkg"])
def test_dpkg_on_another_root(option: bytes) -> None:
    assert planned.of_dpkg([b"dpkg", option, b"-i", b"a.deb"], b"/") is None
