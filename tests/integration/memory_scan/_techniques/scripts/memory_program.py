# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program from a memfd, as droppers in Python do: ``memory_program.py PROGRAM ARGV0 [ARGUMENT...]``."""

import os
import sys

memory = os.memfd_create("", 0)
with open(sys.argv[1], "rb") as program:
    os.write(memory, program.read())
os.execve(f"/proc/self/fd/{memory}", sys.argv[2:], dict(os.environ))  # noqa: S606
