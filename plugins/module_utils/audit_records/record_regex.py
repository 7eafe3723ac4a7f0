# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that are whole and as most are, found with one match of a regular expression that takes them apart, too."""

from __future__ import annotations

import re

# The records of one event, one after the other; see events.py. What is looked for at any place has an end: a long line
# of nothing but beginnings would take hours.
_RUN = (
    rb"type=(?P<first>\S{1,64}) "
    rb"msg=(?P<any>audit\((?P<any_s>\d{1,10})\.(?P<any_ms>\d{1,6}):(?P<any_n>\d{1,20})\):?)(?:.*)\n"
    rb"(?:type=\S+ msg=(?P=any).*\n)*"
)


def _record(kind: bytes, body: bytes) -> bytes:
    return rb"type=" + kind + rb" msg=(?P=whole) " + body + rb"\n"


def _maybe(pattern: bytes) -> bytes:
    return rb"(?:" + pattern + rb")?"


def _named(name: bytes, pattern: bytes) -> bytes:
    """Return what executions know by a name, and other calls by another: it is the same of both."""
    return rb"(?P<" + name + rb">(?P<c_" + name + rb">" + pattern + rb"))"


# The line of a call, as linux/kernel/auditsc.c writes it: apart what is the same in many events. done: of an execution.
_CALL = (
    rb"type=SYSCALL msg=(?P<whole>audit\((?P<s>\d{1,10})\.(?P<ms>\d{1,6}):(?P<n>\d{1,20})\):) "
    rb"(?P<head>(?P<c_head>arch=\w+ syscall=\d+ success=(?:yes(?P<done>(?= exit=\w))|\w+)) exit=(?P<exit>-?\w+))"
    rb" a0=(?P<a0>\w+) a1=(?P<a1>\w+) a2=(?P<a2>\w+) a3=(?P<a3>\w+) items=(?:(?P<pathless>0(?= ))|\d+) ppid="
    + _named(rb"ppid", rb"\d+") + rb" pid=" + _named(rb"pid", rb"\d+") + rb" "
    # What it can be is before what it may be: that takes twice as long.
    + _named(rb"ids", rb"auid=\d+ uid=\d+(?:"
             rb" gid=\d+ euid=\d+ suid=\d+ fsuid=\d+ egid=\d+ sgid=\d+ fsgid=\d+|(?: [a-z]+id=\d+)*) tty=\S+")
    + rb" ses=" + _named(rb"ses", rb"\d+") + rb" " + _named(rb"rest", rb"comm=.*") + rb"\n"
)  # fmt: skip
# A program that was executed, with all its arguments in one record.
_EXECUTION = (
    rb"(?(done)|(?!))"
    + _record(rb"EXECVE", rb"(?P<arguments>argc=.*)")
    + _record(rb"CWD", rb"(?P<cwd>.*)")
    + _record(rb"PATH", rb"(?P<path0>.*)")
    + _maybe(_record(rb"PATH", rb"(?P<path1>.*)"))
    + _maybe(_record(rb"PATH", rb"(?P<path2>.*)"))
    + _record(rb"PROCTITLE", rb".*")
    + _maybe(_record(rb"EOE", rb".*"))
)
# Any other call; of the paths most have up to four.
_OTHER = (
    _maybe(_record(rb"SOCKADDR", rb"saddr=(?P<saddr>\w+).*"))
    + _maybe(_record(rb"CWD", rb"cwd=(?P<c_cwd>\S+).*"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path0>.*)"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path1>.*)"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path2>.*)"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path3>.*)"))
    # Paths that were left out are missed the slow way.
    + rb"(?(c_path0)|(?(pathless)|(?!)))"
    + _record(rb"PROCTITLE", rb"proctitle=(?P<title>\S+).*")
)
_NO_MORE = rb"(?!type=\S+ msg=(?P=whole))"
NEXT = re.compile(_CALL + rb"(?:" + _EXECUTION + _NO_MORE + rb"|" + _OTHER + _NO_MORE + rb")|" + _RUN)
# Of an execution only, and of what is no call that was taken apart.
ARGUMENTS = NEXT.groupindex["arguments"]
WHOLE = NEXT.groupindex["whole"]
