# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that attacks make, with arguments with which they fail or change nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.simulation.program import Argument

_NOWHERE = b"/nonexistent/bulwark-simulation"
_NONBLOCK = 0o4000
_ATTACH = 16
# Above the greatest process id that a kernel gives (PID_MAX_LIMIT is 2^22).
_NOBODY = 1 << 24

HARMLESS: t.Mapping[str, tuple[Argument, ...]] = {
    "init_module": (0, 0, b""),  # ENOEXEC
    "finit_module": (-1, b"", 0),  # EBADF
    "delete_module": (b"bulwark_simulation", _NONBLOCK),  # ENOENT
    "kexec_load": (0, 0, 0, 0xFF00),  # EINVAL: these flags don't exist
    "kexec_file_load": (-1, -1, 0, 0, 0),  # EBADF
    "bpf": (-1, 0, 0),  # EINVAL
    "ptrace": (_ATTACH, _NOBODY, 0, 0),  # ESRCH
    "process_vm_readv": (_NOBODY, 0, 0, 0, 0, 0),  # ESRCH
    "process_vm_writev": (_NOBODY, 0, 0, 0, 0, 0),  # ESRCH
    "memfd_create": (b"bulwark-simulation", 0),
    "socket": (16, 3, 9),  # AF_NETLINK, SOCK_RAW, NETLINK_AUDIT; nothing is sent
    "mount": (b"none", _NOWHERE, b"tmpfs", 0, 0),  # ENOENT
    "umount2": (_NOWHERE, 0),  # ENOENT
    "pivot_root": (_NOWHERE, _NOWHERE),  # ENOENT
    "chroot": (_NOWHERE,),  # ENOENT
    "setns": (-1, 0),  # EBADF
    "unshare": (0,),  # nothing to unshare
    "open_by_handle_at": (-1, 0, 0),  # EFAULT or EBADF
    "clock_settime": (0, 0),  # EFAULT
    "settimeofday": (0, 0),  # sets nothing
    "sethostname": (0, 1 << 16),  # EINVAL: too long
    "setdomainname": (0, 1 << 16),  # EINVAL: too long
    "swapoff": (_NOWHERE,),  # ENOENT
    "acct": (_NOWHERE,),  # ENOENT
    "quotactl": (-1, 0, 0, 0),  # EINVAL
    "setuid": (0,),  # it is root
    "setgid": (0,),
}
