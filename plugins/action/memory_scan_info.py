# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for code that lives only in the memory of a host's processes."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import (
    PROCESSES,
    Allowed,
    collect_spec,
    parse,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content, subtypes
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# What only the controller needs, where these files are.
_SIGNATURES = ("own_signatures", "signature_paths")
_SHORTEST = 4
# Of signatures that can't be used.
_MOST_PROBLEMS = 100
_LONGEST_PROBLEM = 500


class ActionModule(CapabilityActionBase):
    """Give the module what signs mean, and signatures; check what is asked for before any host is."""

    capability = "memory_scan"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("memory_scan.collect:collect", collect_spec)

    @classmethod
    def preload(cls) -> None:
        content.compiled()
        subtypes.load()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        try:
            self._options = parse(given)
        except UsageError as error:
            raise ContentError(str(error)) from error
        _check_subtypes(self._options.allowlist)
        passed = {name: value for name, value in arguments.items() if name not in _SIGNATURES}
        compiled = content.compiled(given["signature_paths"], given["own_signatures"])
        self._problems = [visible(problem) for problem in compiled.problems[:_MOST_PROBLEMS]]
        self._not_used = len(compiled.problems)
        return {**passed, "_content": compiled.packed}

    def complete(self, result: dict[str, t.Any]) -> dict[str, t.Any]:
        if "coverage" in result:
            result["signature_problems"] = list(self._problems)
            if self._problems:
                result["coverage"] = [self._noted(entry) for entry in result["coverage"]]
        else:
            # The controller's own word, in the place of whatever a host that failed said.
            result.pop("signature_problems", None)
        return result

    def _noted(self, entry: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return a coverage entry, that of the processes with what was not looked for in them."""
        if entry["scope"] != PROCESSES:
            return entry
        number = "1 signature" if self._not_used == 1 else f"{self._not_used} signatures"
        note = f"{number} of yours can't be used: {visible(self._problems[0], _LONGEST_PROBLEM).rstrip('.')}."
        return {**entry, "note": " ".join(filter(None, (note, entry.get("note"))))}

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return self._options.scopes


def _check_subtypes(allowlist: t.Sequence[Allowed]) -> None:
    """Raise ContentError for an allowlist that names what no scan ever sees."""
    known = subtypes.load()
    for number, entry in enumerate(allowlist, 1):
        for name in entry.subtypes:
            if name not in known:
                # Of each of them the beginning may be all that somebody remembers.
                longer = (one for one in known if len(name) >= _SHORTEST and one.startswith(name))
                meant = spelling.likeliest(name, known, "") or next(longer, None)
                which = f"did you mean {meant}?" if meant else "the guide on memory scans lists them"
                raise ContentError(f"allowlist: entry {number}: there is no subtype '{name}'; {which}")
