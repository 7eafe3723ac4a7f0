# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who traces a process (ptrace(2)): one that does can read and write all of it, and stop it at every step."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import libraries
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# What administrators and developers attach. Interpreters aren't among them: they do whatever they are told.
_DEBUGGERS = frozenset(
    b"gdb gdbserver strace ltrace lldb lldb-server perf rr valgrind dlv gcore wineserver wineserver64 crashpad_handler "
    b"chrome_crashpad_handler criu proot uftrace".split()
)
_RECORDER = b"rr"


class Tracer(t.NamedTuple):
    """process: None where it isn't among those that were seen. package: that its executable is of, None for none.

    unread: why nothing follows from what isn't known of it; None where all is known that there is.
    """

    process: Process | None
    package: str | None
    unread: str | None = None

    @property
    def is_debugger(self) -> bool:
        """Say whether it is a packaged program that is there to trace others."""
        return self.package is not None and self.process is not None and _name(self.process) in _DEBUGGERS


def of(view: View, host: Host) -> Tracer | None:
    """Return who traces a process; None where nobody does."""
    if not view.process.tracer:
        return None
    process = host.processes.get(view.process.tracer)
    if process is None:
        return Tracer(None, None, _why_not_seen(host))
    if process.executable is None:
        # Who may not see the executable of another is told so; of what has ended meanwhile there is none.
        return Tracer(process, None, process.unreadable.get("executable"))
    return Tracer(process, libraries.package_of_executable(host, process))


def _why_not_seen(host: Host) -> str | None:
    """Return why a process may be there and not among those that were seen; None where only hiding explains it."""
    if not host.options.whole_host:
        return "it is not among the processes that were read"
    return None if os.geteuid() == 0 else "it can't be seen; run as root (become: true, or sudo make scan)"


def is_recorder(view: View, host: Host) -> bool:
    """Say whether it is traced by rr, which writes its own calls over those of the program to record it."""
    tracer = of(view, host)
    if tracer is None or tracer.process is None or not tracer.is_debugger:
        return False
    return _name(tracer.process) == _RECORDER


def _name(process: Process) -> bytes:
    # Debian's names of debuggers for other machines and of versions: gdb-multiarch, lldb-19, lldb-server-19.
    name = os.path.basename(process.executable or b"")
    base, _dash, version = name.rpartition(b"-")
    return base if version == b"multiarch" or version.replace(b".", b"").isdigit() else name
