# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of automation: its account signed in by sshd, from an address of the controller, and has not signed off.

What is believed, and why it can't be chosen by whoever is judged:

- The kernel gives each sign-in a session number, which all processes below it keep, also through sudo and su
  (audit_set_loginuid in kernel/audit.c). It writes the numbers of account and session into each event.
- The kernel records who sets the account (LOGIN), with the process that does it and its parent. It must have had no
  account before, and its parent has to be the host's own sshd (``listeners``). Root can set an account for itself, and
  what it runs can have any name, but it is no child of that daemon.
- The address is in the text of a record of user space (USER_START), which any process of root can send. The kernel
  writes the sender's process and session before that text. Only the first such record of the very process that got the
  session counts, which is sshd's own, and comes before the session can do anything.
- Session numbers begin anew with each boot. A number that is given again, and the record of a boot, forget what was.
- A session ends when sshd says so, and in any case after a day. A daemon that was started in it keeps its number, but
  is not explained any longer.

Who has root and takes over the daemon itself, or the account's key and the controller's address, is taken for it. What
it takes to get there is explained by nothing.
"""

from __future__ import annotations

import collections
import ipaddress
import os
import pwd
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act, Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.automation.listeners import SSHD, Listeners
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import AUTOMATION, Explanation

_UNSET = decode.UNSET_ID.encode()
_LONGEST_SESSION = 86_400
_MOST_SESSIONS = 1_000
_MOST_EARLY = 100
_NO_DAEMON = (
    "No new session of automation explains anything: no daemon of this host's own sshd that init started can be seen."
)
_NO_ACCOUNT = (
    "No session of automation explains anything: automation_addresses needs automation_users, which names no account."
)
_NO_ADDRESS = (
    "No session of automation explains anything: this scan did not sign in with one of automation_users over SSH, and"
    " automation_addresses names no address."
)
# Records of two sign-ins at once may be in another order than their numbers.
_DISORDER = 5.0

_LINE = rb"(?:node=(\S{1,255}) )?type=%s msg=audit\(\d+\.\d+:\d+\):? +"
# audit_log_set_loginuid() in kernel/audit.c.
_LOGIN = re.compile(
    _LINE % rb"LOGIN" + rb"pid=(\d+) uid=0(?: subj=\S+(?: \(\w+\))?)? old-auid=(\d+) auid=(\d+)(?: tty=\S+)?"
    rb" old-ses=(\d+) ses=(\d+) res=1(?=[\x1d\n]|[A-Z])"
)
# audit_log_common_recv_msg() in kernel/audit.c: of each record of user space who sent it.
_SENDER = re.compile(_LINE % rb"\S{1,64}" + rb"(?:user )?pid=(\d+) uid=(\d+) auid=(\d+) ses=(\d+) ")
# The text of PAM's record, as libaudit writes it (audit_log_acct_message).
_TEXT = re.compile(
    rb"(?:subj=\S+ (?:\(\w+\) )?)?msg='op=PAM:session_open (?:grantors=\S+ )?acct=\"([^\"']+)\" exe=\"[^\"']+\""
    rb" hostname=(\S+) addr=(\S+) terminal=\S+ res=success'"
)
_ENDS = re.compile(rb"(?:subj=\S+ (?:\(\w+\) )?)?msg='op=PAM:session_close ")

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class _Session(t.NamedTuple):
    """A session that sshd opened. Of one whose sign-in is not recorded yet, address is "".

    pid: of the process that opened it. begun, ended: in seconds since the epoch; ended is None while it is open.
    """

    account: str
    number: str
    auid: str
    pid: str
    begun: float
    serial: int
    address: str = ""
    ended: float | None = None


class Sessions(Explainer[Act]):
    """Explains what happens in sessions of automation."""

    name, kind = "sessions", AUTOMATION
    records = frozenset((b"LOGIN", b"USER_START", b"USER_END", b"SYSTEM_BOOT"))

    def __init__(self, accounts: t.Collection[str], networks: t.Sequence[Network], listeners: Listeners) -> None:
        """accounts: which automation signs in with. networks: where it comes from."""
        self._listeners = listeners
        self._accounts = frozenset(accounts)
        self._networks = tuple(networks)
        # Records of sessions that are not known, by number.
        self._early: collections.OrderedDict[bytes, tuple[Event, t.Match[bytes]]] = collections.OrderedDict()
        self._unsure_until = 0.0
        # By number, the newest at the end.
        self._known: collections.OrderedDict[bytes, _Session] = collections.OrderedDict()

    def note(self, event: Event) -> None:
        if event.first == b"LOGIN":
            self._login(event)
        elif event.first == b"SYSTEM_BOOT":
            self._known.clear()
        else:
            sender = _SENDER.match(event.raw)
            if sender is None or not _is_own(sender.group(1)):
                return
            self._message(event, sender)

    def explain(self, act: Act) -> Explanation | None:
        who = who_acted(act)
        if who is None:
            return None
        parent, auid, number = who
        session = self._known.get(number)
        # Whose parent is init is below no sign-in any more.
        if session is None or not session.address or decode.text(auid) != session.auid or parent == b"1":
            return None
        event = act.event
        if event.serial <= session.serial or not session.begun <= event.time <= session.begun + _LONGEST_SESSION:
            return None
        if session.ended is not None and event.time > session.ended:
            return None
        begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(session.begun))
        return Explanation(
            self.kind,
            "Session %s of %s, signed in from %s at %s"
            % (session.number, printable(session.account), session.address, begun),
        )

    def notes(self) -> list[str]:
        if not self._accounts:
            return [_NO_ACCOUNT]
        notes = [] if self._networks else [_NO_ADDRESS]
        return notes if self._listeners.is_running else [*notes, _NO_DAEMON]

    def load(self, state: t.Any) -> None:
        self._listeners.load(state["listeners"])
        for fields in state["sessions"]:
            session = self._bounded(_Session(*fields))
            self._known[b"%d" % int(session.number)] = session

    def state(self) -> t.Any:
        sessions = [list(session) for session in self._known.values()]
        return {"listeners": self._listeners.state(time.time()), "sessions": sessions}

    def _bounded(self, session: _Session) -> _Session:
        """Return a session that ends with the boot it is of."""
        booted = self._listeners.booted
        if session.begun >= booted or (session.ended is not None and session.ended <= booted):
            return session
        return session._replace(ended=booted)

    def _message(self, event: Event, sender: t.Match[bytes]) -> None:
        """Take in what a process says of its session."""
        number = sender.group(5)
        session = self._known.get(number)
        who = tuple(map(decode.text, sender.group(2, 3, 4)))
        if session is None or who != (session.pid, "0", session.auid):
            # An event of several records may be complete only after one of a single record that follows it.
            if event.first == b"USER_START" and number != _UNSET:
                self._early.setdefault(number, (event, sender))
                if len(self._early) > _MOST_EARLY:
                    # Whoever sends many would decide which record of another session is the first.
                    self._early.popitem(last=False)
                    self._unsure_until = event.time + _DISORDER
        elif event.first == b"USER_START":
            self._opened(number, session, event.raw[sender.end() :])
        elif _ENDS.match(event.raw, sender.end()):
            self._known[number] = session._replace(ended=event.time)

    def _login(self, event: Event) -> None:
        """Take in that a process got an account and a session."""
        found = _LOGIN.match(event.raw)
        if found is None:
            return
        node, pid, old_auid, auid, old_number, number = found.groups()
        if not _is_own(node):
            return
        self._forget(number, event)
        if (old_auid, old_number) != (_UNSET, _UNSET) or auid == _UNSET:
            return
        call = activity.SYSCALL.search(event.raw, found.end())
        if call is None or not _is_line(event.raw, call.start()):
            return
        parts = call.groups()
        if (parts[activity.PID], parts[activity.AUID], parts[activity.SES]) != (pid, auid, number):
            return
        if activity.known_text(parts[activity.EXE] or b"") not in SSHD:
            return
        if event.time <= self._unsure_until or not self._listeners.has(int(parts[activity.PPID] or b"0"), event.time):
            return
        session = _Session("", decode.text(number), decode.text(auid), decode.text(pid), event.time, event.serial)
        self._known[number] = self._bounded(session)
        if len(self._known) > _MOST_SESSIONS:
            self._known.popitem(last=False)
        early, sender = self._early.pop(number, (event, None))
        if sender is not None and early.serial > event.serial and early.time - event.time < _DISORDER:
            self._message(early, sender)

    def _forget(self, number: bytes, event: Event) -> None:
        """Forget the sessions that are of an earlier boot, when a number that is not above theirs is given."""
        for known, session in list(self._known.items()):
            if known == number or (int(known) > int(number) and event.time - session.begun > _DISORDER):
                del self._known[known]

    def _opened(self, number: bytes, session: _Session, text: bytes) -> None:
        """Take in who signed in from where: the first record of the process that got the session."""
        if session.account:
            return
        found = _TEXT.match(text)
        account = decode.text(found.group(1)) if found is not None else ""
        address = _address(found) if found is not None else None
        is_account = account in self._accounts and _is_of(account, session.auid)
        if is_account and address is not None and any(address in network for network in self._networks):
            self._known[number] = session._replace(account=account, address=str(address))
        else:
            del self._known[number]


def _address(found: t.Match[bytes]) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return where somebody signed in from; None where that is only a name, which whoever signs in may have chosen."""
    hostname, address = found.group(2, 3)
    try:
        parsed = ipaddress.ip_address(decode.text(address))
    except ValueError:
        return None
    return (getattr(parsed, "ipv4_mapped", None) or parsed) if hostname == address else None


def _is_of(account: str, auid: str) -> bool:
    """Return whether a number is that of an account, as far as this host knows it: a log may be of another."""
    try:
        return str(pwd.getpwnam(account).pw_uid) == auid
    except KeyError:
        return True


def _is_line(raw: bytes, start: int) -> bool:
    """Return whether a record begins there, and is no text in another."""
    return not start or raw[start - 1 : start] == b"\n" or raw[raw.rfind(b"\n", 0, start) + 1 : start][:5] == b"node="


def _is_own(node: bytes | None) -> bool:
    """Return whether a line is of this host: it names none, or this one."""
    return node is None or decode.text(node) in (os.uname().nodename, os.uname().nodename.partition(".")[0])


def sender_of(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return account and session of who sent a record of user space on this host, as the kernel wrote them."""
    sender = _SENDER.match(raw)
    return (sender.group(4), sender.group(5)) if sender is not None and _is_own(sender.group(1)) else None


def opened_by(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return account and number of the session that an event opens: the kernel's record of who signed in."""
    login = _LOGIN.match(raw)
    return (login.group(4), login.group(6)) if login is not None and _is_own(login.group(1)) else None


def who_acted(act: Act) -> tuple[bytes, bytes, bytes] | None:
    """Return parent, account and session of an event of this host as the kernel wrote them; None where it did not."""
    raw = act.event.raw
    if act.kind == "message":
        sender = _SENDER.match(raw)
        own = sender is not None and _is_own(sender.group(1))
        return (b"", sender.group(4), sender.group(5)) if sender is not None and own else None
    call = call_of(act)
    if call is None or call[activity.SES] is None:
        return None
    return call[activity.PPID] or b"", call[activity.AUID] or b"", call[activity.SES] or b""


def call_of(act: Act) -> t.Sequence[bytes | None] | None:
    """Return the parts of the system call of an event of this host; None for another event."""
    if act.kind == "message":
        return None
    raw = act.event.raw
    call = activity.SYSCALL.search(raw)
    if call is None or not _is_line(raw, call.start()):
        return None
    node = raw[raw.rfind(b"\n", 0, call.start()) + 1 : call.start()]
    return None if node and not _is_own(node[len(b"node=") :].strip()) else call.groups()
