# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what the way back in needs: what this very connection uses, then the programs of known roles."""

from __future__ import annotations

import os
import re
import sys
import typing as t

# Packages by role, as distributions call them. Those that are not installed are left out.
ROLES: t.Mapping[str, str] = {
    "the first process": "systemd|systemd-(?:sysv|libs)|sysvinit-core|openrc|runit|init|util-linux(?:-core)?|mount",
    "sign-in over SSH": "openssh-(?:server|sftp-server|clients?)|openssh|dropbear(?:-bin)?",
    "PAM": "libpam.*|pam|login|shadow-utils|passwd|util-linux-login|linux-pam|libnss-.*|sssd.*|nscd|nslcd|authselect.*",
    "becoming root": "sudo|sudo-rs|doas|opendoas|util-linux|polkit.*|policykit-1",
    "shells": "bash|dash|busybox|zsh|ksh|mksh|coreutils|coreutils-single|findutils|grep|sed|gawk|mawk",
    "the interpreter of modules": r"python3(?:\.\d+)?(?:-minimal)?|libpython3.*|platform-python|python3-libs"
    "|python3-apt|python3-dnf|python3-rpm|python3-libdnf.*",
    "the package manager": "dpkg|apt|apt-utils|debconf|gpgv|sqv"
    "|debian-archive-keyring|rpm|rpm-libs|dnf.*|yum"
    "|zypper|libzypp|apk-tools|ca-certificates|perl-base",
    "the network": "iproute2?|ifupdown|netbase|isc-dhcp-client|dhcpcd.*|network-manager|NetworkManager.*|netplan.*"
    "|systemd-networkd|systemd-resolved|nftables|iptables|cloud-init",
    "the boot": "udev|systemd-udev|kmod|e2fsprogs|xfsprogs|btrfs-progs|lvm2|cryptsetup.*|mdadm|initramfs-tools.*"
    "|dracut.*|grub.*|linux-base|procps(?:-ng)?|hostname|dbus.*|cron|cronie|rsyslog|auditd?",
    "fapolicyd": "fapolicyd.*",
}
_ROLES = {role: re.compile(pattern) for role, pattern in ROLES.items()}
_MOST_ANCESTORS = 64
# /proc/PID/maps (proc(5)): the permissions, and after the inode the path.
_MAPPED = re.compile(rb"^\S+ (\S{4}) \S+ \S+ \d+ +(/.*)$", re.MULTILINE)
_DELETED = b" (deleted)"


class Used(t.NamedTuple):
    """A file that the connection uses now. role: what as, in words."""

    path: bytes
    role: str


def role(package: str) -> str:
    """Return what the way back in needs a package for, "" for one that it does without."""
    return next((name for name, pattern in _ROLES.items() if pattern.fullmatch(package)), "")


def used_files() -> list[Used]:
    """Return the programs above this process, what they have mapped as code, and the interpreter of this module."""
    files: dict[bytes, str] = {}
    for name in (sys.executable, *(path for path in (getattr(sys, "_base_executable", ""),) if path)):
        if name:
            files.setdefault(os.fsencode(os.path.realpath(name)), "the interpreter of modules")
    pid = os.getpid()
    for _level in range(_MOST_ANCESTORS):
        what = "this connection" if pid != os.getpid() else "the interpreter of modules"
        for path in _code_of(pid):
            files.setdefault(path, what)
        parent = _parent(pid)
        if parent is None:
            break
        pid = parent
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and name.endswith(".so"):
            files.setdefault(os.fsencode(os.path.realpath(name)), "the interpreter of modules")
    return [Used(path, used_as) for path, used_as in files.items()]


def _code_of(pid: int) -> t.Iterator[bytes]:
    """Yield the files that a process executes, as the kernel names them; nothing of one that is gone."""
    try:
        yield _named(os.readlink(b"/proc/%d/exe" % pid))
        with open("/proc/%d/maps" % pid, "rb") as stream:
            mapped = stream.read()
    except OSError:
        return
    for permissions, path in _MAPPED.findall(mapped):
        if b"x" in permissions and not path.startswith(b"/memfd:"):
            yield _named(path)


def _named(path: bytes) -> bytes:
    """Return the path that a file had before an upgrade took its place."""
    return path[: -len(_DELETED)] if path.endswith(_DELETED) else path


def _parent(pid: int) -> int | None:
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        parent = int(fields[1])
    except (OSError, ValueError, IndexError):
        return None
    return parent or None
