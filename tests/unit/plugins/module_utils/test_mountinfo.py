# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading mountinfo files: what is on top, and what no path leads to any more."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import Mount

_TEXT = rb"""27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
30 27 8:1 / /srv rw - xfs /dev/sda1 rw
31 30 0:40 / /srv/below rw - tmpfs below rw
32 27 0:41 / /srv/early rw - tmpfs early rw
40 30 0:42 / /srv rw - tmpfs over rw,size=4k
41 40 0:43 / /srv/on\040top rw - tmpfs new rw
50 27 0:44 / /boot rw - autofs systemd-1 rw,fd=1
51 50 8:2 / /boot rw - vfat /dev/sda2 rw
60 27 254:0 /x//deleted /etc/shadow rw - ext4 /dev/vda rw
61 27 0:50 / /home rw - btrfs /dev/sdb rw,subvol=/@home
damaged line
62 27 0:51 / relative rw - tmpfs t rw
"""


def test_only_what_a_path_leads_to_is_returned() -> None:
    mounts = _mountinfo.parse(_TEXT)
    assert set(mounts) == {b"/", b"/srv", b"/srv/on top", b"/boot", b"/etc/shadow", b"/home"}
    assert mounts[b"/srv"] == Mount("tmpfs", b"/", b"over", b"rw,size=4k", 2)
    assert mounts[b"/boot"] == Mount("vfat", b"/", b"/dev/sda2", b"rw", 2, automounted=True)
    assert mounts[b"/etc/shadow"].root == b"/x//deleted"


def test_in_a_directory_that_was_made_the_root_nothing_need_be_mounted_at_the_root() -> None:
    mounts = _mountinfo.parse(b"5 4 8:1 / /proc rw - proc proc rw\n6 5 8:1 / /proc/x/y rw - tmpfs t rw\n")
    assert set(mounts) == {b"/proc", b"/proc/x/y"}


def test_a_loop_of_parents_is_no_endless_one() -> None:
    assert _mountinfo.parse(b"5 6 8:1 / /a rw - ext4 a rw\n6 5 8:1 / /a rw - ext4 b rw\n") == {}
    assert set(_mountinfo.parse(b"5 5 8:1 / / rw - ext4 a rw\n")) == {b"/"}


def test_a_table_tells_of_this_machine_and_of_changes_only() -> None:
    table = _mountinfo.MountTable()
    try:
        assert table.read()[b"/proc"].kind == "proc"
        assert not table.has_changed()
    finally:
        table.close()


def test_the_last_file_system_at_each_point() -> None:
    text = (
        b"22 28 0:21 / /proc rw,nosuid - proc proc rw\n"
        b"30 28 8:1 / /with\\040space\\012and\\134more rw shared:1 - ext4 /dev/sda1 rw\n"
        b"31 28 0:50 / /mnt rw - autofs x rw\n"
        b"32 31 0:51 / /mnt rw - nfs4 server:/ rw\n"
        b"broken\n"
    )
    assert _mountinfo.file_systems(text) == {
        b"/proc": "proc",
        b"/with space\nand\\more": "ext4",
        b"/mnt": "nfs4",
    }


def test_the_file_systems_of_this_machine() -> None:
    assert _mountinfo.own_file_systems()[b"/proc"] == "proc"


def test_options_of_the_mount_that_a_directory_is_on() -> None:
    text = (
        b"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        b"30 27 0:40 / /tmp rw,nosuid - tmpfs tmpfs rw,noexec\n"
        b"31 30 0:41 / /tmp rw,noexec,nosuid - tmpfs tmpfs rw\n"
        b"32 27 0:42 / /var/tmpx rw,noexec - tmpfs tmpfs rw\n"
    )
    assert _mountinfo.options_at(text, b"/tmp") == {b"rw", b"noexec", b"nosuid"}
    assert _mountinfo.options_at(text, b"/var/tmp") == {b"rw", b"relatime"}
    assert _mountinfo.options_at(b"", b"/tmp") == frozenset()
