# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PAM says about sign-ins, in the name of whichever program uses it.

It says that an attempt failed before the program itself does, and in one line less: the program's own message is the
better one where there is one. See modules/pam_unix of Linux-PAM, and pam_syslog(3).
"""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, address

RANK = 2
# pam_syslog(3) cuts off what is longer.
_LONGEST = 4_096

# Sessions that no sign-in began, and those whose program names the sign-in itself.
_NO_SIGN_INS = frozenset(
    [
        "atd",
        "cron",
        "crond",
        "polkit-1",
        "run0",
        "runuser",
        "runuser-l",
        "sudo",
        "sudo-i",
        "systemd-run0",
        "systemd-user",
    ]
)
CHANGES_USER = frozenset(("su", "su-l"))

# Services whose ruser is empty, or an account of this host: a client has no say in what stands before its address.
_OWN_NAMES = frozenset(("sshd", "su", "su-l", "sudo", "sudo-i", "login", "remote"))

_MODULE = re.compile(r"(pam_\w+)\(([\w.@+-]+)(?::(\w+))?\): ")
# The account is the last thing, and may be whatever the client sent (with pam_unix it exists, with others not).
_FAILURE = re.compile(
    r"authentication failure; logname=(\S*) uid=(\d+) euid=\d+ tty=(\S*) ruser=(.*?) rhost=(\S*)"
    r"(?:\s+user=(.*))?\Z",
    re.DOTALL,
)
_LAST = re.compile(r".* rhost=(\S*)(?:\s+user=(\S+))?\Z", re.DOTALL)
_MORE = re.compile(
    r"(?:PAM )?(\d{1,6}) more authentication failures?; logname=\S* uid=\d+ euid=\d+ tty=(\S*) ruser=.*? rhost=(\S*)"
    r"(?:\s+user=(.*))?\Z",
    re.DOTALL,
)
_SESSION = re.compile(r"session opened for user (\S+?)(?:\(uid=\d+\))? by (\S*?)\(uid=(\d+)\)")


def parse(program: str, message: str) -> Fact | None:
    """Return what a message of a PAM module says, None when it is of no module or says nothing about a sign-in."""
    if len(message) > _LONGEST:
        return None
    message = message.rstrip()
    if message.startswith("PAM ") and " more authentication failure" in message:
        return _more(service(program), message)
    found = _MODULE.match(message)
    if found is None:
        return None
    module, name, kind = found.groups()
    text = message[found.end() :]
    if text.endswith(" [preauth]"):
        text = text[: -len(" [preauth]")]
    if kind in (None, "auth"):
        if text.startswith("check pass; user unknown"):
            return Fact(model.UNKNOWN_USER, name, known="no")
        failure = _FAILURE.match(text)
        if failure:
            return _failure(module, name, failure)
        if " more authentication failure" in text:
            return _more(name, text)
    if kind in (None, "session") and text.startswith("session opened"):
        return _session(name, text)
    return None


def service(program: str) -> str:
    """Return the name of the service that a program's sign-ins are of."""
    return "sshd" if program.startswith("sshd") else program


def _failure(module: str, name: str, found: re.Match[str]) -> Fact:
    logname, _uid, terminal, ruser, source, user = found.groups()
    if name not in _OWN_NAMES and found.group().count(" rhost=") > 1:
        # The client has a say in what stands before its address. pam_unix names only accounts that exist behind it.
        last = _LAST.search(found.group()) if module == "pam_unix" else None
        ruser, source, user = ("", last.group(1), last.group(2)) if last else ("", "", "")
    target = ""
    if name in CHANGES_USER:
        user, target = ruser or logname, user or ""
    return Fact(
        model.HINT,
        name,
        user or ruser,
        address(source),
        terminal=terminal,
        target=target,
        known="yes" if user else "",
        reason="authentication failure",
        origin=module,
        rank=RANK,
    )


def _more(name: str, text: str) -> Fact | None:
    found = _MORE.match(text)
    if found is None:
        return None
    count, terminal, source, user = found.groups()
    return Fact(
        model.MORE, name, user or "", address(source), terminal=terminal, times=min(int(count), model.MOST_REPEATED)
    )


def _session(name: str, text: str) -> Fact | None:
    found = _SESSION.match(text)
    if found is None or name in _NO_SIGN_INS:
        return None
    user, by, uid = found.groups()
    if name not in CHANGES_USER:
        return Fact(model.SESSION, name, user, known="yes")
    actor = by or ("root" if uid == "0" else "uid %s" % uid)
    return Fact(model.SESSION, name, actor, known="yes", target=user, method="none" if uid == "0" else "")
