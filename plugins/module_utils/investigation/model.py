# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Define the result of an investigation: connected nodes, the reasons, and a timeline.

Sources (``processes``, ``connections``, ``files``, ``persistence``, ``accounts``, ``packages``, ``logs``) read the
host into ``Facts``; ``widen`` walks from the subject along the links of these facts and keeps what is connected. Every
text is ``printable``. Secrets are never in it: of an environment the names, of a key its fingerprint.
"""

from __future__ import annotations

import typing as t

# The kinds of nodes. The id starts with the kind: ``process:1234@567890`` (id and start in clock ticks after the boot,
# so that an id that is used again is another process), ``file:/dev/shm/x``, ``address:203.0.113.9``,
# ``listener:tcp/0.0.0.0:80``, ``account:33``, ``session:17`` (of audit(7) or logind), ``startup:/etc/cron.d/x``
# (anything that starts programs by itself), ``package:nginx``, ``container:ID``, ``finding:UID``.
KINDS = (
    "process",
    "file",
    "address",
    "listener",
    "account",
    "session",
    "startup",
    "package",
    "container",
    "finding",
)

# In front of the log that has a command of sudo, in ``Link.by``.
BY_SUDO = "sudo, "

# How two nodes are connected; the source is the one that acts or holds.
RELATIONS = (
    "started",  # process, startup or session -> process
    "executes",  # process -> file: its program
    "loaded",  # process -> file: a library or module
    "opened",  # process -> file
    "wrote",  # process or session -> file: made, changed, renamed, removed
    "connected",  # process -> address, address -> process for those that came in
    "listens",  # process -> listener
    "runs_as",  # process, session or startup -> account
    "signed_in",  # address or account -> session
    "belongs_to",  # process -> session or container, file -> package or account
    "starts",  # startup -> file: the program that it names; startup -> startup: a timer and its unit
    "mentions",  # file, startup -> file, address; session -> startup: the key file that let it in
    "near",  # file, startup, address -> file, process, session: close in time and in a place where little happens
    "defined_by",  # startup -> file: the file that holds it; both have the same path
    "requested",  # address -> file: through a web server, as its access log has it
    "about",  # finding -> any
)


class Node(t.NamedTuple):
    """Something that an investigation names.

    label: short, for people. facts: what is known of it, as plain values, by the names in the module's documentation.
    first, last: seconds since the epoch, None if unknown. gone: it is known from logs only.
    """

    id: str
    label: str
    facts: t.Mapping[str, t.Any] = {}
    first: float | None = None
    last: float | None = None
    gone: bool = False

    @property
    def kind(self) -> str:
        """The part of the id before its first colon."""
        return self.id.partition(":")[0]


class Link(t.NamedTuple):
    """A connection of two nodes. by: its source, such as ``audit``, ``proc``, ``journal``. time: of it."""

    source: str
    target: str
    relation: str
    by: str
    time: float | None = None


class Event(t.NamedTuple):
    """A line of the timeline. nodes: ids of those that it is about; it belongs to the result if one of them does."""

    time: float
    by: str
    text: str
    nodes: t.Sequence[str] = ()


class Facts(t.NamedTuple):
    """The result of a source. A node that several sources know has one entry of each; ``widen`` merges their facts."""

    nodes: t.Sequence[Node] = ()
    links: t.Sequence[Link] = ()
    events: t.Sequence[Event] = ()


class Reason(t.NamedTuple):
    """The reason for a node in the result. step: number of links from the subject. via: the link's other node."""

    node: str
    step: int
    via: str | None
    relation: str | None
    text: str


class Cut(t.NamedTuple):
    """A number of things that a limit left out.

    limit: ``depth``, ``nodes``, ``events``, ``seconds``, ``memory``, ``size`` or ``hub``. left_out: how many, None if
    unknown.
    """

    limit: str
    text: str
    left_out: int | None = None


class Investigation(t.NamedTuple):
    """The result. nodes in the order of their reasons; events in the order of their times (UTC seconds)."""

    subject: str
    nodes: t.Sequence[Node]
    links: t.Sequence[Link]
    reasons: t.Sequence[Reason]
    events: t.Sequence[Event]
    cuts: t.Sequence[Cut]
