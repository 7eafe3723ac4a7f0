# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, extend, accept into and remove the baseline: the work of file_integrity."""

from __future__ import annotations

import os
import pwd
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import coverage
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import state as host_state
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.header import summary
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options, parse
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.revision import Revision
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.survey import begin
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.state import locked, open_state


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of file_integrity. Raises UsageError and StateError."""
    options = parse(params)
    if params["state"] == "absent":
        return _remove(options, check_mode)
    if options.phase == "commit":
        return _commit(options, check_mode)
    if options.phase == "abort":
        return _abort(options, check_mode)
    return _present(options, check_mode)


def _present(options: Options, check_mode: bool) -> dict[str, t.Any]:
    obstacle = host_state.obstacle(options)
    if obstacle is not None:
        return _refused(options, obstacle)
    with open_state(options, create=False) as state:
        # Looking needs neither the lock nor a directory that can be written.
        opened = host_state.open_baseline(state, options)
        result = _settled(options, opened)
        if opened.reader is not None:
            opened.reader.close()
    if result is not None:
        return result
    try:
        with open_state(options, create=not check_mode) as state, locked(state, options, check_mode):
            return _changed(state, options, check_mode)
    except StateError as error:
        if opened.reader is None or options.accept:
            raise
        # There is a baseline all the same, and what it has can be compared.
        return _refused(options, opened._replace(problem=str(error)))


def _settled(options: Options, opened: host_state.Opened) -> dict[str, t.Any] | None:
    """Return the result where the baseline may not be changed, or need not be; None where it is to be."""
    if opened.alert is not None or (opened.reader is None and options.accept):
        return _refused(options, opened)
    if opened.reader is not None and options.unsealed:
        return _refused(options, opened._replace(problem=host_state.NO_SEAL))
    revision = Revision(options, opened, _run.Deadline(0), _account(), time.time())
    return None if revision.needed else {**revision.unchanged(), "created": False}


def _changed(state: StateDirectory | None, options: Options, check_mode: bool) -> dict[str, t.Any]:
    """Return the result of changing the baseline, which another run may have done before this one had the lock."""
    opened = host_state.open_baseline(state, options)
    if opened.alert is not None or (opened.reader is not None and options.unsealed):
        return _refused(options, opened)
    revision = Revision(options, opened, begin(options), _account(), time.time())
    result = revision.preview() if check_mode or state is None else _revise(state, options, revision)
    return {**result, "created": opened.reader is None}


def _revise(state: StateDirectory, options: Options, revision: Revision) -> dict[str, t.Any]:
    """Write the new baseline under the staged name; unless the controller asked to wait, let it take its place."""
    staged = host_state.staged_name(options)
    state.remove(staged)
    result = revision.write(state, staged)
    digest = result.pop("written", None)
    if digest is None:
        return result
    if options.phase == "stage":
        return {**result, "staged_digest": digest}
    state.rename(staged, host_state.file_name(options))
    return result


def _commit(options: Options, check_mode: bool) -> dict[str, t.Any]:
    """Let the staged baseline that the controller noted the digest of take its place; harmless when it already has."""
    with open_state(options, create=False) as state:
        if state is None or check_mode:
            raise StateError("there is no staged baseline to take over")
        with state.locked(host_state.lock_name(options), options.lock_timeout):
            current = host_state.read_header(state, host_state.file_name(options))
            if current is not None and current[0] == options.digest:
                return {"changed": False, "baseline": summary(current[1], current[0])}
            staged = host_state.read_header(state, host_state.staged_name(options))
            if staged is None or staged[0] != options.digest:
                raise StateError("the staged baseline is not there any more, or is another one; run the task again")
            if staged[1].parent != (current[0] if current else None):
                state.remove(host_state.staged_name(options))
                raise StateError("the baseline changed since this change was staged; run the task again")
            state.rename(host_state.staged_name(options), host_state.file_name(options))
            return {"changed": True, "baseline": summary(staged[1], staged[0])}


def _abort(options: Options, check_mode: bool) -> dict[str, t.Any]:
    with open_state(options, create=False) as state:
        if state is None or check_mode:
            return {"changed": False}
        with state.locked(host_state.lock_name(options), options.lock_timeout):
            return {"changed": state.remove(host_state.staged_name(options))}


def _remove(options: Options, check_mode: bool) -> dict[str, t.Any]:
    """Remove the baseline whatever state it is in: this is the way out of a damaged or tampered one."""
    gone = {"changed": False, "created": False, "baseline": summary(None, None), "detections": [], "coverage": []}
    with open_state(options, create=False) as state:
        if state is None:
            return gone
        if check_mode:
            return {**gone, "changed": state.exists(host_state.file_name(options))}
        with state.locked(host_state.lock_name(options), options.lock_timeout):
            state.remove(host_state.staged_name(options))
            return {**gone, "changed": state.remove(host_state.file_name(options))}


def _refused(options: Options, opened: host_state.Opened) -> dict[str, t.Any]:
    """Return the result where the baseline is not changed: it can't be believed, or not be written, or isn't there.

    A task that only makes sure of the baseline doesn't fail, so that its finding arrives; one that accepts fails.
    """
    reason = str(opened.problem)
    if opened.alert is not None:
        reason += "; nothing was changed. Find out why, then remove the baseline with state=absent and take a new one"
    result: dict[str, t.Any] = {
        "changed": False,
        "created": False,
        "baseline": summary(opened.header, opened.seal),
    }
    if options.accept:
        return {**result, "failed": True, "msg": reason}
    sealed = opened.alert is not None or options.unsealed
    return {
        **result,
        "detections": opened.detections(options.expected),
        "coverage": coverage.nothing_checked(options.watches, str(opened.problem), sealed),
        "warnings": [reason],
    }


def _account() -> str:
    """Return the account on the host that runs the module, by name if it has one."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "uid %d" % os.geteuid()
