# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher: a unit of the host that kills fapolicyd when it hangs, for versions without a watchdog of their own.

It is optional, as whoever makes fapolicyd hang has it killed by that.
"""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    module_source,
    watcher_program,
)

UNIT = "bulwark-app-control-watcher.service"
# Seconds that fapolicyd may take for one decision, which it needs far less than one for.
_SECONDS = 10

# Without options that give it mounts of its own: fapolicyd decides only about what is opened through the host's.
_UNIT = """\
# Written by bulwark.servers; changes here are lost. It is removed with the policy.
[Unit]
Description=Watcher of bulwark.servers: kills fapolicyd when it hangs
After=fapolicyd.service

[Service]
ExecStart={interpreter} -I -S -B {program} {executable} {program} {seconds}
Restart=always
OOMScoreAdjust=-1000
Nice=-10
LimitMEMLOCK=infinity

[Install]
WantedBy=multi-user.target
"""


def program() -> bytes:
    """Return the program, which needs a Python of 3.8 or later and nothing else."""
    return module_source.read(watcher_program.__name__)


def unit_text(program: str, executable: str, interpreter: str) -> str:
    """Return the unit. program: where ``program`` is written; executable: of fapolicyd. Absolute paths."""
    return _UNIT.format(interpreter=interpreter, program=program, executable=executable, seconds=_SECONDS)
