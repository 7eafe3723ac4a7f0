# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changed the audit system, or got the number of a sign-in: the program of the call behind a record of the kernel.

A ``CONFIG_CHANGE`` or ``LOGIN`` record says what was changed, and the ``SYSCALL`` record of the same event which
program asked for it. The kernel attests the program's path; its arguments are those of its last ``EXECVE`` record.
"""

from __future__ import annotations

import binascii

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity

# What the kernel says of a change to auditing, and of a process that gets the number of a sign-in.
KINDS = frozenset((b"CONFIG_CHANGE", b"LOGIN"))
_SEPARATOR = b"\x1d"
_ELSEWHERE = " (in another root directory)"


def with_caller(records: bytes, subject: Activity, is_rerooted: bool = False) -> bytes:
    """Return records with the program, its arguments and the account added to each as fields of the daemon.

    is_rerooted: whether its path begins at a root directory of its own, where anything can have the name of a program.
    records: lines, each with its end. They stay as they are before the separator, so that ``Message`` is the kernel's.
    """
    line = subject.command_line.encode("utf-8", "surrogateescape")
    exe = subject.exe + _ELSEWHERE if is_rerooted else subject.exe
    added = b" exe=%s cmd=%s uid=%s" % (_encoded(exe), _hex(line), subject.ids.get("uid", b""))
    lines = records.split(b"\n")
    return b"\n".join(
        part + (b"" if _SEPARATOR in part else _SEPARATOR) + added if part.startswith(b"type=") else part
        for part in lines
    )


def _encoded(text: str) -> bytes:
    return _hex(text.encode("utf-8", "surrogateescape"))


def _hex(raw: bytes) -> bytes:
    return binascii.hexlify(raw).upper() or b"(null)"
