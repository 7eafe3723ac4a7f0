# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have an interpreter run a script that is in memory only: ``memory_script.py INTERPRETER SCRIPT-TEXT``."""

import os
import sys

memory = os.memfd_create("script", 0)
os.write(memory, sys.argv[2].encode())
os.lseek(memory, 0, os.SEEK_SET)
os.execv(sys.argv[1], [sys.argv[1], f"/proc/self/fd/{memory}"])  # noqa: S606
