# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ordinary programs do that have C call Python: closures of libffi, and regular expressions."""

import ctypes
import ctypes.util
import os
import re
import signal

library = ctypes.CDLL(None)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(
    lambda one, other: one[0] - other[0]
)
numbers = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
library.qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), compare)
assert list(numbers) == [1, 2, 3, 4, 5]
assert re.match("a+b", "aab")
os.write(1, b"ready\n")
signal.pause()
