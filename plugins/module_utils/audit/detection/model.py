# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules say of an event: the hits, and the views of the event that they match."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Explanation


class Hit(t.NamedTuple):
    """A rule that an event matches. place: of the view among the event's."""

    rule: int
    place: int
    subject: str
    message: str | None


Verdict = t.Tuple[Hit, ...]


class About(t.NamedTuple):
    """What the views of an event are made of. kind: execution, call or message.

    process, parent: of an event of a system call, as they were then; of an execution the process is not needed.
    known: fields of an execution that were made already. node: the host that it was on, empty for the log's own.
    """

    event: Event
    kind: str
    process: Process | None
    parent: Process | None
    known: t.Mapping[str, t.Any]
    node: str = ""


class Views:
    """The views of an event in which something matches, by the places that hits name; made when one is asked for."""

    __slots__ = ("_made", "_make", "about")

    def __init__(self, about: About, make: t.Callable[[], t.Sequence[LazyView]]) -> None:
        self.about = about
        self._make: t.Callable[[], t.Sequence[LazyView]] | None = make
        self._made: t.Sequence[LazyView] = ()

    def __getitem__(self, place: int) -> LazyView:
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made[place]

    def shown(self, place: int) -> LazyView:
        """Return the view that says most of the event to people: what it means, not its records."""
        view = self[place]
        return self._made[0] if view.source == "auditd" and self._made[0].source else view


Explained = t.Tuple[t.Optional[Explanation], ...]


class Looked(t.NamedTuple):
    """What the rules say of an event. explained: what explains each hit, () where nothing does."""

    hits: Verdict
    views: Views | None
    explained: Explained = ()

    def each(self) -> t.Iterator[tuple[Hit, Explanation | None]]:
        """Return each hit with what explains it."""
        return zip(self.hits, self.explained or itertools.repeat(None))

    def on(self, node: str) -> Looked:
        """Return the same of an event on another host than the log's own."""
        if self.views is not None:
            self.views.about = self.views.about._replace(node=node)
        return self._replace(hits=tuple(hit._replace(subject=subject_on(hit.subject, node)) for hit in self.hits))


def subject_on(subject: str, node: str) -> str:
    """Return what a finding is about, with the host that it is on where that is not the log's own."""
    return "%s (node %s)" % (subject, node) if node else subject


NOTHING = Looked((), None)
