# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that configure the host, such as Puppet's: what their main process does, and what is below it.

What is believed: systemd says which process is the main one of a unit that it started itself. The kernel says that it
is in the unit's control group, what it runs and since when. The unit, what it starts and what the process runs are
files that a package ships like that. A title, an argument or a program's name is never asked for.

What ran before the main process was started can't be verified any more, and neither can a unit that has ended: such
events are not explained.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command, _process
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import ancestors
from ansible_collections.bulwark.servers.plugins.module_utils.automation import listeners
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act, Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.automation.sessions import call_of
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import AUTOMATION, Explanation

_UNSET = decode.UNSET_ID.encode()
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@\\-]{0,250}\.service\Z")
_PROPERTIES = "Id,MainPID,Type,FragmentPath,DropInPaths,ExecStart,ControlGroup,NeedDaemonReload"
_STARTS = re.compile(r"\bpath=(/[^ ;]+) ;")
_SECONDS = 10.0
_MOST_OUTPUT = 1 << 20
MOST = 50
# Seconds: the time of the boot is a whole second.
_GRAIN = 2.0


class Main(t.NamedTuple):
    """The main process of a unit. exe: as the log has it. begun: in seconds since the epoch."""

    unit: str
    pid: bytes
    exe: str
    begun: float


class Units(Explainer[Act]):
    """Explains what the main processes of units do, and what they start."""

    name, kind = "units", AUTOMATION

    def __init__(self, find: t.Callable[[], t.Sequence[Main]]) -> None:
        """find: returns the verified main processes; asked once, when a hit may be of one."""
        self._find = find
        self._mains: t.Mapping[bytes, Main] | None = None

    def explain(self, act: Act) -> Explanation | None:
        call = call_of(act)
        # pid 1 starts services without an account; who signed in is no service.
        if call is None or call[activity.AUID] != _UNSET:
            return None
        if self._mains is None:
            self._mains = {main.pid: main for main in self._find()}
        if not self._mains:
            return None
        main = self._mains.get(call[activity.PID] or b"") or self._mains.get(call[activity.PPID] or b"")
        main = main or self._above(act)
        if main is None or act.event.time < main.begun - _GRAIN:
            return None
        begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(main.begun))
        sentence = "The service %s, whose main process %s runs since %s" % (main.unit, decode.text(main.pid), begun)
        return Explanation(self.kind, sentence)

    def _above(self, act: Act) -> Main | None:
        """Return the main process that is an ancestor; not what had its number before it."""
        for process in ancestors(act.parent):
            main = (self._mains or {}).get(process.pid)
            if main is not None and activity.process_image(process) == main.exe:
                return main
        return None


def is_name(name: str) -> bool:
    """Return whether a service can have this name."""
    return _NAME.match(name) is not None


def running(names: t.Iterable[str], files: Files | None = None) -> list[Main]:
    """Return the main processes of units that run now and are verified. Nothing where systemd does not answer."""
    wanted = [name for name in names if is_name(name)][:MOST]
    if not wanted:
        return []
    command = ("systemctl", "show", "--property=" + _PROPERTIES, "--", *wanted)
    try:
        output = _command.run(command, _SECONDS, _MOST_OUTPUT).stdout.decode("utf-8", "surrogateescape")
        booted = listeners.booted()
    except OSError:
        return []
    files = files or Files()
    shown = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in output.split("\n\n")]
    mains = [_main(unit, booted, files) for unit in shown if unit.get("Id") in wanted]
    return [main for main in mains if main is not None]


def _main(unit: t.Mapping[str, str], booted: float, files: Files) -> Main | None:
    """Return the main process of a unit, None where it has none or it can't be verified."""
    pid = unit.get("MainPID", "")
    # Of a unit that forks, a file that root can write says which process is the main one.
    if not pid.isdigit() or int(pid) <= 1 or unit.get("Type", "forking") == "forking":
        return None
    starts = _STARTS.findall(unit.get("ExecStart", ""))
    shipped = [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split(), *starts]
    if not starts or unit.get("NeedDaemonReload") != "no":
        return None
    if not all(_is_shipped(path, path, files) for path in shipped):
        return None
    status = _process.stat(int(pid))
    if status is None or status.parent != 1 or not _is_in(pid, unit.get("ControlGroup", "")):
        return None
    try:
        exe = os.readlink("/proc/%s/exe" % pid)
    except OSError:
        return None
    if not _is_shipped(exe, "/proc/%s/exe" % pid, files):
        return None
    again = _process.stat(int(pid))
    if again is None or again.started != status.started:
        return None
    begun = booted + status.started / os.sysconf("SC_CLK_TCK")
    return Main(printable(unit["Id"]), pid.encode("ascii"), exe, begun)


def _is_in(pid: str, group: str) -> bool:
    """Return whether a process is in a unit's control group."""
    if not group.endswith(".service"):
        return False
    try:
        with open("/proc/%s/cgroup" % pid, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.read(65_536).splitlines()
    except OSError:
        return False
    # Of version 2, and of systemd's own hierarchy with version 1.
    own = [line.split(":", 2) for line in lines if line.startswith("0::") or ":name=systemd:" in line]
    return any(len(fields) == 3 and fields[2] == group for fields in own)


def _is_shipped(path: str, opened: str, files: Files) -> bool:
    """Return whether a package ships the content of a file under this path. opened: what to open for it."""
    if not path.startswith("/"):
        return False
    try:
        descriptor = os.open(opened, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return any(files.as_packaged(os.fsencode(name), descriptor) for name in (path, os.path.realpath(path)))
    except OSError:
        return False
    finally:
        os.close(descriptor)
