# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd says about sign-ins.

The name of an account that does not exist is whatever the client sent, blanks and `` from 192.0.2.1 port 22`` included,
but no colon: sshd cuts it off there. So what follows a name is read from the right end of the message, or, where sshd
may add a text that the client has a say in (the identity of a certificate, a reason), from the last place before the
first colon that can't be part of an address. Accounts that exist have no blanks, and are read from the left. See
auth.c, auth2.c, auth-pam.c and packet.c of OpenSSH.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, address

SERVICE = "sshd"
PROGRAMS = frozenset(("sshd", "sshd-session", "sshd-auth"))

# sshd writes at most 1,024 bytes (MSGBUFSIZ), and four for each that it escapes. What is longer is not its own.
_LONGEST = 4096
# A message of so many bytes was cut off.
_CUT = 1023
_ESCAPED = re.compile(r"\\[0-7]{3}")

# Ranks of hints: the end of a connection says less than what happened in it.
PROBE, GAVE_UP, ATTEMPT = 0, 1, 2

_HOST = r"([0-9A-Za-z][\w.:%-]*|::[\w.:%-]*)"
_INVALID = r"(invalid user |illegal user )?"
_METHOD = re.compile(r"([\w@.-]+)(?:/[\w@.,-]+)? for " + _INVALID)
_KNOWN_FROM = re.compile(r"(\S+) from %s(?: port (\d+))?(?: ssh\d*)?(?:: .*)?\Z" % _HOST, re.DOTALL)
_UNKNOWN_FROM = re.compile(r"(.*) from %s(?: port (\d+))?(?: ssh\d*)?\Z" % _HOST, re.DOTALL)
_FROM_EXTRA = re.compile(r"(.*?) from %s port (\d+)(?: ssh\d*)?: " % _HOST, re.DOTALL)
_PAM = re.compile(
    r"PAM: (Have exhausted maximum number of retries for service|.{0,100}?) for %s(.*) from %s(?: via \S+)?\s*\Z"
    % (_INVALID, _HOST),
    re.DOTALL,
)
_AT_END = re.compile(r"(.*) from %s(?: port (\d+))?\Z" % _HOST, re.DOTALL)
_PEER = re.compile(r"%s(?: port (\d+))?(?=[:\s]|\Z)" % _HOST)
_PEER_NAMED = re.compile(r"(authenticating|invalid) user (.*) %s port (\d+)\Z" % _HOST, re.DOTALL)
_LEFT = re.compile(r"user (.*) %s port (\d+)\Z" % _HOST, re.DOTALL)
_LEFT_TELLING = re.compile(r"user (.*?) %s port (\d+): " % _HOST, re.DOTALL)
_PEER_NAMED_TELLING = re.compile(r"(.*?) %s port (\d+): " % _HOST, re.DOTALL)
_MAPPED = (
    re.compile(r"reverse mapping checking getaddrinfo for .* \[%s\] failed" % _HOST),
    re.compile(r"Address %s maps to " % _HOST),
    re.compile(r"Nasty PTR record .* is set up for %s, ignoring" % _HOST),
)
_PARENTHESES = re.compile(r"\(%s\)\Z" % _HOST)
_NOT_ALLOWED = re.compile(r"(\S.*?) (?:from %s )?not allowed because (.*)\Z" % _HOST, re.DOTALL)
_DENIED = re.compile(r"denied for user (.*) by PAM account configuration\Z", re.DOTALL)
_REMOTE = re.compile(r"Server;Ltype: \w+;Remote: %s-(\d+);" % _HOST)


def parse(message: str) -> Fact | None:
    """Return what a message of sshd says, None when it says nothing about a sign-in."""
    if len(message) > _LONGEST or (len(message) >= _CUT and _is_cut(message)):
        return None
    message = message.rstrip(" \r\n")
    preauth = message.endswith(" [preauth]")
    if preauth:
        message = message[: -len(" [preauth]")]
    for level in ("error: ", "fatal: "):
        if message.startswith(level):
            message = message[len(level) :]
    word, _blank, rest = message.partition(" ")
    reader = _READERS.get(word)
    fact = reader(rest, message) if reader else None
    return fact._replace(preauth=True) if fact and preauth else fact


def _is_cut(message: str) -> bool:
    """Return whether sshd cut a message off: its last address is then what the client called itself."""
    return len(_ESCAPED.sub("x", message).encode("utf-8", "surrogateescape")) >= _CUT


def _fact(kind: str, user: str = "", source: str | None = "", port: str | None = "", **more: t.Any) -> Fact:
    return Fact(kind, SERVICE, user, address(source or ""), port or "", **more)


def _failed(rest: str, _message: str) -> Fact | None:
    found = _METHOD.match(rest)
    if found is None:
        return None
    method, invalid = found.groups()
    who = _who(rest[found.end() :], invalid is not None)
    if who is None:
        return None
    if method == "none":
        # Every client asks what it may try before it tries anything.
        return _fact(model.HINT, *who, known="no" if invalid else "", origin="none", rank=GAVE_UP)
    kind = model.FAILED_KEY if method in ("publickey", "hostbased") and not invalid else model.FAILED
    return _fact(kind, *who, method=method, known="no" if invalid else "yes")


def _who(text: str, invalid: bool) -> tuple[str, str, str] | None:
    """Return account, source and port of ``USER from SOURCE port PORT ssh2: MORE``, None when it is nothing like it."""
    found = None if invalid else _KNOWN_FROM.match(text)
    if found is None:
        found = _FROM_EXTRA.match(text)
        if found is None or ":" in found.group(1):
            found = _UNKNOWN_FROM.match(text)
    return (found.group(1), found.group(2), found.group(3) or "") if found else None


def _accepted(rest: str, _message: str) -> Fact | None:
    found = _METHOD.match(rest)
    if found is None:
        return None
    who = _who(rest[found.end() :], invalid=False)
    return _fact(model.ACCEPTED, *who, method=found.group(1), known="yes") if who else None


def _invalid(rest: str, _message: str) -> Fact | None:
    found = _AT_END.match(rest[len("user ") :]) if rest.startswith("user ") else None
    if found is None:
        return None
    return _fact(
        model.HINT,
        found.group(1),
        found.group(2),
        found.group(3),
        known="no",
        reason="no such account",
        origin="invalid",
        rank=ATTEMPT,
    )


def _user(rest: str, _message: str) -> Fact | None:
    found = _NOT_ALLOWED.match(rest)
    if found is None:
        return None
    user, source, why = found.groups()
    return _fact(model.HINT, user, source, known="yes", reason=why, origin="not_allowed", rank=ATTEMPT)


def _root(rest: str, _message: str) -> Fact | None:
    if not rest.startswith("LOGIN REFUSED FROM "):
        return None
    found = _PEER.match(rest, len("LOGIN REFUSED FROM "))
    if found is None:
        return None
    return _fact(
        model.HINT,
        "root",
        found.group(1),
        found.group(2),
        known="yes",
        reason="root may not sign in",
        origin="root",
        rank=ATTEMPT,
    )


def _pam(_rest: str, message: str) -> Fact | None:
    if message.startswith("PAM: "):
        found = _PAM.match(message)
        if found is None:
            return None
        why, invalid, user, source = found.groups()
        return _fact(
            model.HINT,
            user,
            source,
            method="keyboard-interactive",
            known="no" if invalid or "not known" in why else "yes",
            reason=why,
            origin="pam_error",
            rank=ATTEMPT,
        )
    return None


def _access(rest: str, _message: str) -> Fact | None:
    matched = _DENIED.match(rest)
    if matched is None:
        return None
    why = "refused by the account rules of PAM"
    return _fact(model.HINT, matched.group(1), known="yes", reason=why, origin="account", rank=ATTEMPT)


def _maximum(rest: str, _message: str) -> Fact | None:
    prefix = "authentication attempts exceeded for "
    if not rest.startswith(prefix):
        return None
    invalid = rest.startswith(("invalid user ", "illegal user "), len(prefix))
    who = _who(rest[len(prefix) + (len("invalid user ") if invalid else 0) :], invalid)
    if who is None:
        return None
    return _fact(model.ENDED, *who, known="no" if invalid else "yes", reason="too many attempts", rank=GAVE_UP)


def _received(rest: str, _message: str) -> Fact | None:
    if not rest.startswith("disconnect from "):
        return None
    fact = _ended(rest[len("disconnect from ") :])
    if fact and fact.kind == model.ENDED and rest.endswith("Auth fail"):
        # The client says it only before it is signed in.
        return fact._replace(rank=GAVE_UP, reason="ended before it succeeded")
    return fact


def _connection(rest: str, message: str) -> Fact | None:
    for words in ("closed by ", "reset by "):
        if rest.startswith(words):
            return _ended(rest[len(words) :])
    peer = _peer(message, len("Connection from ")) if rest.startswith("from ") else None
    return _fact(model.ENDPOINT, source=peer[0], port=peer[1]) if peer else None


def _peer(text: str, place: int = 0) -> tuple[str, str] | None:
    """Return the source and the port that are there; None where a word is there that is no address and has no port."""
    matched = _PEER.match(text, place)
    if matched is None:
        return None
    source, port = matched.group(1), matched.group(2) or ""
    return (source, port) if port or model.is_address(address(source)) else None


def _disconnected(rest: str, _message: str) -> Fact | None:
    return _ended(rest[len("from ") :]) if rest.startswith("from ") else None


def _disconnecting(rest: str, message: str) -> Fact | None:
    if rest.startswith(("authenticating user ", "invalid user ")):
        return _ended_telling(rest)
    if rest.startswith("user "):
        return _left(rest)
    if not message.startswith("Disconnecting:"):
        return _ended(rest)
    # Before OpenSSH 7.5 what follows is the reason, and names nobody but in one case.
    if rest.startswith("Too many authentication failures"):
        user = rest[len("Too many authentication failures for ") :]
        return _fact(model.ENDED, user, reason="too many attempts", rank=GAVE_UP)
    if rest.startswith("Change of username"):
        return _fact(model.ENDED, reason="the account was changed while signing in", rank=GAVE_UP)
    return _fact(model.ENDED, reason="closed", rank=PROBE)


def _left(rest: str) -> Fact | None:
    """Read ``user USER SOURCE port PORT`` with or without a reason: somebody who was signed in has left."""
    matched = _LEFT.match(rest) or _LEFT_TELLING.match(rest)
    return _fact(model.PEER, matched.group(1), matched.group(2), matched.group(3), known="yes") if matched else None


def _mapped(_rest: str, message: str) -> Fact | None:
    """Read a warning about the name of an address, which is whatever its owner says."""
    for pattern in _MAPPED:
        matched = pattern.match(message)
        if matched:
            return _fact(model.PEER, source=matched.group(1))
    return None


def _ended_telling(rest: str) -> Fact:
    """Read ``KIND user USER SOURCE port PORT: WHY``, of which the client has a say in both USER and WHY."""
    kind, _user, named = rest.partition(" user ")
    place = _PEER_NAMED_TELLING.match(named)
    user, source, port = place.groups() if place and ":" not in place.group(1) else ("", "", "")
    known = "yes" if kind == "authenticating" else "no"
    why = "too many attempts" if rest.endswith("Too many authentication failures") else "disconnected"
    return _fact(model.ENDED, user, source, port, known=known, reason=why, rank=GAVE_UP)


def _ended(rest: str) -> Fact | None:
    matched = _PEER_NAMED.match(rest)
    if matched:
        kind, user, source, port = matched.groups()
        known = "yes" if kind == "authenticating" else "no"
        return _fact(model.ENDED, user, source, port, known=known, reason="ended before it succeeded", rank=GAVE_UP)
    if rest.startswith("user "):
        return _left(rest)
    peer = _peer(rest)
    return _fact(model.ENDED, source=peer[0], port=peer[1], reason="closed", rank=PROBE) if peer else None


def _probe(reason: str, at_end: bool = True) -> t.Callable[[str, str], Fact | None]:
    def read(_rest: str, message: str) -> Fact | None:
        if at_end:
            found = _AT_END.match(message)
            source, port = (found.group(2), found.group(3)) if found else ("", "")
        else:
            place = re.search(r"(?:from|with|for|connection from) (?=%s)" % _HOST, message)
            peer = _peer(message, place.end()) if place else None
            source, port = peer or ("", "")
        return _fact(model.HINT, source=source, port=port, reason=reason, origin="probe", rank=PROBE)

    return read


def _refused(_rest: str, message: str) -> Fact | None:
    found = _PARENTHESES.search(message)
    if not message.startswith("refused connect from ") or found is None:
        return None
    return _fact(model.ENDED, source=found.group(1), reason="refused by the access rules of the host", rank=GAVE_UP)


def _timeout(rest: str, message: str) -> Fact | None:
    if not rest.startswith("before authentication for "):
        return None
    place = message.index(" for ") + 5
    if message.startswith("connection from ", place):
        place += len("connection from ")
    peer = _peer(message, place)
    if peer is None:
        return None
    return _fact(model.HINT, source=peer[0], port=peer[1], reason="timed out", origin="probe", rank=PROBE)


def _dispatch(_rest: str, message: str) -> Fact | None:
    place = message.find("Connection from ")
    rest = message[place + len("Connection from ") :]
    if rest.startswith(("authenticating user ", "invalid user ")):
        return _ended_telling(rest)
    if rest.startswith("user "):
        return _left(rest)
    return _probe("no protocol that could be agreed on", at_end=False)(rest, message)


def _no(_rest: str, message: str) -> Fact | None:
    if not message.startswith("no matching "):
        return None
    return _fact(model.HINT, reason="no protocol that could be agreed on", origin="probe", rank=PROBE)


def _read(_rest: str, message: str) -> Fact | None:
    if not message.startswith("Read from socket failed"):
        return None
    return _fact(model.HINT, reason="closed", origin="probe", rank=PROBE)


def _unable(_rest: str, message: str) -> Fact | None:
    if message.startswith("Unable to negotiate a key exchange method"):
        return _fact(model.HINT, reason="no protocol that could be agreed on", origin="probe", rank=PROBE)
    return _probe("no protocol that could be agreed on", at_end=False)("", message)


def _remote(rest: str, _message: str) -> Fact | None:
    found = _REMOTE.match(rest)
    return _fact(model.ENDPOINT, source=found.group(1), port=found.group(2)) if found else None


_READERS: t.Mapping[str, t.Callable[[str, str], Fact | None]] = {
    "Accepted": _accepted,
    "Access": _access,
    "Address": _mapped,
    "Bad": _probe("no SSH client"),
    "Connection": _connection,
    "Did": _probe("no SSH client"),
    "Disconnected": _disconnected,
    "Disconnecting": _disconnecting,
    "Disconnecting:": _disconnecting,
    "Failed": _failed,
    "Illegal": _invalid,
    "Invalid": _invalid,
    "Nasty": _mapped,
    "PAM:": _pam,
    "ROOT": _root,
    "Read": _read,
    "Received": _received,
    "SSH:": _remote,
    "Timeout": _timeout,
    "Unable": _unable,
    "User": _user,
    "banner": _dispatch,
    "kex_exchange_identification:": lambda _rest, _message: _fact(
        model.HINT, reason="no SSH client", origin="probe", rank=PROBE
    ),
    "maximum": _maximum,
    "no": _no,
    "refused": _refused,
    "reverse": _mapped,
    "ssh_dispatch_run_fatal:": _dispatch,
}
