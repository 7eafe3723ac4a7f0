# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that a daemon of root sent to systemd's journal, from a cursor on.

The journal says itself which account sent a message. What others send in the name of a product is counted, not read.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.journal_entries import text


class Messages:
    """New messages. cursor: of the last entry; forged: number of messages from others; problem: a sentence, or None."""

    def __init__(
        self, matches: t.Sequence[str], cursor: str | None, since: float, directory: str | None = None
    ) -> None:
        """matches: as journalctl takes them. since: where to begin without a cursor, in seconds since the epoch.

        directory: of the journal, None for the system's.
        """
        self.cursor = cursor
        self.forged = 0
        self.problem: str | None = None
        self._options = [
            "--output-fields=MESSAGE,_UID",
            journal_entries.start(cursor, since),
            *(["--directory=" + directory] if directory else []),
            *matches,
        ]

    def read(self, deadline: Deadline) -> t.Iterator[str]:
        """Yield the text of each new message of root."""
        try:
            for raw in journal_entries.read(self._options, deadline.passed):
                if raw is None:
                    self.problem = "%s; the next run continues there" % deadline.reason
                    return
                message = self._message(raw)
                if message:
                    yield message
        except journal_entries.JournalError as error:
            self.problem = str(error)

    def _message(self, raw: bytes) -> str | None:
        try:
            entry = json.loads(raw.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(entry, dict):
            return None
        cursor = entry.get("__CURSOR")
        if isinstance(cursor, str):
            self.cursor = cursor
        if text(entry.get("_UID")) != "0":
            self.forged += 1
            return None
        return text(entry.get("MESSAGE"))
