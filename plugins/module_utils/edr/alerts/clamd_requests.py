# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record which files this collection had clamd scan, for all controllers of the host.

clamd notes each question in its log as well, with the name of the file or, if it does not find that out, without. Those
lines are no alerts. Each request is noted before it is sent, so that a killed run leaves no such line unknown.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError

_ASKS_FILE = "clamd-asks"
_LOCK, _LOCK_SECONDS = "lock", 30.0
# So long is it remembered, and so many.
_ASKS_SECONDS, _MOST_ASKS = 30 * 86_400, 5_000
_ASKS_BYTES = 1 << 20
# Longer than a run asks.
_PLANNED_SECONDS = 300.0

# clamd's log has whole seconds.
_SLACK = 2.0
# Stands for any name in what is planned.
_ANY = ""

# Begin, end, signature, and the name of the file as ``printable`` shows it.
Ask = t.Tuple[float, float, str, str]


def planned(signatures: t.Iterable[str]) -> list[Ask]:
    """Return what a run that begins now may ask."""
    now = time.time()
    return [(now, now + _PLANNED_SECONDS, signature, _ANY) for signature in sorted(set(signatures))]


class Asked:
    """Earlier requests to clamd. Each explains one line of its log; any further line is from somebody else."""

    def __init__(self, asks: t.Sequence[Ask], taken: t.Sequence[t.Any] = ()) -> None:
        """asks: of all controllers. taken: those whose lines were read in earlier runs, as the property has them."""
        before = {tuple(each) for each in taken}
        self._taken = [ask for ask in asks if ask in before]
        self._asks = [ask for ask in asks if ask not in before]

    @property
    def taken(self) -> list[Ask]:
        """The questions whose lines were read."""
        return list(self._taken)

    def names(self, when: float | None, signature: str) -> list[str]:
        """Return the names of files that were asked about at a time and had a signature. when: None for any time."""
        return [ask[3] for ask in self._asks if _fits(ask, when, signature)]

    def take(self, when: float | None, signature: str, name: str | None) -> bool:
        """Say whether a line of the log is of a question. name: as ``printable`` shows it, None for no name."""
        for position, ask in enumerate(self._asks):
            if _fits(ask, when, signature) and (name is None or name == ask[3]):
                if ask[3] != _ANY:
                    self._taken.append(self._asks.pop(position))
                return True
        return False


def _fits(ask: Ask, when: float | None, signature: str) -> bool:
    began, ended, ask_signature, _name = ask
    return ask_signature == signature and (when is None or began - _SLACK <= when <= ended + _SLACK)


def read(root: str, directory: str) -> list[Ask]:
    """Return what all controllers asked clamd on this host, as far as it is remembered. Raises StateError."""
    state = StateDirectory.open(root, directory, create=False)
    if state is None:
        return []
    try:
        descriptor = state.open_file(_ASKS_FILE)
    finally:
        state.close()
    if descriptor is None:
        return []
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(_ASKS_BYTES)
    try:
        return [(float(began), float(ended), str(each), str(name)) for began, ended, each, name in json.loads(content)]
    except (ValueError, TypeError):
        # It only says which lines of the log are ours; without it they are findings without a name.
        return []


def write(root: str, directory: str, asks: t.Sequence[Ask], instead_of: t.Collection[Ask] = ()) -> None:
    """Remember what was asked, or is about to be, in place of what was noted before. Raises StateError."""
    state = StateDirectory.open(root, directory, create=True)
    if state is None:
        raise StateError("%s was removed during the run; find out who removed it" % root)
    try:
        with state.locked(_LOCK, _LOCK_SECONDS):
            oldest = time.time() - _ASKS_SECONDS
            before = [ask for ask in read(root, directory) if ask not in instead_of]
            recent = [ask for ask in (*before, *asks) if ask[1] >= oldest][-_MOST_ASKS:]
            with state.written(_ASKS_FILE) as stream:
                stream.write(json.dumps(recent).encode())
    finally:
        state.close()
