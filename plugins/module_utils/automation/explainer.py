# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explainers: they say who did what an audit event records, and prove it.

A capability asks them about events that it would report. It never drops an explained event, and never counts it
together with events that nothing explains.

An explainer believes only what the kernel, pid 1 or a verified database attests. A command line, a title, a name of a
program or file and the text of a user-space record are chosen by whoever is judged.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Explanation

# What the next run goes on from; JSON.
State = t.Any


class Act(t.Protocol):
    """An event, and who acted.

    kind: "message" for a record of user space, any other text for a system call. parent: the process that started the
    one that acted, None where it is unknown.
    """

    @property
    def event(self) -> Event: ...

    @property
    def kind(self) -> str: ...

    @property
    def parent(self) -> Process | None: ...


# What an explainer has to know of an event; those of automation explain every act.
ActT_contra = t.TypeVar("ActT_contra", contravariant=True, bound=Act)


class Explainer(t.Generic[ActT_contra]):
    """Base of explainers.

    name: of its state, unique. kind: one of ``EXPLANATIONS`` of ``sigma.model``. records: the types of records for
    which ``note`` is called, with each event that begins with such a record, in the order of the log.
    """

    name: t.ClassVar[str]
    kind: t.ClassVar[str]
    records: t.ClassVar[frozenset[bytes]] = frozenset()

    def explain(self, act: ActT_contra) -> Explanation | None:
        """Return what explains an act, None where nothing does."""
        raise NotImplementedError

    def note(self, event: Event) -> None:
        """Take in an event that begins with one of ``records``."""

    def notes(self) -> list[str]:
        """Return sentences for the coverage: why nothing could be explained."""
        return []

    def load(self, state: State) -> None:
        """Go on from what ``state`` returned in the last run. Raises ValueError, KeyError or TypeError for damage."""

    def state(self) -> State:
        """Return what the next run goes on from, as JSON; None for nothing."""
        return None


class Explainers(t.Generic[ActT_contra]):
    """The explainers of a run, asked by the kinds that may explain an act."""

    def __init__(
        self, explainers: t.Sequence[Explainer[ActT_contra]] = (), state: t.Mapping[str, State] | None = None
    ) -> None:
        """state: as ``state`` returned it."""
        self._all = tuple(explainers)
        self.problems: list[str] = []
        self._noting: dict[bytes, list[Explainer[ActT_contra]]] = {}
        for explainer in self._all:
            for record in explainer.records:
                self._noting.setdefault(record, []).append(explainer)
            try:
                if (state or {}).get(explainer.name) is not None:
                    explainer.load((state or {})[explainer.name])
            except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                self.problems.append("the state of %s was discarded: %s" % (explainer.name, error))

    @property
    def records(self) -> t.Collection[bytes]:
        """The types of records that an explainer has to know."""
        return self._noting.keys()

    def note(self, event: Event) -> None:
        for explainer in self._noting.get(event.first, ()):
            explainer.note(event)

    def explain(self, kinds: t.Container[str], act: ActT_contra) -> Explanation | None:
        """Return the first explanation of an act that is of one of these kinds."""
        for explainer in self._all:
            if explainer.kind in kinds:
                explanation = explainer.explain(act)
                if explanation is not None:
                    return explanation
        return None

    def notes(self) -> list[str]:
        return [note for explainer in self._all for note in explainer.notes()]

    def state(self) -> dict[str, State]:
        states = ((explainer.name, explainer.state()) for explainer in self._all)
        return {name: state for name, state in states if state is not None}
