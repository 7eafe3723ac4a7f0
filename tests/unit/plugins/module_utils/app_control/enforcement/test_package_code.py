# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of packages that may run while packages change: programs, scripts and modules, and no documentation."""

from __future__ import annotations

import hashlib
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import package_code
from ansible_collections.bulwark.servers.plugins.module_utils.packages.archives import Archive, Shipped


def shipped(sha256: str, mode: int = 0o644) -> Shipped:
    return Shipped(sha256, mode, "root", "root", None, False)


def test_code_of_an_archive() -> None:
    archive = Archive(
        {
            b"/usr/bin/tool": shipped("program", 0o755),
            b"/usr/lib/tool/libtool.so.1": shipped("library"),
            b"/opt/tool/module.pm": shipped("module"),
            b"/usr/share/perl5/module.pm": shipped("module of the system"),
            b"/usr/share/initramfs-tools/hook-functions": shipped("sourced"),
            b"/usr/share/doc/tool/example": shipped("example"),
            b"/usr/share/man/man1/tool.1.gz": shipped("manual"),
            b"/usr/share/locale/de/LC_MESSAGES/tool.mo": shipped("translation"),
            b"/usr/lib/modules/6.1/kernel/x.ko.xz": shipped("kernel module"),
            b"/usr/bin/link": Shipped(None, 0o777, "root", "root", b"tool", False),
        },
        {"postinst": b"#!/bin/sh\n", "md5sums": b"x"},
    )
    assert package_code.archive_digests(archive) == {
        "program",
        "library",
        "module",
        "sourced",
        hashlib.sha256(b"#!/bin/sh\n").hexdigest(),
    }


def test_scripts_of_installed_packages(tmp_path: pathlib.Path) -> None:
    (tmp_path / "info").mkdir()
    for name in ("tool.postinst", "lib:amd64.prerm", "tool.md5sums", "tool.list"):
        (tmp_path / "info" / name).write_text(name)
    wanted = {hashlib.sha256(name.encode()).hexdigest() for name in ("tool.postinst", "lib:amd64.prerm")}
    assert package_code.script_digests(str(tmp_path)) == wanted


@pytest.mark.parametrize(
    ("state", "is_unfinished"),
    [
        ("install ok installed", False),
        ("deinstall ok config-files", False),
        ("install ok triggers-pending", False),
        ("install ok half-configured", True),
        ("install ok unpacked", True),
        ("install reinstreq half-installed", True),
    ],
)
def test_packages_that_dpkg_is_not_done_with(tmp_path: pathlib.Path, state: str, is_unfinished: bool) -> None:
    stanza = "Package: {}\nStatus: {}\nArchitecture: all\nVersion: 1\n\n"
    installed = stanza.format("a", "install ok installed")
    (tmp_path / "status").write_text(installed + stanza.format("tool", state))
    assert package_code.unfinished(str(tmp_path)) == (["tool"] if is_unfinished else [])
    # A killed dpkg leaves its newest states in its journal.
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates/0000").write_text(stanza.format("tool", "install ok installed"))
    assert package_code.unfinished(str(tmp_path)) == []
