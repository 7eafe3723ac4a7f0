# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run code with ctypes, as stagers in Python do: ``memory_code.py CODE``."""

import ctypes
import mmap
import os
import sys

memory = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
with open(sys.argv[1], "rb") as code:
    memory.write(code.read())
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
os.write(1, f"ready address={address:x}\n".encode())
ctypes.CFUNCTYPE(None)(address)()
