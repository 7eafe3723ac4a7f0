# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the status digest of a directory as it is now, in as few calls as its change times allow."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines, status_digests
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import (
    IndexEntry,
    Reader,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.change_times import TrustedTimes
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.content import OutOfTimeError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.nodes import NodeReader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import (
    NOBODY,
    Plan,
    Rules,
    child,
)

RulesByName = t.Mapping[bytes, t.Tuple[int, Rules]]


class DirectoryStatus(t.NamedTuple):
    """The status of a directory. rules: owner and rules of each name that a watch owns. directories: those of them."""

    status_digest: bytes
    rules: RulesByName
    directories: t.Sequence[bytes]


class StatusDigester:
    """Reads directories that are expected to be as they were recorded. One for each process."""

    def __init__(
        self,
        plan: Plan,
        reader: Reader,
        nodes: NodeReader,
        layouts: t.Sequence[lines.Layout],
        deadline: _run.Deadline,
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._nodes = nodes
        self._layouts = layouts
        self._deadline = deadline

    def is_stamped(
        self, trust: TrustedTimes, directory: bytes, rules: Rules, indexed: IndexEntry, status: os.stat_result
    ) -> bool:
        """Say whether a directory has the names that were recorded, and no others."""
        if indexed.stamp is None or indexed.stamp != status_digests.stamp(status):
            return False
        return rules.only is not None and rules.only[0] != NOBODY and trust.stamps_in(directory)

    def read(
        self,
        descriptor: int,
        directory: bytes,
        rules: Rules,
        status: os.stat_result,
        recorded: t.Mapping[bytes, bytes] | None,
    ) -> DirectoryStatus | None:
        """Return the status of a directory; None if each of its entries has to be compared.

        recorded: its lines by escaped name, of a directory that is stamped. Raises OutOfTimeError.
        """
        by_name = self._rules_by_name(descriptor, directory, rules, recorded)
        if by_name is None:
            return None

        def state_of(name: bytes, now: os.stat_result) -> bytes:
            layout = self._layouts[by_name[name][0]]
            escaped = lines.escape(name)
            if recorded is not None and self._reader.stamp(child(directory, name)) == status_digests.stamp(now):
                line = recorded[escaped]
                if line.startswith(layout.status(escaped, now)):
                    return lines.state_of(line)
            node = self._nodes.read_directory(descriptor, name, escaped, layout)
            if node.problem:
                raise status_digests.NoStatusDigestError
            return node.state

        try:
            status_digest, directories = status_digests.digest_of_directory(
                descriptor, status.st_dev, list(by_name), state_of, self._check
            )
        except (OSError, status_digests.NoStatusDigestError):
            return None
        return DirectoryStatus(status_digest, by_name, directories)

    def _rules_by_name(
        self, descriptor: int, directory: bytes, rules: Rules, recorded: t.Mapping[bytes, bytes] | None
    ) -> RulesByName | None:
        """Return the rules of the names in a directory that a watch owns; None if others matter, too."""
        if rules.names is not None or self._plan.barred(directory):
            return None
        if recorded is not None and rules.only is not None:
            return dict.fromkeys(map(lines.unescape, recorded), rules.only)
        return _owned(rules, sorted(_safe_fs.listed(descriptor)))

    def _check(self) -> None:
        if self._deadline.passed():
            raise OutOfTimeError


def _owned(rules: Rules, names: t.Sequence[bytes]) -> RulesByName | None:
    """Return the rules of the names that a watch owns; None if something can be watched below others."""
    if rules.only is not None and rules.only[0] != NOBODY:
        return dict.fromkeys(names, rules.only)
    looks = [(name, rules.look(name)) for name in names]
    if any(owner == NOBODY and below.active for _name, (owner, below) in looks):
        return None
    return {name: look for name, look in looks if look[0] != NOBODY}
