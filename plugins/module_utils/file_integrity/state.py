# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the baseline of a host, and deciding whether to believe it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.header import Header
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options

CAPABILITY = "file_integrity"

NO_SEAL = (
    "the controller holds no seal for the baseline on the host and cannot tell who made or edited it; look at what a "
    "comparison shows, then remove it with state=absent and take a new one with state=present"
)


class Opened(t.NamedTuple):
    """What was found. reader and header: of a baseline to believe, otherwise None.

    problem: why there is nothing to compare with. alert: where that is itself suspicious. seal: of the file found.
    """

    path: str
    reader: Reader | None = None
    header: Header | None = None
    problem: str | None = None
    alert: str | None = None
    seal: str | None = None

    def believed(self) -> tuple[Reader, Header]:
        """Return the baseline to compare with; StateError when there is none."""
        if self.reader is None or self.header is None:
            raise StateError(str(self.problem))
        return self.reader, self.header

    def detections(self, expected: t.Sequence[str] | None) -> list[dict[str, t.Any]]:
        if self.alert is None or self.problem is None:
            return []
        # Importing takes time, which only a baseline that can't be believed needs.
        from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import evidence

        return [evidence.seal_detection(self.alert, self.path, self.problem, expected or (), self.seal)]


def file_name(options: Options) -> str:
    return options.baseline + ".baseline"


def staged_name(options: Options) -> str:
    return options.baseline + ".staged"


def lock_name(options: Options) -> str:
    return options.baseline + ".lock"


def obstacle(options: Options) -> Opened | None:
    """Return what is wrong with the directory of a sealed baseline, if anything is; somebody put that there."""
    if not options.expected:
        return None
    try:
        state = StateDirectory.open(options.root, CAPABILITY, create=False)
    except StateError as error:
        path = os.path.join(options.root, CAPABILITY)
        return Opened(path, problem=str(error), alert="fim_baseline_tampered")
    if state is not None:
        state.close()
    return None


def open_baseline(state: StateDirectory | None, options: Options) -> Opened:
    """Return the host's baseline, believed only when its seal is one that the controller holds.

    Without a controller's seal a baseline is believed when it is consistent. Raises StateError for one that can't be
    read at all, unless the controller holds a seal: then whoever made it unreadable is suspected of more than an
    accident.
    """
    path = os.path.join(state.path if state else os.path.join(options.root, CAPABILITY), file_name(options))
    try:
        reader = _read(state, file_name(options), path)
    except DamagedError as error:
        if not options.expected:
            raise
        return Opened(path, problem=str(error), alert="fim_baseline_tampered")
    if reader is None:
        if options.expected and NO_BASELINE not in options.expected:
            reason = "the baseline that the controller holds a seal for is not on the host any more"
            return Opened(path, problem=reason, alert="fim_baseline_removed")
        return Opened(path, problem="there is no baseline yet; run bulwark.servers.file_integrity to make one")
    if options.expected and reader.seal not in options.expected:
        reader.close()
        reason = "the baseline on the host is not the one that the controller sealed"
        return Opened(path, problem=reason, alert="fim_baseline_tampered", seal=reader.seal)
    try:
        header = Header.of(reader.load().header, path)
    except StateError:
        reader.close()
        raise
    return Opened(path, reader, header, seal=reader.seal)


def _read(state: StateDirectory | None, name: str, path: str) -> Reader | None:
    descriptor = state.open_file(name) if state else None
    if descriptor is None:
        return None
    try:
        return Reader(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
