# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the host's files with their baseline: the work of file_integrity_info."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import NewerError, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import coverage
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import header
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.comparison import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import Options, parse
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.survey import begin
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.state import (
    CAPABILITY,
    Opened,
    open_baseline,
    open_state,
)


def collect(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """Return the result of file_integrity_info. Raises UsageError and StateError."""
    options = parse(params)
    deadline = begin(options)
    opened = _open(options)
    if opened.reader is None or opened.header is None:
        return {
            "changed": False,
            "detections": opened.detections(options.expected),
            "coverage": coverage.nothing_checked(options.watches, opened.problem or "", opened.alert is not None),
            "changes": [],
            "changes_count": 0,
            "explained": [],
            "explained_count": 0,
            "claimed": [],
            "claimed_count": 0,
            "packages_changed": False,
            "baseline": {**header.summary(None, opened.seal), "exists": opened.seal is not None},
        }
    comparison = Comparison(options, opened, deadline)
    comparison.run()
    comparison.note_other_watches()
    return {"changed": False, **comparison.result()}


def _open(options: Options) -> Opened:
    """Return the baseline, or what is wrong with where it should be: this module tells, rather than fail the scan."""
    try:
        with open_state(options, create=False) as state:
            return open_baseline(state, options)
    except NewerError as error:
        return Opened(options.root, problem=str(error))
    except StateError as error:
        alert = "fim_baseline_tampered" if options.expected else None
        return Opened(os.path.join(options.root, CAPABILITY), problem=str(error), alert=alert)
