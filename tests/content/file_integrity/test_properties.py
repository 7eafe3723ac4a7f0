# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for every change: nothing explains a trojan away."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as st

from tests.content.file_integrity import harness

PATHS = (
    *("/usr/bin/tool", "/usr/lib/libtool.so", "/usr/lib/modules/6.1/x.ko", "/usr/local/bin/tool"),
    *("/boot/grub/grub.cfg", "/boot/initrd.img-6.1", "/etc/tool.conf", "/etc/cron.d/tool", "/etc/passwd"),
    *("/etc/systemd/system/tool.service", "/etc/ld.so.cache", "/etc/alternatives/tool", "/etc/tool.conf.dpkg-old"),
    *("/etc/ssl/certs/ca-certificates.crt", "/root/.ssh/authorized_keys", "/var/lib/dpkg/info/tool.postinst"),
    "/usr/lib/python3/__pycache__/tool.cpython-313.pyc",
)
# What no activity of packages ever explains unless a package ships exactly this content in this place.
PROTECTED = (
    *("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/pam.d/sshd", "/etc/pam.conf"),
    *("/etc/security/pam_env.conf", "/usr/lib/x86_64-linux-gnu/security/pam_x.so", "/etc/sudoers", "/etc/sudoers.d/x"),
    *("/etc/doas.conf", "/etc/polkit-1/rules.d/x.rules", "/root/.ssh/authorized_keys", "/home/alice/.ssh/rc"),
    *("/etc/ld.so.preload", "/etc/cron.d/x", "/var/spool/cron/crontabs/root", "/etc/systemd/system/x.service"),
    *("/etc/init.d/x", "/etc/udev/rules.d/x.rules", "/usr/bin/x", "/usr/lib/x.so", "/usr/lib/modules/6.1/x.ko"),
    *("/usr/lib/python3/dist-packages/x.pth", "/etc/modprobe.d/x.conf", "/etc/audit/rules.d/x.rules"),
    *("/etc/profile.d/x.sh", "/etc/xdg/autostart/x.desktop", "/etc/X11/Xsession.d/x", "/etc/dbus-1/system.d/x.conf"),
    *("/etc/tmpfiles.d/x.conf", "/etc/apt/sources.list.d/x.sources", "/etc/apt/preferences.d/x", "/etc/rc.local"),
)

paths = st.sampled_from(PATHS)
modes = st.sampled_from(("0644", "0755", "0600", "0777", "4755"))
contents = st.sampled_from(("one", "two", "three"))
entries = st.fixed_dictionaries(
    {"content": contents, "mode": modes},
    optional={"uid": st.sampled_from((0, 1000)), "mtime": st.integers(1, 3000), "inode": st.integers(1, 3)},
)
sides = st.sampled_from(("created", "deleted", "modified"))


def change(path: str, side: str, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = {}
    if side != "created":
        found["before"] = {"path": path, **before}
    if side != "deleted":
        found["after"] = {"path": path, **after}
    return found


def explained(fields: t.Mapping[str, t.Any]) -> bool:
    return harness.verdict(harness.Case("", fields, "", None)).explained


@given(paths, sides, entries, entries)
def test_nothing_is_explained_while_no_package_changes(
    path: str, side: str, before: dict[str, t.Any], after: dict[str, t.Any]
) -> None:
    assert not explained(change(path, side, before, after))


@given(st.sampled_from(PROTECTED), sides, contents, st.sampled_from(("dpkg", "rpm")))
def test_what_is_protected_is_not_explained_by_any_upgrade(path: str, side: str, other: str, manager: str) -> None:
    names = ("libpam-runtime", "openssh-server", "passwd", "kernel-core", "linux-image-6.1", "systemd", "libc6", "tool")
    packages = [{"name": name, "version": 2, "was": 1, "manager": manager} for name in names]
    packages[0]["files"] = {"/usr/share/tool/example": other}
    fields = change(path, side, {"content": "before"}, {"content": other, "mtime": 2000})
    assert not explained({**fields, "packages": packages})


@given(paths, sides, entries, entries, st.sampled_from((None, 1, 2)), st.sampled_from(("dpkg", "rpm")), st.booleans())
def test_a_packaged_file_is_explained_only_as_what_the_package_ships(
    path: str,
    side: str,
    before: dict[str, t.Any],
    after: dict[str, t.Any],
    was: int | None,
    manager: str,
    edited: bool,
) -> None:
    shipped = {"content": "shipped", **({"mode": "0644"} if manager == "rpm" else {})}
    package = {
        "name": "other",
        "version": 2,
        "was": was,
        "manager": manager,
        "edited": edited,
        "files": {path: shipped},
    }
    fields = change(path, side if side != "deleted" else "modified", before, {**after, "mode": "0644"})
    only_touched = before["content"] == after["content"]
    if not only_touched:
        assert not explained({**fields, "packages": [package]})
    fields = change(path, "created", before, {"content": "shipped", "mode": "4755"})
    assert not explained({**fields, "packages": [package]})
