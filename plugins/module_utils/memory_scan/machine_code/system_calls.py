# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that code which brings everything along makes, by number: syscalls(2) and the kernel's tables.

Only calls that such code has a use for: a number that means none of them says nothing.
"""

from __future__ import annotations

import typing as t

X86_64: t.Mapping[int, str] = {
    0: "read", 1: "write", 2: "open", 3: "close", 7: "poll", 9: "mmap", 10: "mprotect", 11: "munmap",
    13: "rt_sigaction", 16: "ioctl", 17: "pread64", 21: "access", 22: "pipe", 25: "mremap", 30: "shmat", 32: "dup",
    33: "dup2", 34: "pause", 35: "nanosleep", 37: "alarm", 39: "getpid", 40: "sendfile", 41: "socket",
    42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 48: "shutdown",
    49: "bind", 50: "listen", 51: "getsockname", 52: "getpeername", 54: "setsockopt", 56: "clone", 57: "fork",
    58: "vfork", 59: "execve", 60: "exit", 61: "wait4", 62: "kill", 72: "fcntl", 80: "chdir", 82: "rename",
    83: "mkdir", 85: "creat", 87: "unlink", 90: "chmod", 92: "chown", 101: "ptrace", 102: "getuid", 105: "setuid",
    106: "setgid", 112: "setsid", 113: "setreuid", 114: "setregid", 117: "setresuid", 119: "setresgid",
    157: "prctl", 161: "chroot", 165: "mount", 169: "reboot", 175: "init_module", 231: "exit_group", 257: "openat",
    272: "unshare", 288: "accept4", 292: "dup3", 293: "pipe2", 308: "setns", 310: "process_vm_readv",
    311: "process_vm_writev", 313: "finit_module", 319: "memfd_create", 321: "bpf", 322: "execveat",
    425: "io_uring_setup", 434: "pidfd_open", 435: "clone3", 438: "pidfd_getfd",
}  # fmt: skip

I386: t.Mapping[int, str] = {
    1: "exit", 2: "fork", 3: "read", 4: "write", 5: "open", 6: "close", 7: "wait4", 8: "creat", 10: "unlink",
    11: "execve", 12: "chdir", 15: "chmod", 20: "getpid", 21: "mount", 23: "setuid", 24: "getuid", 26: "ptrace",
    27: "alarm", 29: "pause", 33: "access", 37: "kill", 38: "rename", 39: "mkdir", 41: "dup", 42: "pipe",
    46: "setgid", 54: "ioctl", 55: "fcntl", 61: "chroot", 63: "dup2", 66: "setsid", 67: "sigaction", 70: "setreuid",
    71: "setregid", 88: "reboot", 90: "mmap", 91: "munmap", 102: "socketcall", 120: "clone", 125: "mprotect",
    128: "init_module", 162: "nanosleep", 163: "mremap", 164: "setresuid", 174: "rt_sigaction", 182: "chown",
    190: "vfork", 192: "mmap", 203: "setreuid", 208: "setresuid", 213: "setuid", 214: "setgid", 252: "exit_group",
    295: "openat", 310: "unshare", 330: "dup3", 331: "pipe2", 346: "setns", 348: "process_vm_writev",
    350: "finit_module", 356: "memfd_create", 357: "bpf", 358: "execveat", 359: "socket", 361: "bind",
    362: "connect", 363: "listen", 364: "accept4", 369: "sendto", 370: "sendmsg", 371: "recvfrom", 372: "recvmsg",
}  # fmt: skip

# What ebx says of socketcall(2).
SOCKET_CALLS: t.Mapping[int, str] = {
    1: "socket", 2: "bind", 3: "connect", 4: "listen", 5: "accept", 9: "send", 10: "recv", 11: "sendto",
    12: "recvfrom", 14: "setsockopt", 16: "sendmsg", 17: "recvmsg", 18: "accept4",
}  # fmt: skip

ARM64: t.Mapping[int, str] = {
    23: "dup", 24: "dup3", 25: "fcntl", 29: "ioctl", 34: "mkdir", 35: "unlink", 40: "mount", 48: "access",
    49: "chdir", 51: "chroot", 53: "chmod", 56: "openat", 57: "close", 59: "pipe2", 63: "read", 64: "write",
    67: "pread64", 71: "sendfile", 93: "exit", 94: "exit_group", 97: "unshare", 101: "nanosleep",
    105: "init_module", 117: "ptrace", 129: "kill", 134: "rt_sigaction", 142: "reboot", 144: "setgid",
    145: "setreuid", 146: "setuid", 147: "setresuid", 157: "setsid", 167: "prctl", 172: "getpid", 174: "getuid",
    196: "shmat", 198: "socket", 200: "bind", 201: "listen", 202: "accept", 203: "connect", 204: "getsockname",
    205: "getpeername", 206: "sendto", 207: "recvfrom", 208: "setsockopt", 210: "shutdown", 211: "sendmsg",
    212: "recvmsg", 215: "munmap", 216: "mremap", 220: "clone", 221: "execve", 222: "mmap", 226: "mprotect",
    242: "accept4", 260: "wait4", 268: "setns", 270: "process_vm_readv", 271: "process_vm_writev",
    273: "finit_module", 279: "memfd_create", 280: "bpf", 281: "execveat", 425: "io_uring_setup", 434: "pidfd_open",
    435: "clone3", 438: "pidfd_getfd",
}  # fmt: skip

# Calls that say something on their own; the others only beside these.
_TELLING = """
    accept accept4 bind bpf chmod clone clone3 connect dup2 dup3 execve execveat finit_module fork init_module listen
    memfd_create mmap mprotect mremap open openat pidfd_getfd process_vm_readv process_vm_writev ptrace recv recvfrom
    recvmsg send sendmsg sendto setresuid setreuid setuid shmat socket vfork
"""
TELLING = frozenset(_TELLING.split())

# The number comes from the caller: code for any call.
ANY = "any"

_SHELL = (b"/bin", b"bin/", b"/sh", b"bash", b"/usr")


class Call(t.NamedTuple):
    """A system call in machine code, without the C library.

    offset, end: of the instruction. name: of the call, or ``ANY``. sure: whether the whole number is known. prepared:
    how many arguments were given just before. shell: whether its first argument points to a path that was put together
    from constants. close: whether nothing but loading the number comes right before it.
    """

    offset: int
    name: str
    sure: bool
    prepared: int
    shell: bool
    close: bool
    end: int


def names_shell(constants: t.Iterable[bytes]) -> bool:
    """Say whether constants of a piece of code have parts of a path to a program in them."""
    return any(part in constant for constant in constants for part in _SHELL)
