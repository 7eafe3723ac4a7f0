# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that audit rules are written with, and the kernel's numbers for them (linux/audit.h)."""

from __future__ import annotations

import errno
import typing as t

# Where a rule is asked.
FILTERS = {"user": 0, "task": 1, "exit": 4, "exclude": 5, "filesystem": 6, "io_uring": 7}
ACTIONS = {"never": 0, "possible": 1, "always": 2}
USER, TASK, EXIT, EXCLUDE, FILESYSTEM, IO_URING = 0, 1, 4, 5, 6, 7
NEVER, ALWAYS = 0, 2

# The longest first, as that is how they are looked for.
OPERATORS = {
    "!=": 0x30000000,
    ">=": 0x60000000,
    "<=": 0x50000000,
    "&=": 0x48000000,
    "=": 0x40000000,
    "<": 0x10000000,
    ">": 0x20000000,
    "&": 0x08000000,
}
EQUAL, NOT_EQUAL = OPERATORS["="], OPERATORS["!="]

ARCH, MSGTYPE, EXIT_CODE, WATCH, PERM, DIR, FILETYPE = 11, 12, 103, 105, 106, 107, 108
COMPARE, EXE, SADDR_FAM, KEY, FSTYPE, LOGINUID = 111, 112, 113, 210, 26, 9
FIELDS = {
    "pid": 0,
    "uid": 1,
    "euid": 2,
    "suid": 3,
    "fsuid": 4,
    "gid": 5,
    "egid": 6,
    "sgid": 7,
    "fsgid": 8,
    "auid": LOGINUID,
    "loginuid": LOGINUID,
    "pers": 10,
    "arch": ARCH,
    "msgtype": MSGTYPE,
    "subj_user": 13,
    "subj_role": 14,
    "subj_type": 15,
    "subj_sen": 16,
    "subj_clr": 17,
    "ppid": 18,
    "obj_user": 19,
    "obj_role": 20,
    "obj_type": 21,
    "obj_lev_low": 22,
    "obj_lev_high": 23,
    "sessionid": 25,
    "fstype": FSTYPE,
    "devmajor": 100,
    "devminor": 101,
    "inode": 102,
    "exit": EXIT_CODE,
    "success": 104,
    "path": WATCH,
    "perm": PERM,
    "dir": DIR,
    "filetype": FILETYPE,
    "obj_uid": 109,
    "obj_gid": 110,
    "field_compare": COMPARE,
    "exe": EXE,
    "saddr_fam": SADDR_FAM,
    "a0": 200,
    "a1": 201,
    "a2": 202,
    "a3": 203,
    "key": KEY,
}
FIELD_NAMES = {number: name for name, number in FIELDS.items() if name != "loginuid"}
# Their values are text, which follows the rule in a buffer.
TEXTS = frozenset([13, 14, 15, 16, 17, 19, 20, 21, 22, 23, WATCH, DIR, EXE, KEY])
_USERS = frozenset([1, 2, 3, 4, 9, 109])
_GROUPS = frozenset([5, 6, 7, 8, 110])

PERMISSIONS = {"x": 1, "w": 2, "r": 4, "a": 8}
FILE_TYPES = {
    "socket": 0o140000,
    "link": 0o120000,
    "file": 0o100000,
    "block": 0o060000,
    "dir": 0o040000,
    "character": 0o020000,
    "fifo": 0o010000,
}
FILE_SYSTEMS = {"debugfs": 0x64626720, "tracefs": 0x74726163}

# Names of AUDIT_ARCH_*, with the one that a 64-bit kernel runs 32-bit programs as.
ARCHITECTURES = {
    "x86_64": 0xC000003E,
    "i386": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
    "ppc64le": 0xC0000015,
    "s390x": 0x80000016,
}
ARCHITECTURE_NAMES = {number: name for name, number in ARCHITECTURES.items()}
_COMPAT = {"x86_64": "i386", "aarch64": "arm"}
# What uname(2) and people say.
_MACHINES = {"i486": "i386", "i586": "i386", "i686": "i386", "armv7l": "arm", "armv6l": "arm", "armv8l": "arm"}

# AUDIT_FIELD_COMPARE by the two names, in the order of the alphabet.
COMPARISONS = {
    ("obj_uid", "uid"): 1,
    ("gid", "obj_gid"): 2,
    ("euid", "obj_uid"): 3,
    ("egid", "obj_gid"): 4,
    ("auid", "obj_uid"): 5,
    ("obj_uid", "suid"): 6,
    ("obj_gid", "sgid"): 7,
    ("fsuid", "obj_uid"): 8,
    ("fsgid", "obj_gid"): 9,
    ("auid", "uid"): 10,
    ("euid", "uid"): 11,
    ("fsuid", "uid"): 12,
    ("suid", "uid"): 13,
    ("auid", "fsuid"): 14,
    ("auid", "suid"): 15,
    ("auid", "euid"): 16,
    ("euid", "suid"): 17,
    ("euid", "fsuid"): 18,
    ("fsuid", "suid"): 19,
    ("egid", "gid"): 20,
    ("fsgid", "gid"): 21,
    ("gid", "sgid"): 22,
    ("egid", "fsgid"): 23,
    ("egid", "sgid"): 24,
    ("fsgid", "sgid"): 25,
}

# The kinds of records that rules leave out; others are written as numbers.
MESSAGES = {
    "LOGIN": 1006,
    "USER_AUTH": 1100,
    "USER_ACCT": 1101,
    "USER_MGMT": 1102,
    "CRED_ACQ": 1103,
    "CRED_DISP": 1104,
    "USER_START": 1105,
    "USER_END": 1106,
    "USER_AVC": 1107,
    "USER_CHAUTHTOK": 1108,
    "USER_ERR": 1109,
    "CRED_REFR": 1110,
    "USYS_CONFIG": 1111,
    "USER_LOGIN": 1112,
    "USER_LOGOUT": 1113,
    "ADD_USER": 1114,
    "DEL_USER": 1115,
    "ADD_GROUP": 1116,
    "DEL_GROUP": 1117,
    "CHGRP_ID": 1119,
    "TEST": 1120,
    "USER_SELINUX_ERR": 1122,
    "USER_CMD": 1123,
    "USER_TTY": 1124,
    "GRP_MGMT": 1126,
    "SYSTEM_BOOT": 1127,
    "SYSTEM_SHUTDOWN": 1128,
    "SYSTEM_RUNLEVEL": 1129,
    "SERVICE_START": 1130,
    "SERVICE_STOP": 1131,
    "GRP_CHAUTHTOK": 1132,
    "SYSCALL": 1300,
    "PATH": 1302,
    "IPC": 1303,
    "SOCKETCALL": 1304,
    "CONFIG_CHANGE": 1305,
    "SOCKADDR": 1306,
    "CWD": 1307,
    "EXECVE": 1309,
    "MQ_OPEN": 1312,
    "MQ_SENDRECV": 1313,
    "OBJ_PID": 1318,
    "TTY": 1319,
    "BPRM_FCAPS": 1321,
    "CAPSET": 1322,
    "MMAP": 1323,
    "NETFILTER_PKT": 1324,
    "NETFILTER_CFG": 1325,
    "SECCOMP": 1326,
    "PROCTITLE": 1327,
    "FEATURE_CHANGE": 1328,
    "KERN_MODULE": 1330,
    "FANOTIFY": 1331,
    "TIME_INJOFFSET": 1332,
    "TIME_ADJNTPVAL": 1333,
    "BPF": 1334,
    "EVENT_LISTENER": 1335,
    "URINGOP": 1336,
    "OPENAT2": 1337,
    "AVC": 1400,
    "SELINUX_ERR": 1401,
    "MAC_POLICY_LOAD": 1403,
    "ANOM_PROMISCUOUS": 1700,
    "ANOM_ABEND": 1701,
    "ANOM_LINK": 1702,
    "ANOM_CREAT": 1703,
    "CRYPTO_KEY_USER": 2404,
    "CRYPTO_SESSION": 2407,
    "VIRT_CONTROL": 2500,
}
MESSAGE_NAMES = {number: name for name, number in MESSAGES.items()}

UNSET = 0xFFFFFFFF


def native(machine: str) -> str | None:
    """Return the architecture of a machine as uname(2) names it, None when this module doesn't know it."""
    name = _MACHINES.get(machine, machine)
    return name if name in ARCHITECTURES else None


def architecture(word: str, own: str) -> str:
    """Return the architecture that ``b64``, ``b32`` or a name means on a machine of architecture ``own``.

    ValueError with a sentence when there is none.
    """
    wide = ARCHITECTURES[own] >= 0x80000000
    if word == "b64" and wide:
        return own
    if word == "b32":
        found = _COMPAT.get(own) if wide else own
        if found:
            return found
    name = _MACHINES.get(word, word)
    if name in ARCHITECTURES:
        return name
    raise ValueError("arch '%s' is unknown here; write b64, b32 or one of %s" % (word, ", ".join(ARCHITECTURES)))


def both(own: str) -> list[str]:
    """Return ``own`` and the architecture of 32-bit programs on it, where rules know one."""
    return [own, _COMPAT[own]] if own in _COMPAT else [own]


def number(field: int, text: str, user: t.Callable[[str], int | None], group: t.Callable[[str], int | None]) -> int:
    """Return the value of a field that has a number; ValueError with a sentence when the text is none.

    user, group: the ids of names, None for one that doesn't exist.
    """
    if field in _USERS or field in _GROUPS:
        return _identity(text, user if field in _USERS else group, field in _USERS)
    if field == PERM:
        return _permissions(text)
    if field == EXIT_CODE:
        return _exit(text)
    known: t.Mapping[str, int] = {
        MSGTYPE: MESSAGES,
        FILETYPE: FILE_TYPES,
        FSTYPE: FILE_SYSTEMS,
    }.get(field, {})
    if text in known:
        return known[text]
    if field == 104 and text in ("yes", "no"):
        return int(text == "yes")
    return integer(text, FIELD_NAMES[field])


def integer(text: str, name: str) -> int:
    """Return a whole number as the kernel holds it; decimal, 0x for hexadecimal or a leading 0 for octal."""
    try:
        base = 8 if len(text) > 1 and text[0] == "0" and text.isdigit() else 0
        value = int(text, base)
    except ValueError:
        raise ValueError("%s '%s' is not a number; give it one" % (name, text)) from None
    if not -0x80000000 <= value <= 0xFFFFFFFF:
        raise ValueError("%s %s does not fit into 32 bits" % (name, text))
    return value & 0xFFFFFFFF


def _identity(text: str, known: t.Callable[[str], int | None], is_user: bool) -> int:
    if text == "unset" or text == "-1":
        return UNSET
    if text.isdigit():
        return integer(text.lstrip("0") or "0", "id")
    found = known(text)
    if found is None:
        raise ValueError("there is no %s '%s' on the host; correct the name" % ("user" if is_user else "group", text))
    return found


def _permissions(text: str) -> int:
    if not text or len(set(text)) != len(text) or not set(text) <= set(PERMISSIONS):
        raise ValueError("perm '%s' must be letters of r, w, x and a, each once" % text)
    return sum(PERMISSIONS[letter] for letter in text)


def _exit(text: str) -> int:
    sign, name = (-1, text[1:]) if text.startswith("-") else (1, text)
    if hasattr(errno, name) and name.isupper():
        return (sign * int(getattr(errno, name))) & 0xFFFFFFFF
    return integer(text, "exit")
