# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small static programs that make a list of system calls and end.

A simulation must be seen under the name of an attacker's tool and do nothing that harms. A copy of the tool would do
what the tool does, and a copy of another program depends on libraries and on what it makes of its arguments. So the
program is made here: an ELF file of some hundred bytes (System V ABI, https://refspecs.linuxfoundation.org/elf/) whose
only instructions load constants and enter the kernel. What it does is what the list of calls says, whatever its name
and arguments are.
"""

from __future__ import annotations

import os
import platform
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.simulation import machine

_BASE = 0x400000
_HEADERS = 64 + 56
_EXECUTABLE, _CURRENT = 2, 1
_LOAD, _READ_EXECUTE = 1, 5
_PAGE = 0x1000
_SIGCHLD = 17


class UnsupportedMachineError(Exception):
    """Programs cannot be made for this processor; the message says which it is."""


class Result:
    """Stands for what the last call with ``keep`` returned, such as a descriptor."""


RESULT = Result()
Argument = t.Union[int, bytes, Result, "Strings"]


class Strings:
    """Stands for a pointer to an array of pointers to these strings that ends with NULL, such as argv."""

    def __init__(self, strings: t.Sequence[bytes]) -> None:
        self.strings = tuple(strings)


class Call(t.NamedTuple):
    """A system call. keep: its result is what ``RESULT`` stands for from then on."""

    name: str
    arguments: tuple[Argument, ...]
    keep: bool = False


class Start(t.NamedTuple):
    """Start a program as a child and wait for its end."""

    path: bytes
    arguments: tuple[bytes, ...]


Step = t.Union[Call, Start]


def build(steps: t.Sequence[Step], name: str | None = None) -> bytes:
    """Return an executable that makes these calls and ends with status 0.

    name: of the processor, as ``platform.machine`` says it; this machine's when None. Raise UnsupportedMachineError for
    one that there is no code for.
    """
    target = _machine(name)
    # Twice, since how long the code is doesn't depend on where the data lies.
    length = len(_code(steps, target, _Data(0)))
    data = _Data(_BASE + _HEADERS + length)
    return _file(_code(steps, target, data) + bytes(data.content), target.elf_number)


def idle_code(name: str | None = None) -> bytes:
    """Return a function that does nothing. name: of the processor, as ``build`` takes it."""
    return _machine(name).idle


def _machine(name: str | None) -> machine.Machine:
    wanted = name or platform.machine()
    target = machine.MACHINES.get(wanted)
    if target is None:
        raise UnsupportedMachineError(
            "there are no simulated programs for the processor '%s', only for %s"
            % (wanted, ", ".join(sorted(machine.MACHINES)))
        )
    return target


class _Data:
    """The strings and arrays behind the code."""

    def __init__(self, start: int) -> None:
        self._start = start
        self.content = bytearray()

    def string(self, value: bytes) -> int:
        return self._add(value + b"\0")

    def array(self, values: t.Sequence[bytes]) -> int:
        pointers = [self.string(value) for value in values]
        self.content += bytes(-len(self.content) % 8)
        return self._add(struct.pack("<%dQ" % (len(pointers) + 1), *pointers, 0))

    def _add(self, value: bytes) -> int:
        address = self._start + len(self.content)
        self.content += value
        return address


def _code(steps: t.Sequence[Step], target: machine.Machine, data: _Data) -> bytes:
    code = b"".join(_step(step, target, data) for step in steps)
    return code + target.call("exit_group", [machine.Constant(0)], keep=False)


def _step(step: Step, target: machine.Machine, data: _Data) -> bytes:
    if isinstance(step, Call):
        return target.call(step.name, [_operand(argument, data) for argument in step.arguments], keep=step.keep)
    path = _operand(step.path, data)
    child = target.call("execve", [path, _operand(Strings(step.arguments), data), machine.Constant(0)], keep=False)
    child += target.call("exit_group", [machine.Constant(127)], keep=False)
    constants = [machine.Constant(value) for value in (_SIGCHLD, 0, 0, 0, 0)]
    return (
        target.call("clone", constants, keep=False)
        + target.skip_unless_zero(len(child))
        + child
        + target.call("wait4", [machine.Constant(value) for value in (2**64 - 1, 0, 0, 0)], keep=False)
    )


def _operand(argument: Argument, data: _Data) -> machine.Operand:
    if isinstance(argument, Result):
        return machine.Kept()
    if isinstance(argument, Strings):
        return machine.Constant(data.array(argument.strings))
    if isinstance(argument, bytes):
        return machine.Constant(data.string(argument))
    return machine.Constant(argument % 2**64)


def _file(content: bytes, elf_number: int) -> bytes:
    identity = b"\x7fELF" + bytes([2, 1, _CURRENT]) + bytes(9)
    size = _HEADERS + len(content)
    header = struct.pack(
        "<HHIQQQIHHHHHH", _EXECUTABLE, elf_number, _CURRENT, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", _LOAD, _READ_EXECUTE, 0, _BASE, _BASE, size, size, _PAGE)
    return identity + header + segment + content


def write(descriptor: int, content: bytes) -> None:
    """Write an executable to an open file, all of it."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
