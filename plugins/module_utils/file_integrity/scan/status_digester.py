# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the voucher of a directory as it is now, in as few steps as what is believed of it allows."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines, status_digests
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Place, Reader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.change_times import Trust
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.content import OutOfTimeError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.nodes import NodeReader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import (
    NOBODY,
    Plan,
    Rules,
    child,
)

Looks = t.Mapping[bytes, t.Tuple[int, Rules]]


class Found(t.NamedTuple):
    """What was seen. looks: what the plan says of each name that a watch owns. directories: those of them."""

    voucher: bytes
    looks: Looks
    directories: t.Sequence[bytes]


class QuickLook:
    """Looks at directories that are expected to be as they were recorded. One for each process."""

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

    def is_stamped(self, trust: Trust, directory: bytes, rules: Rules, place: Place, status: os.stat_result) -> bool:
        """Say whether a directory has the names that were recorded, and no others."""
        if place.stamp is None or place.stamp != status_digests.stamp(status):
            return False
        return rules.only is not None and rules.only[0] != NOBODY and trust.stamps_in(directory)

    def look(
        self,
        descriptor: int,
        directory: bytes,
        rules: Rules,
        status: os.stat_result,
        recorded: t.Mapping[bytes, bytes] | None,
    ) -> Found | None:
        """Return what a directory is like now; None where that can't be told so.

        recorded: its lines by escaped name, of a directory that is stamped. Raises OutOfTimeError.
        """
        looks = self._looks(descriptor, directory, rules, recorded)
        if looks is None:
            return None

        def state_of(name: bytes, found: os.stat_result) -> bytes:
            layout = self._layouts[looks[name][0]]
            escaped = lines.escape(name)
            if recorded is not None and self._reader.stamp(child(directory, name)) == status_digests.stamp(found):
                line = recorded[escaped]
                if line.startswith(layout.status(escaped, found)):
                    return lines.state_of(line)
            node = self._nodes.read_directory(descriptor, name, escaped, layout)
            if node.problem:
                raise status_digests.NoVoucherError
            return node.state

        try:
            voucher, directories = status_digests.of_directory(
                descriptor, status.st_dev, list(looks), state_of, self._check
            )
        except (OSError, status_digests.NoVoucherError):
            return None
        return Found(voucher, looks, directories)

    def _looks(
        self, descriptor: int, directory: bytes, rules: Rules, recorded: t.Mapping[bytes, bytes] | None
    ) -> Looks | None:
        """Return what the plan says of the names in a directory that a watch owns; None where others matter, too."""
        if rules.names is not None or self._plan.barred(directory):
            return None
        if recorded is not None and rules.only is not None:
            return dict.fromkeys(map(lines.unescape, recorded), rules.only)
        return _owned(rules, sorted(_safe_fs.listed(descriptor)))

    def _check(self) -> None:
        if self._deadline.passed():
            raise OutOfTimeError


def _owned(rules: Rules, names: t.Sequence[bytes]) -> Looks | None:
    """Return what the rules say of the names that a watch owns; None where something can be watched below others."""
    if rules.only is not None and rules.only[0] != NOBODY:
        return dict.fromkeys(names, rules.only)
    looks = [(name, rules.look(name)) for name in names]
    if any(owner == NOBODY and below.active for _name, (owner, below) in looks):
        return None
    return {name: look for name, look in looks if look[0] != NOBODY}
