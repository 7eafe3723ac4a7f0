# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load a library from a memfd with ctypes: ``memory_library.py LIBRARY``."""

import ctypes
import os
import signal
import sys

memory = os.memfd_create("libcrypto", 0)
with open(sys.argv[1], "rb") as library:
    os.write(memory, library.read())
loaded = ctypes.CDLL(f"/proc/self/fd/{memory}")
os.close(memory)
address = ctypes.cast(loaded.quiet, ctypes.c_void_p).value
os.write(1, f"ready address={address:x}\n".encode())
signal.pause()
