# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events that are whole and as most are, found with one match of a regular expression that takes them apart, too."""

from __future__ import annotations

import re

# The records of one event, one after the other; see events.py. What is looked for at any place has an end: a long line
# of nothing but beginnings would take hours.
_RUN = (
    rb"(?:node=\S{1,255} )?type=(?P<first>\S{1,64}) "
    rb"msg=(?P<any>audit\((?P<any_s>\d{1,10})\.(?P<any_ms>\d{1,6}):(?P<any_n>\d{1,20})\):?)(?:.*)\n"
    rb"(?:(?:node=\S+ )?type=\S+ msg=(?P=any).*\n)*"
)


def _record(kind: bytes, body: bytes, identity: bytes = rb"whole") -> bytes:
    return rb"type=" + kind + rb" msg=(?P=" + identity + rb") " + body + rb"\n"


def _maybe(pattern: bytes) -> bytes:
    return rb"(?:" + pattern + rb")?"


# A program that was executed, with all its arguments in one record, as linux/kernel/auditsc.c writes it: everything of
# the call apart that is the same in many events.
_EXECUTION = (
    rb"type=SYSCALL msg=(?P<whole>audit\((?P<s>\d{1,10})\.(?P<ms>\d{1,6}):(?P<n>\d{1,20})\):) "
    rb"(?P<head>arch=\w+ syscall=\d+ success=yes exit=\w+)"
    rb" a0=\w+ a1=\w+ a2=\w+ a3=\w+ items=\d+ ppid=(?P<ppid>\d+) pid=(?P<pid>\d+) "
    rb"(?P<ids>auid=\d+ uid=\d+(?: [a-z]+id=\d+)* tty=\S+) ses=(?P<ses>\d+) (?P<rest>comm=.*)\n"
    + _record(rb"EXECVE", rb"(?P<arguments>argc=.*)")
    + _record(rb"CWD", rb"(?P<cwd>.*)")
    + _record(rb"PATH", rb"(?P<path0>.*)")
    + _maybe(_record(rb"PATH", rb"(?P<path1>.*)"))
    + _maybe(_record(rb"PATH", rb"(?P<path2>.*)"))
    + _record(rb"PROCTITLE", rb".*")
    + _maybe(_record(rb"EOE", rb".*"))
    + rb"(?!(?:node=\S+ )?type=\S+ msg=(?P=whole))"
)  # fmt: skip
# Any other call; of the paths most have up to four.
_CALL = (
    rb"type=SYSCALL msg=(?P<call>audit\((?P<c_s>\d{1,10})\.(?P<c_ms>\d{1,6}):(?P<c_n>\d{1,20})\):) "
    rb"(?P<c_head>arch=\w+ syscall=\d+ success=\w+) exit=(?P<exit>-?\w+)"
    rb" a0=(?P<a0>\w+) a1=(?P<a1>\w+) a2=(?P<a2>\w+) a3=(?P<a3>\w+) items=\d+ ppid=(?P<c_ppid>\d+) pid=(?P<c_pid>\d+) "
    rb"(?P<c_ids>auid=\d+ uid=\d+(?: [a-z]+id=\d+)* tty=\S+) ses=(?P<c_ses>\d+) (?P<c_rest>comm=.*)\n"
    + _maybe(_record(rb"SOCKADDR", rb"saddr=(?P<saddr>\w+).*", rb"call"))
    + _maybe(_record(rb"CWD", rb"cwd=(?P<c_cwd>\S+).*", rb"call"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path0>.*)", rb"call"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path1>.*)", rb"call"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path2>.*)", rb"call"))
    + _maybe(_record(rb"PATH", rb"(?P<c_path3>.*)", rb"call"))
    + _record(rb"PROCTITLE", rb"proctitle=(?P<title>\S+).*", rb"call")
    + rb"(?!(?:node=\S+ )?type=\S+ msg=(?P=call))"
)
NEXT = re.compile(_EXECUTION + rb"|" + _CALL + rb"|" + _RUN)
