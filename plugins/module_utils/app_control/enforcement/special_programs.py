# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of programs that a policy treats in a way of their own, and find those that a host has."""

from __future__ import annotations

import re
import typing as t

# Interpreters by language. Which files are theirs is known by their first line alone: to detect a language otherwise
# would stop modules of applications, which no allowlist has. PHP, Ruby, Node.js and Java are left out for that.
LANGUAGES: t.Mapping[str, str] = {
    "shell": r"(?:ba|da|z|k|mk|pdk|a|rba|ya|fi|c|tc)?sh(?:-static|\d.*)?|busybox(?:[.-].*)?",
    "python": r"(?:python|pypy)[\d.]*(?:-dbg|d|t)?",
    "perl": r"perl[\d.]*",
    "tcl": r"(?:tclsh|wish)[\d.]*|expect",
    "awk": r"(?:[gmn]|original-)?awk|busybox(?:[.-].*)?",
    "lua": r"(?:lua|luajit)[\d.-]*",
}
# The types that fapolicyd gives their files (fapolicyd-magic, magic(5)).
TYPES: t.Mapping[str, tuple[str, ...]] = {
    "shell": ("text/x-shellscript",),
    "python": ("text/x-python",),
    "perl": ("text/x-perl",),
    "tcl": ("text/x-tcl",),
    "awk": ("text/x-awk", "text/x-gawk"),
    "lua": ("text/x-lua",),
}
_LANGUAGES = {name: re.compile(pattern) for name, pattern in LANGUAGES.items()}
_LOADER = re.compile(r"ld(?:-linux.*|-musl-.*|64|-\d[\d.]*)?\.so(?:\.\d+)?")
# Programs that read libraries and programs to copy, compare, pack or examine them, as root: initramfs, backups, scans.
_READER = re.compile(
    r"cp|mv|dd|cat|head|tail|od|hexdump|xxd|cmp|diff|install|tee|sum|cksum|b2sum|(?:md5|sha\d+)sum|file|strings|grep|find"
    r"|tar|bsdtar|cpio|3cpio|pax|ar|zip|unzip|7z\w*|gzip|pigz|bzip2|xz|zstd|lz4|rsync|scp|sftp-server|sshd-session|sshd"
    r"|dpkg|dpkg-deb|dpkg-split|rpm|rpmdb|dnf\d*|yum|zypper|ldconfig(?:\.real)?|readelf|objdump|objcopy|nm|strip|eu-\w+"
    r"|ld|ld\.bfd|ld\.gold|dracut-install|dracut-cpio|mksquashfs|restic|borg|duplicity|bacula-fd|bareos-fd|amandad"
    r"|sendbackup|dump|xfsdump|aide|tripwire|samhain|clamscan|clamd|debsums|rkhunter|unhide|chkrootkit|auditd|fapolicyd"
    r"|prelink|setfattr|getfattr|setcap|getcap|git|busybox"
)


def languages(path: str) -> list[str]:
    """Return the languages that a program runs files of. path: the program's."""
    name = path.rpartition("/")[2]
    return [language for language, pattern in _LANGUAGES.items() if pattern.fullmatch(name)]


def is_loader(path: str) -> bool:
    """Say whether a file is a run-time linker, which runs the program that its arguments name."""
    return _LOADER.fullmatch(path.rpartition("/")[2]) is not None


def is_reader(path: str) -> bool:
    """Say whether a program reads files to copy or examine them."""
    directory, _slash, name = path.rpartition("/")
    is_program = directory.endswith(("bin", "/openssh", "/ssh", "/dracut", "/sftp-server"))
    return is_program and _READER.fullmatch(name) is not None
