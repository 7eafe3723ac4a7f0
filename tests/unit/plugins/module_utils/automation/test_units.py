# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service does that configures the host: told by its main process, which is verified, never by a title."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.automation import units
from ansible_collections.bulwark.servers.plugins.module_utils.automation.units import Main, Units

from tests.support.sigma import rule, used
from tests.support.waiting import until

_START = 1795886686
_EXECUTED = """\
type=SYSCALL msg=audit({at}.230:{n}): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1 \
ppid={ppid} pid={pid} auid={auid} uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=4294967295 \
comm="x" exe="{exe}" key=(null)
type=EXECVE msg=audit({at}.230:{n}): argc=2 a0="{title}" a1="{argument}"
type=CWD msg=audit({at}.230:{n}): cwd="/"
type=PATH msg=audit({at}.230:{n}): item=0 name="{exe}" inode=1 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 \
nametype=NORMAL
type=PROCTITLE msg=audit({at}.230:{n}): proctitle="x"
"""
_RULE = rule(
    {"s": {"CommandLine|contains": "bad"}, "condition": "s"},
    bulwark={"subject": ["Image"], "explained_by": {"automation": "informational"}},
)
_RUBY = "/opt/puppetlabs/puppet/bin/ruby"
_MAIN = Main("puppet.service", b"900", _RUBY, float(_START))


def executed(n: int, pid: int, ppid: int, argument: str = "bad", **fields: t.Any) -> str:
    usual = {"auid": 4294967295, "exe": "/usr/bin/x", "title": "x", "at": _START + n}
    return _EXECUTED.format(n=n, pid=pid, ppid=ppid, argument=argument, **{**usual, **fields})


def severities(*events: str, mains: t.Sequence[Main] = (_MAIN,)) -> list[str]:
    reader = Reader(used(_RULE), {}, explainers=[Units(lambda: mains)])
    reader.read("".join(events).encode())
    return [each["severity"] for each in reader.tally.detections(10)[0]]


def test_what_the_main_process_starts_is_explained() -> None:
    assert severities(executed(1, 901, 900)) == ["informational"]
    below = [executed(1, 900, 1, "agent", exe=_RUBY), executed(2, 901, 900, "good"), executed(3, 902, 901)]
    assert severities(*below) == ["informational"]


def test_what_only_looks_like_it_is_not() -> None:
    titles = ("puppet agent: applying configuration", "chef-client worker", "cf-agent", "puppet.service")
    for title in titles:
        assert severities(executed(1, 700, 1, "x", title=title, exe=_RUBY), executed(2, 901, 700)) == ["high"]
        assert severities(executed(2, 901, 700, title=title)) == ["high"]
    # Who signed in, what ran before, and whoever had the number before.
    assert severities(executed(1, 901, 900, auid=1000)) == ["high"]
    assert severities(executed(1, 901, 900, at=_START - 10)) == ["high"]
    before = [executed(1, 900, 1, "agent", exe="/usr/bin/evil"), executed(2, 901, 900, "good"), executed(3, 902, 901)]
    assert severities(*before) == ["high"]
    assert severities(executed(1, 901, 900), mains=()) == ["high"]


class Shipped:
    """Package databases in which all files are as packaged, but for some."""

    def __init__(self, *changed: str) -> None:
        self._changed = set(changed)

    def as_packaged(self, path: bytes, _descriptor: int) -> str | None:
        return None if path.decode() in self._changed else "puppet 1.0"


@pytest.fixture
def daemon() -> t.Iterator[int]:
    """Start a process whose parent is init, as those of services are."""
    # It must not hold the pipe that the number comes through.
    script = (
        "import os\n"
        "pid = os.fork()\n"
        "if pid: print(pid); raise SystemExit\n"
        "os.setsid()\n"
        "os.dup2(os.open('/dev/null', os.O_RDWR), 1)\n"
        "os.execv('/bin/sleep', ['sleep', '60'])\n"
    )
    pid = int(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True).stdout)
    try:
        until(lambda: "sleep" in os.readlink(f"/proc/{pid}/exe"))
        yield pid
    finally:
        os.kill(pid, 9)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, daemon: int) -> t.Callable[..., list[Main]]:
    def shown(*changed: str, in_group: bool = True, **properties: str) -> list[Main]:
        usual = {
            "Type": "simple",
            "MainPID": str(daemon),
            "ExecStart": "{ path=/bin/sh ; argv[]=/bin/sh agent ; ignore_errors=no ; pid=5 }",
            "ControlGroup": "/system.slice/puppet.service",
            "Id": "puppet.service",
            "FragmentPath": "/etc/hostname",
            "DropInPaths": "",
            "NeedDaemonReload": "no",
        }
        text = "".join(f"{name}={value}\n" for name, value in {**usual, **properties}.items())
        other = "Id=cf-execd.service\nMainPID=0\nType=simple\n"

        def run(argv: t.Sequence[str], _timeout: float, _most: int) -> _command.Completed:
            assert argv[:2] == ("systemctl", "show")
            assert argv[-3:] == ("--", "puppet.service", "cf-execd.service")
            return _command.Completed(0, f"{text}\n{other}".encode(), b"")

        monkeypatch.setattr(_command, "run", run)
        monkeypatch.setattr(units, "_is_in", lambda _pid, group: in_group and group.endswith("/puppet.service"))
        names = ["puppet.service", "--version", "cf-execd.service", "../x.service"]
        return units.running(names, t.cast("t.Any", Shipped(*changed)))

    return shown


def test_a_main_process_is_verified(show: t.Callable[..., list[Main]], daemon: int) -> None:
    (main,) = show()
    assert (main.unit, main.pid, os.path.basename(main.exe)) == ("puppet.service", str(daemon).encode(), "sleep")
    assert abs(main.begun - time.time()) < 30


@pytest.mark.parametrize(
    "properties",
    [
        {"Type": "forking"},
        {"MainPID": "0"},
        {"MainPID": str(os.getpid())},
        {"ExecStart": ""},
        {"FragmentPath": ""},
        {"FragmentPath": "/etc/nothing-like-that.service"},
        {"DropInPaths": "/etc/nothing-like-that.conf"},
        {"NeedDaemonReload": "yes"},
        {"Id": "other.service"},
    ],
)
def test_a_unit_that_can_not_be_verified_explains_nothing(
    show: t.Callable[..., list[Main]], properties: dict[str, str]
) -> None:
    assert show(**properties) == []


def test_a_changed_file_or_another_group_explains_nothing(show: t.Callable[..., list[Main]], daemon: int) -> None:
    exe = os.readlink(f"/proc/{daemon}/exe")
    assert show(exe, os.path.realpath(exe)) == []
    assert show("/etc/hostname") == []
    assert show("/bin/sh", os.path.realpath("/bin/sh")) == []
    assert show(in_group=False) == []


def test_the_group_is_the_kernels() -> None:
    assert not units._is_in(str(os.getpid()), "/system.slice/puppet.service")
    assert not units._is_in(str(os.getpid()), "")


def test_without_systemd_nothing_is_explained() -> None:
    assert units.running(["puppet.service"]) == []
    assert units.running([]) == []
