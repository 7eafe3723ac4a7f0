# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what of a log was understood, and remember the first entry that was not, with the reason."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import unknown_messages
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import syslog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line

FORM = "its form is not known"
TIME = "its time cannot be read"
UNENDED = "it has no end"
MESSAGE = "it looks like a sign-in and its text is not known"

_SHOWN = 160


class Understanding:
    """Counts of one log. entries: how many were read, of which ``unknown`` were not understood."""

    def __init__(self) -> None:
        self.entries = 0
        self.unknown = 0
        self._first = ""
        self._reason = ""
        self._last_missed = -1  # the number of the entry

    @property
    def is_nothing(self) -> bool:
        """Whether there were entries, and none was understood."""
        return self.entries > 0 and self.unknown >= self.entries

    def miss(self, entry: str, reason: str) -> None:
        """Count an entry that was not understood."""
        self.unknown += 1
        if not self._first:
            self._first, self._reason = masked(printable(entry[:_SHOWN])), reason

    def take(self, entry: str, line: Line | None) -> None:
        """Count an entry of a system log, of which the form or the time may not be known. line: what was read of it.

        Who has a line with a time may add to ``entries`` instead.
        """
        self.entries += 1
        if line is None:
            if not syslog.is_mark(entry) and not self._continues(entry):
                self._last_missed = self.entries
                self.miss(entry, FORM)
        elif line.time is None:
            self.miss(entry, TIME)

    def check(self, line: Line) -> None:
        """Count a message that says nothing of a sign-in to any pattern as not understood if it looks as if it did."""
        if unknown_messages.is_unknown(line.program, line.message):
            self.miss("%s: %s" % (line.program or "(no program)", line.message), MESSAGE)

    def describe(self, unit: str = "lines") -> str | None:
        """Return one sentence on what was not understood, None where everything was."""
        if not self.unknown:
            return None
        return "%d of %d %s were not understood; the first, as %s: %s" % (
            self.unknown,
            self.entries,
            unit,
            self._reason,
            self._first,
        )

    def _continues(self, entry: str) -> bool:
        """Say whether a line goes on with the one before: indented, as some daemons leave what has several lines."""
        return (
            self._last_missed != self.entries - 1 and entry[:1] in (" ", "\t") and not unknown_messages.concerns(entry)
        )
