# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What su, sudo, doas, login and dropbear say about sign-ins.

See su-common.c and login.c of util-linux, su.c and login.c of shadow and of BusyBox, logging.c and eventlog.c of sudo,
doas.c of OpenDoas, and svr-auth*.c of dropbear.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, pam, sshd
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, Line, address

_SU = re.compile(r"(FAILED SU )?\(to (\S.{0,255})\) (\S.{0,255}) on (\S+)\Z")
_SHADOW_SU = re.compile(r"(FAILED|Successful) su for (\S.{0,255}) by (\S.{0,255})\Z")
_SU_SYSLOG = re.compile(r"([+-]) (\S+) (\S+):(\S+)\Z")
_DOAS = re.compile(r"(\S+) ran command (.*) as (\S+) from (.*)\Z", re.DOTALL)
_DOAS_REFUSED = re.compile(r"(?:(failed auth)|command not permitted) for (\S+?)(?::.*)?\Z", re.DOTALL)
_SUDO = re.compile(r"\s*(\S.{0,255}?) : (?:([^;=]{1,512}) ; )?((?:HOST|TTY)=.*)\Z", re.DOTALL)
_SUDO_ATTEMPTS = re.compile(r"(\d{1,3}) incorrect password attempts?")
_SUDO_TARGET = re.compile(r" ; USER=(\S+) ; ")
_SUDO_TERMINAL = re.compile(r"(?:HOST=\S+ ; )?TTY=(\S+) ; ")
_LOGIN_FAILED = re.compile(
    r"(?:FAILED LOGIN(?: SESSION| \(?\d+\)?)?|TOO MANY LOGIN TRIES \(\d+\))"
    r"(?: on '([^' ]*)')?(?:(?: from '([^' ]*)')|(?: FROM (\S+)))? FOR (?:'(.*)'|(.*?)), (.*)\Z",
    re.DOTALL,
)
_LOGIN = re.compile(
    r"(?:LOGIN ON (\S+) BY (\S+)|(ROOT) LOGIN  ?[Oo][Nn] '?([^' ]+)'?)(?:(?: FROM | from )'?([^' ]+)'?)?\Z"
)
_BUSYBOX_LOGIN = re.compile(
    r"(?:(root) login|invalid password for '([^']*)')(?: on '([^' ]*)')?(?: from '([^' ]*)')?\Z"
)
_DROPBEAR = re.compile(r"(.*) from <?([0-9a-fA-F.:%\w\[\]]+?):(\d+)>?\Z", re.DOTALL)
_SU_SYSLOG_ORIGIN = "su_syslog"
_DROPBEAR_SAID = re.compile(
    r"(?:(Bad (?:PAM )?\w+ attempt|Login attempt|(?:PAM )?\w+ auth succeeded) (?:for|with)"
    r" (?:nonexistent user|'(.*?)')(?: with .*)?)\Z",
    re.DOTALL,
)


def parse(line: Line) -> Fact | None:
    """Return what a line of a system log says about a sign-in, None when it says nothing."""
    reader = _READERS.get(line.program)
    fact = reader(line.message) if reader else None
    if fact and fact.origin == _SU_SYSLOG_ORIGIN and not line.pid:
        # BusyBox has no better message, and no process number to tell two attempts by.
        fact = fact._replace(kind=model.FAILED)
    return fact or pam.parse(line.program, line.message)


def _su(message: str) -> Fact | None:
    matched = _SU.match(message)
    if matched:
        failed, target, user, terminal = matched.groups()
        return _changed(bool(failed), "su", user, target, terminal)
    matched = _SHADOW_SU.match(message)
    if matched:
        return _changed(matched.group(1) == "FAILED", "su", matched.group(3), matched.group(2))
    matched = _SU_SYSLOG.match(message)
    if matched is None:
        return None
    sign, terminal, user, target = matched.groups()
    fact = _changed(sign == "-", "su", user, target, terminal)
    # shadow says the same in words before it.
    return fact._replace(kind=model.HINT, origin=_SU_SYSLOG_ORIGIN, rank=sshd.GAVE_UP) if sign == "-" else fact


def _doas(message: str) -> Fact | None:
    matched = _DOAS.match(message)
    if matched:
        return _changed(False, "doas", matched.group(1), matched.group(3))
    matched = _DOAS_REFUSED.match(message)
    if matched is None:
        return None
    why = "wrong password" if matched.group(1) else "command not allowed"
    fact = _changed(True, "doas", matched.group(2), "")
    return fact._replace(reason=why, method="password" if matched.group(1) else "none")


def _changed(failed: bool, service: str, user: str, target: str, terminal: str = "") -> Fact:
    kind = model.FAILED if failed else model.ACCEPTED
    method = "none" if user == "root" else ""
    return Fact(kind, service, user, method=method, known="yes", target=target, terminal=terminal)


def _sudo(message: str) -> Fact | None:
    if message.startswith("@cee:"):
        return _sudo_json(message[len("@cee:") :])
    found = _SUDO.match(message)
    if found is None:
        return None
    user, why, details = found.groups()
    # A directory or command may hold what looks like more of these fields.
    targets = _SUDO_TARGET.findall(details)
    terminal = _SUDO_TERMINAL.match(details)
    fact = Fact(
        model.ACCEPTED,
        "sudo",
        user,
        known="yes",
        target=targets[0] if len(targets) == 1 else "",
        terminal=terminal.group(1) if terminal else "",
        method="none" if user == "root" else "",
    )
    if not why:
        return fact
    attempts = _SUDO_ATTEMPTS.match(why)
    if attempts:
        return fact._replace(kind=model.FAILED, method="password", reason=why, times=max(1, int(attempts.group(1))))
    return fact._replace(kind=model.FAILED, method="none", reason=why)


def _sudo_json(text: str) -> Fact | None:
    """Read what sudo writes with ``log_format=json``."""
    try:
        event = json.loads(text)["sudo"]
        ((kind, details),) = event.items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if kind not in ("accept", "reject", "alert") or not isinstance(details, dict):
        return None
    names = ("submituser", "runuser", "ttyname", "reason")
    user, target, terminal, why = (str(details.get(name, "")) for name in names)
    fact = _changed(kind != "accept", "sudo", user, target, terminal)
    attempts = _SUDO_ATTEMPTS.match(why)
    if kind == "accept" or not attempts:
        return fact._replace(reason=why, method="none" if kind != "accept" else fact.method)
    return fact._replace(method="password", reason=why, times=max(1, int(attempts.group(1))))


def _login(message: str) -> Fact | None:
    found = _LOGIN_FAILED.match(message)
    if found:
        terminal, source, source2, quoted, plain, why = found.groups()
        user = quoted if quoted is not None else plain
        return Fact(
            model.FAILED,
            "login",
            user,
            address(source or source2 or ""),
            method="password",
            reason=why,
            terminal=terminal or "",
        )
    found = _BUSYBOX_LOGIN.match(message)
    if found:
        root, user, terminal, source = found.groups()
        kind = model.ACCEPTED if root else model.FAILED
        known = "no" if user == "UNKNOWN" else "yes"
        name = root or ("" if user == "UNKNOWN" else user)
        return Fact(kind, "login", name, address(source or ""), method="password", known=known, terminal=terminal or "")
    found = _LOGIN.match(message)
    if found is None:
        return None
    terminal, user, root, root_terminal, source = found.groups()
    return Fact(
        model.ACCEPTED,
        "login",
        "root" if root else user,
        address(source or ""),
        method="password",
        known="yes",
        terminal=terminal or root_terminal,
    )


def _dropbear(message: str) -> Fact | None:
    peer = _DROPBEAR.match(message)
    found = _DROPBEAR_SAID.match(peer.group(1)) if peer else None
    if peer is None or found is None:
        return None
    what, user = found.groups()
    method = "publickey" if "ubkey" in what else "password"
    kind = model.ACCEPTED if what.endswith("succeeded") else model.FAILED
    source = address(peer.group(2).strip("[]"))
    return Fact(kind, "dropbear", user or "", source, peer.group(3), method=method, known="yes" if user else "no")


def _sshd(message: str) -> Fact | None:
    return sshd.parse(message)


_READERS: t.Mapping[str, t.Callable[[str], Fact | None]] = {
    **dict.fromkeys(sshd.PROGRAMS, _sshd),
    "doas": _doas,
    "dropbear": _dropbear,
    "login": _login,
    "su": _su,
    "su-l": _su,
    "sudo": _sudo,
}
