# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where x86 instructions begin and end, and their parts: Intel's manual, volume 2, chapter 2 and appendix A.

Only what programs may execute: an instruction for the kernel alone, or one that is always refused, is none. That is
what tells code from data that looks like it for a while.
"""

from __future__ import annotations

import typing as t


class Instruction(t.NamedTuple):
    """at: its offset. end: of the next one. opcode: the byte, 0x0Fxx of the second table, ``VECTOR`` where only the
    length matters. wide, narrow: whether operands have 64 or 16 bits. rex: that prefix, 0 where there is none. modrm,
    sib: -1 where there is none. displacement, immediate: signed.
    """

    at: int
    end: int
    opcode: int
    wide: bool
    narrow: bool
    rex: int
    modrm: int
    sib: int
    displacement: int
    immediate: int


LONGEST = 15
VECTOR = 0x10000

# How each opcode goes on: N nothing, B/W/Z/V/A an immediate of 1, 2, 4 (2 with a prefix), 4 or 8, or 4 or 8 bytes of an
# address; M operands; m and z operands and an immediate of one byte or of Z; G operands, immediate for /0 and /1 only;
# E 3 bytes; P prefix; . no instruction of a program. Lower table for what differs in 64-bit code.
_ONE = (
    "MMMMBZNN MMMMBZN. MMMMBZNN MMMMBZNN MMMMBZPN MMMMBZPN MMMMBZPN MMMMBZPN"
    "NNNNNNNN NNNNNNNN NNNNNNNN NNNNNNNN NNMMPPPP ZzBm.... BBBBBBBB BBBBBBBB"
    "mzmmMMMM MMMM.MMM NNNNNNNN NN.NNNNN AAAANNNN BZNNNNNN BBBBBBBB VVVVVVVV"
    "mmWN..mz .N..NB.. MMMM...N MMMMMMMM BBBB.... ZZ.B.... P.PP.NGG NN..NNMM"
).replace(" ", "")
_LONG_INVALID = frozenset(
    (0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0x62, 0x82, 0xD4, 0xD5, 0xD6)
)
_TWO = (
    ".....N.. ...N.M.. MMMMMMMM MMMMMMMM ........ MMMMMMMM .N..N... ........"
    "MMMMMMMM MMMMMMMM MMMMMMMM MMMMMMMM MMMMMMMM MMMMMMMM mmmmMMMN ....MMMM"
    "ZZZZZZZZ ZZZZZZZZ MMMMMMMM MMMMMMMM NNNMmM.. NN.MmMMM MMMMMMMM M.mMMMMM"
    "MMmMmmmM NNNNNNNN MMMMMMMM MMMMMMMM MMMMMMMM MMMMMMMM MMMMMMMM MMMMMMM."
).replace(" ", "")
_INTERRUPTS = (0x03, 0x80)


# The parts of an instruction one after the other, each of which says where the next one begins.
def decode(data: bytes, at: int, long: bool) -> Instruction | None:  # noqa: C901
    """Return the instruction at an offset; None where there is none, or it is cut. long: of 64-bit code."""
    position = at
    limit = min(len(data), at + LONGEST)
    narrow = False
    rex = 0
    while position < limit:
        opcode = data[position]
        position += 1
        if long and 0x40 <= opcode <= 0x4F:
            rex = opcode
            continue
        how = _ONE[opcode]
        if how != "P":
            break
        if opcode == 0x67 and not long:
            return None
        narrow = narrow or opcode == 0x66
        rex = 0
    else:
        return None
    if long and (opcode in (0xC4, 0xC5, 0x62)):
        return _vector(data, at, position, limit, opcode)
    if opcode == 0x0F:
        if position >= limit:
            return None
        second = data[position]
        position += 1
        if second in (0x38, 0x3A):
            return _operands(data, at, position + 1, limit, VECTOR, False, narrow, rex, 1 if second == 0x3A else 0)
        opcode, how = 0x0F00 | second, _TWO[second]
    elif long and opcode in _LONG_INVALID:
        return None
    wide = bool(rex & 8)
    if how == ".":
        return None
    if how in "MmzG":
        size = {"M": 0, "m": 1, "z": 2 if narrow else 4, "G": -1}[how]
        return _operands(data, at, position, limit, opcode, wide, narrow, rex, size)
    size = _immediate_size(how, opcode, wide, narrow, long)
    end = position + size
    if end > limit:
        return None
    immediate = int.from_bytes(data[position:end], "little", signed=True)
    if opcode == 0xCD and immediate & 0xFF not in _INTERRUPTS:
        return None
    return Instruction(at, end, opcode, wide, narrow, rex, -1, -1, 0, immediate)


def _immediate_size(how: str, opcode: int, wide: bool, narrow: bool, long: bool) -> int:
    if how == "Z":
        # Branches stay 32 bits wide in 64-bit code whatever prefix there is.
        return 2 if narrow and not (long and (opcode in (0xE8, 0xE9) or opcode > 0xFF)) else 4
    if how == "V":
        return 8 if wide else 2 if narrow else 4
    if how == "A":
        return 8 if long else 4
    return {"N": 0, "B": 1, "W": 2}[how]


def _vector(data: bytes, at: int, position: int, limit: int, prefix: int) -> Instruction | None:
    """Return an instruction with a VEX or EVEX prefix, which begins before ``position``."""
    length = {0xC5: 1, 0xC4: 2, 0x62: 3}[prefix]
    if position + length >= limit:
        return None
    table = 1 if prefix == 0xC5 else data[position] & 0x1F if prefix == 0xC4 else data[position] & 0x07
    position += length
    opcode = data[position]
    if table not in (1, 2, 3) or (table == 1 and _TWO[opcode] not in "MmN"):
        return None
    if table == 1 and _TWO[opcode] == "N":
        return Instruction(at, position + 1, VECTOR, False, False, 0, -1, -1, 0, 0)
    size = 1 if table == 3 or (table == 1 and _TWO[opcode] == "m") else 0
    return _operands(data, at, position + 1, limit, VECTOR, False, False, 0, size)


def _operands(
    data: bytes, at: int, position: int, limit: int, opcode: int, wide: bool, narrow: bool, rex: int, size: int
) -> Instruction | None:
    """Return an instruction with operands. size: of its immediate, -1: group 3, which has one for /0 and /1 only."""
    if position >= limit:
        return None
    modrm = data[position]
    position += 1
    mode, low = modrm >> 6, modrm & 7
    sib = -1
    displaced = 0
    if mode != 3:
        if low == 4:
            if position >= limit:
                return None
            sib = data[position]
            position += 1
        if mode == 1:
            displaced = 1
        elif mode == 2 or low == 5 or (sib >= 0 and sib & 7 == 5):
            displaced = 4
    if size < 0:
        size = 0 if modrm & 0x38 > 8 else 1 if opcode == 0xF6 else 2 if narrow else 4
    end = position + displaced + size
    if end > limit or (opcode in (0xFE, 0xFF) and modrm & 0x38 > (0x08 if opcode == 0xFE else 0x30)):
        return None
    return Instruction(
        at,
        end,
        opcode,
        wide,
        narrow,
        rex,
        modrm,
        sib,
        int.from_bytes(data[position : position + displaced], "little", signed=True) if displaced else 0,
        int.from_bytes(data[position + displaced : end], "little", signed=True) if size else 0,
    )
