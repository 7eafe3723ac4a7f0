# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The explainers that a run of audit_events_info asks."""

from __future__ import annotations

import itertools
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import About
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.matched_act import MatchedAct
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import ancestors
from ansible_collections.bulwark.servers.plugins.module_utils.automation import make
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import PACKAGE, Explanation


def explainers_of(params: t.Mapping[str, t.Any]) -> list[Explainer[MatchedAct]]:
    """Return the explainers of a run with the options of the module, in the order in which they are asked.

    Raises UsageError for an option that can't be used.
    """
    # Only tests name another root.
    return [*make.explainers_of(params), _Packages(os.fsencode(params.get("_root") or "/"))]


class _Packages(Explainer[MatchedAct]):
    """Explains hits by packages of the host; what that takes is loaded for the first one."""

    name = "packages"
    kind = PACKAGE

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._explainer: Explainer[MatchedAct] | None = None

    def explain(self, act: MatchedAct) -> Explanation | None:
        if not _names_manager(act.about):
            return None
        if self._explainer is None:
            from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.packages import PackageExplainer

            self._explainer = PackageExplainer(self._root)
        return self._explainer.explain(act)


# Part of the name of each program that ``package_chain`` takes for a package manager.
_MANAGER = re.compile(rb"dpkg|rpm|dnf|yum")


def _names_manager(about: About) -> bool:
    """Return whether a package manager may be above an event, or be who acts; of most it is ruled out quickly."""
    if _MANAGER.search(about.event.raw):
        return True
    processes = itertools.chain([about.process] if about.process else [], ancestors(about.parent))
    return any(_MANAGER.search(process.exe) or _MANAGER.search(process.original) for process in processes)
