# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the reader of sign-ins tell each other."""

from __future__ import annotations

import functools
import ipaddress
import typing as t

SUCCESS = "success"
FAILURE = "failure"
# A connection that ended before anything was tried that could have succeeded: a scan, or a client that gave up.
ABORTED = "aborted"

# What a line is about. A hint says that something failed, or will be said better by a line that may follow.
FAILED = "failed"
FAILED_KEY = "failed_key"
ACCEPTED = "accepted"
SESSION = "session"
HINT = "hint"
MORE = "more"
UNKNOWN_USER = "unknown_user"
ENDPOINT = "endpoint"
ENDED = "ended"
# Who is at the other end, of a connection that this neither begins nor ends.
PEER = "peer"

# A repetition that is told in one line counts as often as it says, but not without end: anybody may write to a log.
MOST_REPEATED = 100_000


class Line(t.NamedTuple):
    """One message of a system log. time: seconds since the epoch, None where the line has none that can be read."""

    time: float | None
    program: str
    pid: int
    message: str
    repeated: int = 1


class Fact(t.NamedTuple):
    """What one message says about a sign-in. Empty where it doesn't say; ``times``: how many attempts.

    origin: which part of a program said it; two hints of one origin are two attempts. rank: of hints, the lower one
    is forgotten when anything better is known. known: yes or no, whether the account exists.
    """

    kind: str
    service: str
    user: str = ""
    source: str = ""
    port: str = ""
    method: str = ""
    reason: str = ""
    known: str = ""
    target: str = ""
    terminal: str = ""
    origin: str = ""
    rank: int = 0
    times: int = 1
    preauth: bool = False


class SignIn(t.NamedTuple):
    """One attempt to sign in, or several of the same kind that a log counts in one line.

    user: who signs in; target: as whom, where that is another account (su, sudo). source: an address, or the name that
    the log has in its place. family: the kind of log that told it (see ``merge``).
    """

    time: float
    outcome: str
    service: str
    user: str = ""
    source: str = ""
    port: str = ""
    method: str = ""
    reason: str = ""
    known: str = ""
    target: str = ""
    terminal: str = ""
    times: int = 1
    family: str = "log"


@functools.lru_cache(maxsize=4096)
def address(text: str) -> str:
    """Return an address in its usual notation, an IPv4 one without the prefix that maps it to IPv6; else the text.

    A colon that only separates the address from what follows it in a message is left out.
    """
    for candidate in (text, text.rstrip(":")):
        try:
            found = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        mapped = getattr(found, "ipv4_mapped", None)
        return str(mapped or found)
    return text.rstrip(":")


@functools.lru_cache(maxsize=4096)
def is_address(text: str) -> bool:
    """Say whether a source is an address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
