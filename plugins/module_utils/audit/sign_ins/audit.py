# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What audit records of programs say about sign-ins: PAM's, those of sshd and login, and sudo's.

See the audit userspace's lib/msg_typetab.h, libpam's pam_audit.c and sshd's audit-linux.c.
"""

from __future__ import annotations

import os.path
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.decode import body_fields
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, pam
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, address
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.sshd import GAVE_UP

# The records that are looked at, so that the many others cost little.
WANTED = re.compile(rb"^(?:node=\S+ )?type=USER_(?:AUTH|CMD|LOGIN|START) msg=audit\([^\n]*", re.MULTILINE)
# Of any record.
RECORD = b"msg=audit("
TIME = re.compile(rb"msg=audit\((\d{1,12})\.")
_RECORD = re.compile(rb"(?:node=\S+ )?type=(USER_\w+) msg=audit\((\d{1,12})\.(\d{1,9}):\d+\):? ?(.*)\Z", re.DOTALL)
_NOBODY = frozenset(("?", "(unknown)", "(unknown user)", "(invalid user)", "unset", "4294967295"))
_SERVICES = {"sshd-session": "sshd", "sshd-auth": "sshd", "crond": "cron", "su-l": "su"}
_IGNORED = frozenset(["atd", "cron", "crond", "runuser", "systemd", "systemd-executor", "sudo"])


def parse(line: bytes) -> tuple[float, int, Fact] | None:
    """Return the time, the process and what a record says, None when it says nothing about a sign-in."""
    found = _RECORD.match(line)
    if found is None:
        return None
    fields = body_fields(found.group(4))
    fact = _fact(found.group(1).decode("ascii"), fields)
    if fact is None:
        return None
    pid = fields.get("pid", "0")
    return int(found.group(2)) + float("0." + found.group(3).decode("ascii")), int(pid) if pid.isdigit() else 0, fact


def _fact(kind: str, fields: t.Mapping[str, str]) -> Fact | None:
    program = os.path.basename(fields.get("exe", ""))
    service = _SERVICES.get(program, program)
    failed = fields.get("res") not in ("success", "yes", "1")
    operation = fields.get("op", "")
    account = _somebody(fields.get("acct", ""))
    base = Fact(
        model.FAILED,
        service,
        account,
        _source(fields),
        terminal=_somebody(fields.get("terminal", "")),
        known="yes" if not failed else "",
    )
    if kind == "USER_CMD":
        return base._replace(kind=model.FAILED if failed else model.ACCEPTED, service="sudo", user=_actor(fields))
    if service in pam.CHANGES_USER:
        base = base._replace(user=_actor(fields), target=account)
    if kind == "USER_AUTH":
        if not failed:
            return None
        if operation.startswith("pubkey"):
            return base._replace(kind=model.FAILED_KEY, method="publickey")
        if operation in ("PAM:authentication", "PAM:unix_chkpwd"):
            return base._replace(reason="authentication failure")
        return base._replace(kind=model.HINT, origin="audit", rank=GAVE_UP, method=_method(operation))
    if kind == "USER_LOGIN":
        if failed:
            return base._replace(kind=model.HINT, origin="audit", rank=GAVE_UP, reason="sign-in refused")
        return base._replace(kind=model.ACCEPTED)
    if failed or operation != "PAM:session_open" or service in _IGNORED:
        return None
    return base._replace(kind=model.SESSION)


def _method(operation: str) -> str:
    return operation if operation in ("password", "keyboard-interactive", "hostbased", "gssapi") else ""


def _actor(fields: t.Mapping[str, str]) -> str:
    """Return who did it: whose session it is, else whose process."""
    for name in ("AUID", "UID"):
        if _somebody(fields.get(name, "")):
            return fields[name]
    for name in ("auid", "uid"):
        if _somebody(fields.get(name, "")):
            return "root" if fields[name] == "0" else "uid %s" % fields[name]
    return ""


def _source(fields: t.Mapping[str, str]) -> str:
    for name in ("addr", "hostname"):
        if _somebody(fields.get(name, "")):
            return address(fields[name])
    return ""


def _somebody(text: str) -> str:
    return "" if text in _NOBODY else text
