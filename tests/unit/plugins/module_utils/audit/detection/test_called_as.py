# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first argument of an execution is compared with the program that the kernel recorded."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner

_TEXT = """\
type=SYSCALL msg=audit(1780000000.001:7): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=1 a2=1 a3=0 items=2 \
ppid=1 pid=2 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=1 comm="x" exe="{exe}" \
key=(null)
type=EXECVE msg=audit(1780000000.001:7): argc=1 a0={first}
type=CWD msg=audit(1780000000.001:7): cwd="/"
type=PATH msg=audit(1780000000.001:7): item=0 name="{exe}" inode=1 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 \
nametype=NORMAL
type=PROCTITLE msg=audit(1780000000.001:7): proctitle="x"
"""


def called_as(exe: str, first: str) -> str | None:
    """Return the field for an execution of exe with a first argument."""
    is_plain = first.isprintable() and " " not in first
    logged = '"%s"' % first if is_plain else first.encode().hex().upper()
    (event,) = Joiner().events(_TEXT.format(exe=exe, first=logged).encode())
    view = LazyView("process_creation", views.EXECUTION, activity.activity_of(event, None, None))
    value = view.get("CalledAs")
    assert value is None or isinstance(value, str)
    return value


_NAMES = [
    "zpool",
    "/usr/sbin/zpool",
    "./zpool",
    "-zpool",
    "x",
    "-bash",
    "--zpool",
    "x /zpool",
    "zpool ",
    "/zpool/",
    "",
    "/",
]


@pytest.mark.parametrize("first", [*_NAMES, "zpool\t", '"zpool', "zpool=", 'a0="zpool'])
@pytest.mark.parametrize("exe", ["/usr/sbin/zpool", "/opt/my app/zpool", "/x"])
def test_what_is_quickly_said_to_be_its_own_name_is(exe: str, first: str) -> None:
    logged = '"%s"' % first if first.isprintable() and not set(first) & set(' "') else first.encode().hex().upper()
    program = '"%s"' % exe if " " not in exe else exe.encode().hex().upper()
    is_own = activity.is_under_own_name(b"argc=1 a0=" + logged.encode(), program.encode())
    assert not (is_own and called_as(exe, first))
    assert is_own or exe != "/usr/sbin/zpool" or first not in _NAMES[:4], "the rules for other names would be asked"


@pytest.mark.parametrize("first", ["zpool", "/usr/sbin/zpool", "./zpool", "-zpool"])
def test_a_program_has_its_own_name(first: str) -> None:
    assert called_as("/usr/sbin/zpool", first) is None


@pytest.mark.parametrize("first", ["x", "-bash", "--zpool", "x /zpool", "zpool ", "/zpool/", "zpool\t"])
def test_a_program_has_another_name(first: str) -> None:
    assert called_as("/usr/sbin/zpool", first) == first


def test_a_program_has_no_name() -> None:
    assert called_as("/usr/sbin/zpool", "") == "nothing"


def test_a_program_in_a_directory_with_a_blank_has_its_own_name() -> None:
    assert called_as("/opt/my app/run", "/opt/my app/run") is None
