# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What shellcode lies in memory from which code is run: ATT&CK T1620 and T1055, and what it does by its system calls.

Compilers for programs that are running make machine code all day. They don't make system calls: those are in the C
library. So code in anonymous memory that loads the number of one and makes it brings everything along itself.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import system_calls
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.effort import Effort
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.system_calls import Call

# e_machine of elf(5).
I386, X86_64, ARM64 = 3, 62, 183
SUPPORTED = (I386, X86_64, ARM64)

# What may lie across two pieces of memory: longer than any shellcode's stages that are told by one look.
OVERLAP = 4096

# Steps that a piece of a megabyte may take. Random data takes 5,000 of them, the code of a compiler up to 100,000.
EFFORT = 400_000

_MOST_OF_A_KIND = 64

# Calls further apart than this aren't of one shellcode.
_TOGETHER = 768
# What a run of no-operations is for: something jumps anywhere into it. Padding is shorter.
_SLED = 256
_SLEDS = {I386: b"\x90", X86_64: b"\x90", ARM64: b"\x1f\x20\x03\xd5"}

_RUNS = frozenset(("execve", "execveat"))
_RECEIVES = frozenset(("read", "recv", "recvfrom", "recvmsg", "pread64"))
_SENDS_TO = frozenset(("connect",))
_LISTENS = frozenset(("listen", "accept", "accept4"))
_DUPLICATES = frozenset(("dup2", "dup3", "dup", "fcntl"))
_MAKES_ROOM = frozenset(("mmap", "mprotect", "mremap", "shmat"))
_FILES_IN_MEMORY = frozenset(("memfd_create",))
_OTHER_PROCESSES = frozenset(("ptrace", "process_vm_writev", "pidfd_getfd"))

# What it is, the gravest first.
KINDS = (
    "reverse_shell",
    "bind_shell",
    "loader",
    "stager",
    "execute",
    "injector",
    "decoder",
    "egg_hunter",
    "elf_finder",
    "system_calls",
    "position",
    "sled",
)


class Hit(t.NamedTuple):
    """kind: one of ``KINDS``. offset: in the data. name: what was recognised, such as "socket connect dup2 execve"."""

    kind: str
    offset: int
    name: str


def find(data: bytes, base: int, machine: int, effort: Effort | None = None) -> list[Hit]:
    """Return what shellcode there is, by offset.

    base: the address that the data was read from, of which only the alignment matters. machine: e_machine of the
    process: one of ``SUPPORTED``, of others nothing is known. effort: what may be spent; when all of it was, there may
    be more than what is returned.
    """
    if effort is None:
        effort = Effort(EFFORT)
    skipped = 0
    if machine == ARM64:
        skipped = -base % 4
        data = data[skipped:] if skipped else data
        found, hits = _of_arm64(data, effort)
    elif machine in (I386, X86_64):
        found, hits = _of_x86(data, machine == X86_64, effort)
    else:
        return []
    hits += _groups(found)
    hits += _some(_sleds(data, _SLEDS[machine]))
    return sorted((hit._replace(offset=hit.offset + skipped) for hit in hits), key=lambda hit: hit.offset)


def _of_arm64(data: bytes, effort: Effort) -> tuple[list[Call], list[Hit]]:
    # Importing takes time, which only a process with code in its memory needs, and only for its own processor.
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode_arm64

    found = list(shellcode_arm64.calls(data, effort))
    hits = [Hit("decoder", at, "arm64 decoding loop") for at in _some(shellcode_arm64.decoders(data, effort))]
    hits += (Hit("egg_hunter", at, "arm64 egg hunter") for at in _some(shellcode_arm64.egg_hunters(data, found)))
    hits += (Hit("elf_finder", at, "arm64 search for ELF") for at in _some(shellcode_arm64.elf_finders(data, effort)))
    return found, hits


def _of_x86(data: bytes, long: bool, effort: Effort) -> tuple[list[Call], list[Hit]]:
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import (
        shellcode_x86,
        x86_calls,
        x86_places,
    )

    found = list(x86_calls.calls(data, long, effort))
    hits = [Hit("decoder", at, "x86 decoding loop") for at in _some(x86_places.decoders(data, long, effort))]
    hits += (Hit("egg_hunter", at, "x86 egg hunter") for at in _some(shellcode_x86.egg_hunters(data, found)))
    hits += (Hit("elf_finder", at, "x86 search for ELF") for at in _some(shellcode_x86.elf_finders(data)))
    hits += (Hit("position", at, "x86 %s" % how) for at, how in _some(x86_places.places(data, long, effort)))
    return found, hits


def _some(found: t.Iterable[t.Any]) -> t.Iterator[t.Any]:
    return itertools.islice(found, _MOST_OF_A_KIND)


def gravest(hits: t.Iterable[Hit]) -> Hit:
    """Return the hit that says most about what there is."""
    return min(hits, key=lambda hit: (KINDS.index(hit.kind), hit.offset))


def _groups(calls: t.Sequence[Call]) -> t.Iterator[Hit]:
    """Yield what groups of system calls are there for."""
    group: list[Call] = []
    for call in calls:
        if group and call.offset - group[-1].end > _TOGETHER:
            yield from _judged(group)
            group = []
        group.append(call)
    yield from _judged(group)


def _judged(group: t.Sequence[Call]) -> t.Iterator[Hit]:
    sure = [call for call in group if call.sure]
    if not sure:
        return
    # A number known by its lowest byte alone counts beside others that are known.
    names = {call.name for call in group}
    kind = _kind(names)
    telling = [call for call in sure if call.name in system_calls.TELLING or call.name == system_calls.ANY]
    if len(group) == 1 and not group[0].close and not (telling and (group[0].prepared or group[0].shell)):
        return
    if len({call.name for call in sure}) < 2 and not telling and not any(call.close for call in sure):
        return
    yield Hit(kind, group[0].offset, " ".join(dict.fromkeys(call.name for call in group)))


def _kind(names: t.AbstractSet[str]) -> str:
    shell = names & _RUNS or (names & _DUPLICATES and names & {"connect", "accept", "accept4"})
    if names & _SENDS_TO and shell:
        return "reverse_shell"
    if names & _LISTENS and shell:
        return "bind_shell"
    if names & _FILES_IN_MEMORY:
        return "loader"
    if names & _RECEIVES and (names & _MAKES_ROOM or names & _SENDS_TO or names & _LISTENS):
        return "stager"
    if names & _OTHER_PROCESSES:
        return "injector"
    return "execute" if names & _RUNS else "system_calls"


def _sleds(data: bytes, nothing: bytes) -> t.Iterator[Hit]:
    """Yield long runs of no-operations that lead to something else: not to padding, and not to the end."""
    wanted = nothing * (_SLED // len(nothing))
    at = data.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        while data.startswith(nothing, end):
            end += len(nothing)
        after = data[end : end + 16]
        if len(after) == 16 and len(set(after)) > 4:
            yield Hit("sled", at, "%d bytes of no-operations" % (end - at))
        at = data.find(wanted, end)
