# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of audit logs that are not as the audit daemon writes them: turned into those, or refused with the reason.

Nothing is guessed: a form in which what a program is called can't be told from the rest is refused, as whoever chooses
the name of a program would choose what is read.
"""

from __future__ import annotations

import functools
import re
import typing as t

# A line of the audit daemon's, and of which host it says it is.
_USUAL = re.compile(rb"(?:node=(\S{1,255}) )?(type=\S{1,64} msg=audit\(\d{1,10}\.\d{1,6}:\d{1,20}\).*)\Z", re.DOTALL)
# The numbers that the kernel writes to its own log where no daemon takes its records (linux/audit.h).
_NUMBERED = re.compile(rb"(?:node=(\S{1,255}) )?type=(\d{3,5}) (?:msg=)?(audit\(.*)\Z", re.DOTALL)
# Other programs write the fraction of a second with more digits than the kernel, or none.
_TIME = re.compile(
    rb"(?:node=(\S{1,255}) )?(type=\S{1,64} msg=audit\()(\d{1,10})(?:\.(\d{1,9}))?(:\d{1,20}\) ?:?)(.*)\Z", re.DOTALL
)
_ANY_RECORD = re.compile(rb"(?:node=\S{1,255} )?type=\S{1,64} (?:msg=)?audit\(")
_BEGUN = re.compile(rb"(?:node=\S{1,255} )?type=\S{0,64}(?: [^ ]{0,48})?\Z")
_INTERPRETED_TIME = re.compile(rb"(?:node=\S{1,255} )?type=\S{1,64} msg=audit\(\d{1,4}[-./]\d{1,2}[-./]\d{1,4} ")
# RFC 3164, RFC 5424 and ISO 8601 headers, the host, who wrote it, and what.
_SYSLOG = re.compile(
    rb"(?:<\d{1,3}>(?:1 )?)?"
    rb"(?:[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S{0,16}) "
    rb"(\S{1,255}) (?:\w{1,16}\.\w{1,16} )?([^\s:\[(]{1,64})(?:\[\d{1,10}\]|\([^)]{1,64}\))?(?::| \S{1,32} \S{1,32} -)"
    rb" ?(?:\[ *\d+\.\d+\] ?)?(?:audit: )?(.*)\Z",
    re.DOTALL,
)
_WRITERS = frozenset((b"audispd", b"audisp-syslog", b"audit", b"auditd", b"kernel"))
_JOURNAL = re.compile(rb"(?:[^\"'{}]{0,300}\b)?audit\[\d{1,10}\]: |_?_?[A-Z][A-Z_]{2,64}=")
_LAUREL = re.compile(rb"\{[^\n]{0,4096}\"(?:SYSCALL|EXECVE|PROCTITLE|audit)\"")
# What ausearch writes around the records of an event.
_AROUND = re.compile(rb"-{4}\Z|time->[\w :+-]{1,64}\Z|<no matches>\Z")
_ID = re.compile(rb" ([a-z]*uid)=(\d{1,10})")
# Accounts of the system have the same numbers on most hosts (login.defs: UID_MIN).
_FIRST_PERSON = 1_000
_NOBODY = frozenset((b"4294967295", b"65534"))
_SEPARATOR = b"#035"
_ENRICHED = re.compile(rb"(?:[A-Z][A-Z0-9_-]{0,32}=(?:\"[^\"]*\"|\{[^}]*\}|[^\s\"]+) ?)+\Z")
_BOM = b"\xef\xbb\xbf"

NO_RECORD = "no audit records"
CUT = "audit records that are cut off"
INTERPRETED = (
    "in the form of 'ausearch -i', in which names cannot be distinguished from the text around them: write the log with"
    " 'ausearch --raw'"
)
JSON = "JSON: read the log that auditd writes, or turn what laurel wrote back with laurel2audit"
JOURNAL = "as the journal shows audit records, without time and number: read the log that auditd writes"
TIMESTAMP = "audit records with an unknown timestamp"
NOT_THE_DAEMON = "audit records that neither the audit daemon nor the kernel wrote to syslog"
TOO_LONG = "records of events that are longer than the kernel writes them"
HOSTS = "records of more hosts than can be distinguished"

# In the order of their numbers; a number says where a gap ends.
_NAMES = """
    1005 USER LOGIN 1100 USER_AUTH USER_ACCT USER_MGMT CRED_ACQ CRED_DISP USER_START USER_END USER_AVC USER_CHAUTHTOK
    USER_ERR CRED_REFR USYS_CONFIG USER_LOGIN USER_LOGOUT ADD_USER DEL_USER ADD_GROUP DEL_GROUP 1123 USER_CMD USER_TTY
    CHUSER_ID GRP_AUTH SYSTEM_BOOT SYSTEM_SHUTDOWN SYSTEM_RUNLEVEL SERVICE_START SERVICE_STOP 1300 SYSCALL 1302 PATH
    IPC SOCKETCALL CONFIG_CHANGE SOCKADDR CWD 1309 EXECVE 1311 IPC_SET_PERM MQ_OPEN MQ_SENDRECV MQ_NOTIFY MQ_GETSETATTR
    KERNEL_OTHER FD_PAIR OBJ_PID TTY EOE BPRM_FCAPS CAPSET MMAP NETFILTER_PKT NETFILTER_CFG SECCOMP PROCTITLE
    FEATURE_CHANGE REPLACE KERN_MODULE FANOTIFY TIME_INJOFFSET TIME_ADJNTPVAL BPF EVENT_LISTENER URINGOP OPENAT2 1400
    AVC SELINUX_ERR AVC_PATH MAC_POLICY_LOAD MAC_STATUS MAC_CONFIG_CHANGE 1700 ANOM_PROMISCUOUS ANOM_ABEND ANOM_LINK
    ANOM_CREAT 1800 INTEGRITY_DATA INTEGRITY_METADATA INTEGRITY_STATUS INTEGRITY_HASH INTEGRITY_PCR INTEGRITY_RULE
    INTEGRITY_EVM_XATTR INTEGRITY_POLICY_RULE
"""


class RefusedError(Exception):
    """A line is in a form that is not read; the text says in which one, as in "its lines are ..."."""


class Line(t.NamedTuple):
    """A record as the audit daemon writes it. node: the host that it is of, empty for the log's own."""

    node: bytes
    record: bytes
    by_syslog: bool = False


def read(raw: bytes) -> Line | None:
    """Return the record in a line, None for a line that is none and says nothing. Raises RefusedError."""
    usual = _USUAL.match(raw)
    if usual is not None:
        return Line(usual.group(1) or b"", usual.group(2))
    line = raw.strip(b" \t\r")
    if line.startswith(_BOM):
        line = line[len(_BOM) :]
    if not line or _AROUND.match(line):
        return None
    plain = _plain(line)
    if plain is not None:
        return plain
    syslog = _SYSLOG.match(line)
    if syslog is not None:
        host, writer, rest = syslog.groups()
        record = _plain(rest)
        if record is not None:
            if writer not in _WRITERS:
                raise RefusedError(NOT_THE_DAEMON)
            return Line(record.node or host, _unescaped(record.record), True)
        if writer == b"audit":
            raise RefusedError(JOURNAL)
        # Other programs write to the same log.
        if b"audit(" not in rest and not _LAUREL.match(rest):
            return None
        line = rest
    raise RefusedError(_reason(line))


def _unescaped(record: bytes) -> bytes:
    """Return a record with the separator of its enriched fields, which rsyslog writes as an octal number."""
    place = record.rfind(_SEPARATOR)
    # Whoever is recorded may have it in a name, which is in quotes.
    if place < 0 or record.count(b'"', 0, place) % 2 or not _ENRICHED.match(record, place + len(_SEPARATOR)):
        return record
    return record[:place] + b"\x1d" + record[place + len(_SEPARATOR) :]


def with_numbers(records: bytes) -> bytes:
    """Return records of another host, in which people's accounts have their numbers for names where they have none.

    The host that reads the log may have other people with these numbers.
    """
    return b"\n".join(map(_with_numbers, records.split(b"\n")))


def _with_numbers(record: bytes) -> bytes:
    if b"uid=" not in record or b"\x1d" in record:
        return record
    found = _ID.findall(record.partition(b" msg='")[0])
    people = [(name, number) for name, number in found if number not in _NOBODY and int(number) >= _FIRST_PERSON]
    return record + (b"\x1d" if people else b"") + b" ".join(b'%s="%s"' % (name.upper(), id_) for name, id_ in people)


def _plain(line: bytes) -> Line | None:
    """Return the record of a line that nothing is in front of."""
    numbered = _NUMBERED.match(line)
    if numbered is not None:
        node, number, rest = numbered.groups()
        name = _types().get(int(number), "UNKNOWN[%d]" % int(number))
        line = (b"node=%s " % node if node else b"") + b"type=%s msg=%s" % (name.encode("ascii"), rest)
    usual = _USUAL.match(line)
    if usual is not None:
        return Line(usual.group(1) or b"", usual.group(2))
    timed = _TIME.match(line)
    if timed is None:
        return None
    node, begin, seconds, fraction, serial, rest = timed.groups()
    stamp = b"%s.%s%s" % (seconds, (fraction or b"")[:3].ljust(3, b"0"), serial.replace(b" ", b""))
    return Line(node or b"", begin + stamp + rest)


@functools.lru_cache(maxsize=1)
def _types() -> t.Mapping[int, str]:
    """Return the names of records by their numbers."""
    types = {}
    number = 0
    for word in _NAMES.split():
        if word.isdigit():
            number = int(word)
        else:
            types[number] = word
            number += 1
    return types


def _reason(line: bytes) -> str:
    if line[:1] in (b"{", b"["):
        return JSON
    if _INTERPRETED_TIME.match(line):
        return INTERPRETED
    if _BEGUN.match(line):
        return CUT
    if _ANY_RECORD.match(line):
        return TIMESTAMP
    if _JOURNAL.match(line):
        return JOURNAL
    return NO_RECORD
