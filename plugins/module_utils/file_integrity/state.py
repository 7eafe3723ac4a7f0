# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The baseline on the host: its files, its lock, and whether to believe it."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.header import Header
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options

CAPABILITY = "file_integrity"

NO_SEAL = (
    "the controller holds no seal for the baseline on the host and does not know who made or edited it; review a "
    "comparison, then remove it with state=absent and take a new one with state=present"
)

# Seconds that a controller has to note the seal of a staged baseline in its store. Whoever takes longer was cut off.
_SEALED_WITHIN = 30.0
_POLL = 0.1


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


@contextlib.contextmanager
def open_state(options: Options, create: bool) -> t.Iterator[StateDirectory | None]:
    """Open the state directory, None where there is none; raise StateError for one that can't be trusted."""
    state = StateDirectory.open(options.root, CAPABILITY, create)
    try:
        yield state
    finally:
        if state is not None:
            state.close()


@contextlib.contextmanager
def locked(state: StateDirectory | None, options: Options, check_mode: bool) -> t.Iterator[None]:
    """Keep other writers out, also one between staging a baseline and letting it take its place (see ``seal``).

    Check mode writes nothing, and takes no lock. Raises StateError after ``lock_timeout``.
    """
    if state is None or check_mode:
        yield
        return
    end = time.monotonic() + options.lock_timeout
    while True:
        with state.locked(lock_name(options), max(0.0, end - time.monotonic())):
            if not _is_being_sealed(state, options):
                yield
                return
        if time.monotonic() >= end:
            raise StateError(
                "another run is sealing a new baseline in %s and did not end within %g s; wait for it, or raise "
                "lock_timeout" % (state.path, options.lock_timeout)
            )
        time.sleep(_POLL)


def _is_being_sealed(state: StateDirectory, options: Options) -> bool:
    """Say whether a baseline was staged a moment ago, which a controller is about to seal unless it was cut off."""
    staged = state.modified().get(staged_name(options))
    return staged is not None and 0 <= time.time() - staged < _SEALED_WITHIN


def read_header(state: StateDirectory, name: str) -> tuple[str, Header] | None:
    """Return the seal and header of a baseline file, None when there is none; StateError when it is damaged."""
    descriptor = state.open_file(name)
    if descriptor is None:
        return None
    path = os.path.join(state.path, name)
    try:
        reader = Reader(descriptor, path).load()
        return reader.seal, Header.of(reader.header, path)
    finally:
        os.close(descriptor)
