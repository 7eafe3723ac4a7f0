# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders to a running fapolicyd, by its named pipe (database.c of fapolicyd: update_thread_main)."""

from __future__ import annotations

import os

PIPE = "/run/fapolicyd/fapolicyd.fifo"
# Done one after the other.
RELOAD_TRUST, RELOAD_RULES = b"1\n", b"3\n"


def send(*orders: bytes, pipe: str = PIPE) -> None:
    """Write orders to the pipe. Raises OSError, also when nobody reads from it."""
    descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"".join(orders))
    finally:
        os.close(descriptor)
