# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The explainers that a run of audit_events_info asks."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain.model import Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.explain.packages import PackageExplainer


def explainers_of(params: t.Mapping[str, t.Any]) -> list[Explainer]:
    """Return the explainers of a run with the options of the module, in the order in which they are asked."""
    # Only tests name another root.
    return [PackageExplainer(os.fsencode(params.get("_root") or "/"))]
