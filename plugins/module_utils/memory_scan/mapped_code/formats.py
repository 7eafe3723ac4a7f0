# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that runtimes map executable although they are no ELF files: what they begin with, and whose they are.

A file begins with whatever its maker likes, so that alone says only what it may be.
"""

from __future__ import annotations

# Programs for Windows and .NET, and archives of HotSpot's classes.
PROGRAMS = b"MZ"
_ARCHIVES = (b"\xa2\xba\x0b\xf0", b"\xa8\xba\x0b\xf0")
# The mark that perf(1) looks for of a runtime that writes down what it compiles.
_RECORDS = (b"DTiJ", b"JiTD")
FOREIGN = (PROGRAMS, *_ARCHIVES, *_RECORDS)
IMAGES = (PROGRAMS, *_ARCHIVES)
