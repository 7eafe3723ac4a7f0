# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What su, sudo, login and dropbear say about sign-ins.

See su-common.c and login.c of util-linux, su.c and login.c of shadow, logging.c of sudo, and svr-auth*.c of dropbear.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, pam, sshd
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, Line, address

_SU = re.compile(r"(FAILED SU )?\(to (\S+)\) (\S+) on (\S+)\Z")
_SHADOW_SU = re.compile(r"(FAILED|Successful) su for (\S+) by (\S+)\Z")
_SUDO = re.compile(r"\s*(\S+) : (?:([^;=]+) ; )?((?:HOST|TTY)=.*)\Z", re.DOTALL)
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
_DROPBEAR = re.compile(r"(.*) from <?([0-9a-fA-F.:%\w\[\]]+?):(\d+)>?\Z", re.DOTALL)
_DROPBEAR_SAID = re.compile(
    r"(?:(Bad \w+ attempt|Login attempt|\w+ auth succeeded) (?:for|with) (?:nonexistent user|'(.*?)')(?: with .*)?)\Z",
    re.DOTALL,
)


def parse(line: Line) -> Fact | None:
    """Return what a line of a system log says about a sign-in, None when it says nothing."""
    reader = _READERS.get(line.program)
    fact = reader(line.message) if reader else None
    return fact or pam.parse(line.program, line.message)


def _su(message: str) -> Fact | None:
    found = _SU.match(message)
    if found:
        failed, target, user, terminal = found.groups()
    else:
        found = _SHADOW_SU.match(message)
        if found is None:
            return None
        failed, target, user = found.group(1) == "FAILED", found.group(2), found.group(3)
        terminal = ""
    kind = model.FAILED if failed else model.ACCEPTED
    method = "none" if user == "root" else ""
    return Fact(kind, "su", user, method=method, known="yes", target=target, terminal=terminal)


def _sudo(message: str) -> Fact | None:
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
    "dropbear": _dropbear,
    "login": _login,
    "su": _su,
    "su-l": _su,
    "sudo": _sudo,
}
