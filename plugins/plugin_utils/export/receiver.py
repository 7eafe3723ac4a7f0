# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of every receiver to the exporter, for all protocols and formats."""

from __future__ import annotations

import dataclasses
import types
import typing as t


class ExportError(Exception):
    """A destination's settings are wrong, or its library is missing; the message is one sentence for people."""


class UnusableError(ExportError):
    """A destination cannot be used at present, though its settings are right: the controller lacks something for it.

    A scan goes on without it, and what it would get waits.
    """


class UnfitError(Exception):
    """An event cannot be brought into the receiver's format or below its limit, whatever is left out."""


class UnavailableError(Exception):
    """The receiver took nothing of a batch, or nobody knows whether it did: the same batch is due again.

    retry_after: seconds that the receiver asked for, None where it did not. The message is for people and has no
    secret.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Prepared(t.NamedTuple):
    """An event in the receiver's format.

    uid: ``metadata.uid`` of the event. key: the finding, or the host of a coverage event: receivers that order by a key
    take it. body: what is sent. removed_evidences: how many evidences had to go. shortened_values: how many values were
    cut. about: whatever else the receiver needs, such as a topic.
    """

    uid: str
    key: str
    body: bytes
    removed_evidences: int = 0
    shortened_values: int = 0
    about: t.Mapping[str, str] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Receipt:
    """The receiver's result for one event of a batch.

    outcome: ``accepted`` (as good as the protocol's promise), ``refused`` (it will never take this one), ``again`` (it
    took others, not this one, and may later). reason: the receiver's, for people, without secrets and bounded.
    """

    outcome: t.Literal["accepted", "refused", "again"]
    reason: str | None = None


class Receiver(t.Protocol):
    """One open receiver. An exporter uses it from one thread and closes it."""

    # At most so many events, and bytes of their bodies, in a batch.
    batch_events: int
    batch_bytes: int

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event in the receiver's format, cut to its limits; raise UnfitError. Does no I/O."""

    def send(self, batch: t.Sequence[Prepared]) -> t.Sequence[Receipt]:
        """Send a batch and return a receipt for each, in the same order; raise UnavailableError.

        Returns only after the receiver confirmed what it confirms. May be called again with the same batch.
        """

    def close(self) -> None:
        """Let go of connections, files and threads."""
