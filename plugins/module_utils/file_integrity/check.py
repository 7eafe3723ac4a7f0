# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make sure of the baseline and compare the files with it in one go: what a scan asks."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import apply, collect


def check(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of ``apply``, and as ``comparison`` that of ``collect`` where there was a baseline before.

    A baseline that is staged waits for the controller, so the comparison does, too. ``baseline`` is the one that was
    compared, which another run may have changed in between. Raises UsageError and StateError.
    """
    applied = apply.apply(params, check_mode)
    if not params["_compare"] or any(applied.get(name) for name in ("failed", "created", "staged_digest")):
        return applied
    comparison = collect.collect(params, check_mode)
    return {**applied, "baseline": comparison["baseline"], "comparison": comparison}
