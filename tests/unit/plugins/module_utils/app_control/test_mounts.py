# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories without noexec are recommendations that say what would be stopped."""

from __future__ import annotations

import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import mounts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record


def test_directories_without_noexec_are_named_with_what_ran_there(tmp_path: pathlib.Path) -> None:
    for name in ("open", "closed", "quiet"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("open")
    table = (
        b"1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        b"2 1 0:40 / %s/closed rw,nosuid,noexec - tmpfs tmpfs rw\n" % bytes(tmp_path)
    )
    records = [
        Record(Program(kind, f"{tmp_path}/{path}", image), 1.0, 2.0, [])
        for kind, path, image in (
            ("program", "open/tool", ""),
            ("library", "open/lib.so", ""),
            ("script", "open/job", ""),
            ("program", "open/inside", "shop:2"),
            ("program", "opened/other", ""),
        )
    ]
    names = ("open", "closed", "link", "missing", "quiet")
    found = mounts.recommendations(records, table, [str(tmp_path / name) for name in names])
    (recommended,) = found
    assert (recommended["alert"], recommended["subject"]) == ("app_mount_without_noexec", "temporary directories")
    assert [each["data"] for each in recommended["evidences"]] == [
        {
            "directory": f"{tmp_path}/open",
            "options": ["relatime", "rw"],
            "programs": [f"{tmp_path}/open/lib.so", f"{tmp_path}/open/tool"],
            "programs_count": 2,
        },
        {"directory": f"{tmp_path}/quiet", "options": ["relatime", "rw"], "programs": [], "programs_count": 0},
    ]
    assert recommended["message"] == (
        f"Without noexec: {tmp_path}/open, {tmp_path}/quiet."
        " Known programs and libraries that ran from there, and would not any more: 2."
    )
    (quiet,) = mounts.recommendations(records, table, [str(tmp_path / "quiet")])
    assert quiet["message"].endswith(" No program or library is known that ran from there.")
    assert mounts.recommendations(records, table, [str(tmp_path / "closed")]) == []


def test_mounts_of_this_machine_can_be_read() -> None:
    scope = ScopeCoverage(mounts.SCOPE)
    assert b" / " in mounts.read_table(scope)
    assert scope.entry()["status"] == "checked"
