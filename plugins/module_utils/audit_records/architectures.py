# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The architectures of audit records (AUDIT_ARCH_* in linux/audit.h), and what their system calls are called."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _syscalls

_NAMES: t.Mapping[bytes, str] = {
    b"c000003e": "x86_64",
    b"40000003": "i386",
    b"c00000b7": "aarch64",
    b"800000b7": "aarch64_be",
    b"40000028": "arm",
    b"28": "armeb",
    b"c0000015": "ppc64le",
    b"80000015": "ppc64",
    b"14": "ppc",
    b"80000016": "s390x",
    b"16": "s390",
    b"c00000f3": "riscv64",
    b"400000f3": "riscv32",
    b"c0000102": "loongarch64",
    b"40000102": "loongarch32",
    b"8": "mips",
    b"40000008": "mipsel",
    b"80000008": "mips64",
    b"a0000008": "mips64n32",
    b"c0000008": "mipsel64",
    b"e0000008": "mipsel64n32",
    b"c0000032": "ia64",
    b"c0009026": "alpha",
    b"2": "sparc",
    b"8000002b": "sparc64",
    b"f": "parisc",
    b"8000000f": "parisc64",
    b"4": "m68k",
    b"2a": "sh",
    b"4000002a": "shel",
}
_NUMBERS = {name: number for number, name in _NAMES.items()}
# Those that have the numbers of another one: of linux/asm-generic, and of the same table for both byte orders.
_LIKE = {
    "aarch64_be": "aarch64",
    "riscv64": "aarch64",
    "loongarch64": "aarch64",
    "armeb": "arm",
    "ppc64": "ppc64le",
    "ppc": "ppc64le",
    "s390": "s390x",
}
# What audit rules don't need the number of; from 424 on all of these have the same numbers.
_NEWER = {470: "listns"}
_MORE: t.Mapping[str, t.Mapping[int, str]] = {
    "x86_64": {335: "uretprobe", 336: "uprobe"},
    "riscv64": {258: "riscv_hwprobe", 259: "riscv_flush_icache"},
}
# The x86-64 kernel marks calls of its 32-bit ABI with 64-bit registers so.
_X32 = 0x40000000
# Those that have numbers of their own there, from 512 on (arch/x86/entry/syscalls/syscall_64.tbl).
_X32_NAMES = """
    rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending rt_sigtimedwait
    rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list get_robust_list vmsplice
    move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv process_vm_writev setsockopt
    getsockopt io_setup io_submit execveat preadv2 pwritev2
"""
_X32_OWN = dict(enumerate(_X32_NAMES.split(), 512))


def name_of(number: bytes) -> str:
    """Return the name of an architecture, or its number where it isn't known."""
    name = _NAMES.get(number)
    if name is None:
        # Other programs than the kernel write the number in other ways.
        plain = number.lower()
        plain = plain[2:] if plain.startswith(b"0x") else plain
        name = _NAMES.get(plain.lstrip(b"0"), number.decode("ascii", "replace"))
    return name


def number_of(name: str) -> bytes | None:
    """Return the number of an architecture, None for an unknown name."""
    return _NUMBERS.get(name)


@functools.lru_cache(maxsize=None)
def _calls(name: str) -> t.Mapping[int, str]:
    """Return the system calls of an architecture by their numbers; KeyError where they aren't known."""
    return {**_syscalls.names(_LIKE.get(name, name)), **_NEWER, **_MORE.get(name, {})}


@functools.lru_cache(maxsize=4096)
def call_name(architecture: bytes, number: bytes) -> str | None:
    """Return the name of a system call, None where it isn't known."""
    name = name_of(architecture)
    code = int(number)
    if name == "x86_64" and code & _X32:
        code ^= _X32
        if code in _X32_OWN:
            return _X32_OWN[code]
    try:
        return _calls(name).get(code)
    except KeyError:
        return None


def call_number(architecture: bytes, name: str) -> bytes | None:
    """Return the number of a system call, None where it isn't known."""
    try:
        calls = _calls(name_of(architecture))
    except KeyError:
        return None
    return next((b"%d" % number for number, each in calls.items() if each == name), None)


@functools.lru_cache(maxsize=4096)
def unknown(architecture: bytes, number: bytes) -> str | None:
    """Return why a system call is not understood, as in "its events are ..."; None where it is."""
    if call_name(architecture, number) is not None:
        return None
    name = name_of(architecture)
    try:
        _calls(name)
    except KeyError:
        return "system calls of %s, whose numbers are not known" % (
            name if name in _NUMBERS else "the unknown architecture %s" % name[:16]
        )
    return "system calls that are not known by their numbers"
