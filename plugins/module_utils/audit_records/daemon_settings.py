# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the settings of this host's audit daemon (auditd.conf(5)): which log it writes, and how it names the host."""

from __future__ import annotations

import os
import stat

CONFIGURATION = "/etc/audit/auditd.conf"
_MOST_BYTES = 65_536
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def settings(path: str | None = None) -> dict[str, str]:
    """Return the settings by their names in lower case, empty where they can't be read. path: None for the host's."""
    try:
        with os.fdopen(os.open(CONFIGURATION if path is None else path, _OPEN), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return {}
            text = os.fsdecode(stream.read(_MOST_BYTES))
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


def log_file(path: str | None = None) -> str:
    """Return the path of the log that the daemon writes, "" where it isn't known. path: as for ``settings``."""
    # The daemon takes no space in a path.
    value = settings(path).get("log_file", "").split()
    return value[0] if value and os.path.isabs(value[0]) else ""


def own_names() -> set[str]:
    """Return how this host may be called in its own log (``name_format``), in lower case."""
    names = {os.uname().nodename.lower()}
    names |= {name.split(".")[0] for name in names}
    given = settings()
    if given.get("name_format", "").lower() == "user" and given.get("name"):
        names.add(given["name"].lower())
    return names
