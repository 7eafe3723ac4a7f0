# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the steps that deploy one capability on one host, and collect their results."""

from __future__ import annotations

import types
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.bulwark.servers.plugins.plugin_utils import failure_reasons
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.variables import RoleVariables

_OURS = "bulwark.servers."
_EMPTY: tuple[t.Any, ...] = ("", [])
_NO_OPTIONS: t.Mapping[str, str] = types.MappingProxyType({})

# Runs an action by its full name with its options, in check mode if the last argument is true, and returns its result.
Run = t.Callable[[str, dict[str, t.Any], bool], dict[str, t.Any]]


class StepError(Exception):
    """A step failed; the message is one sentence that names the role's variable, not the module's option."""


class Steps:
    """Run steps and collect their results.

    protected, taken_back, unprotected: sentences for people. differences: of the steps that changed something, as
    modules return them. by_role: whether the tasks of the role must be included for the rest. platform: of the host,
    as ``capabilities.platform_of`` names it.
    """

    def __init__(
        self, capability: str, variables: RoleVariables, run: Run, *, is_check: bool, platform: str = "linux"
    ) -> None:
        self.is_check = is_check
        self.platform = platform
        self.protected: list[str] = []
        self.taken_back: list[str] = []
        self.unprotected: list[str] = []
        self.differences: list[dict[str, str]] = []
        self.warnings: list[str] = []
        self.changed = False
        self.by_role = False
        self._capability = capability
        self._variables = variables
        self._run = run

    def value(self, variable: str) -> t.Any:
        """Return the value of a role's variable, templated; its default if it is not set."""
        return self._variables.value(variable)

    def flag(self, variable: str) -> bool:
        """Return a variable as a boolean; text such as ``yes`` counts as true."""
        return bool(boolean(self.value(variable), strict=False))

    def entries(self, variable: str) -> list[t.Any]:
        """Return a variable that holds a list, or text with commas between the entries."""
        value = self.value(variable) or []
        return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else list(value)

    def would(self, yes: str, no: str) -> str:
        """Return the first text in check mode, the second otherwise."""
        return yes if self.is_check else no

    def module(
        self,
        name: str,
        options: t.Mapping[str, str],
        *,
        subject: str,
        unless_empty: t.Collection[str] = (),
        compare: bool = False,
    ) -> dict[str, t.Any]:
        """Run a module of the collection and return its result. Raises StepError if it fails.

        options: the variables that hold the values, by option. A variable without a value is not passed on, nor one of
        ``unless_empty`` that is empty. subject: begins the message of a failure that has none. compare: run it in check
        mode, and count nothing as changed.
        """
        given = {option: self.value(variable) for option, variable in options.items()}
        given = {
            option: value
            for option, value in given.items()
            if value is not None and not (option in unless_empty and value in _EMPTY)
        }
        result = self._run(f"{_OURS}{name}", given, compare or self.is_check)
        self._warn(result, options)
        # A module that fails may have changed something before.
        if not compare:
            self._note(result)
        if result.get("failed"):
            raise StepError(failure_reasons.reason(result, self._capability, subject, options))
        return result

    def has_tool(self, program: str, role: str, then: str) -> bool:
        """Install the packages that have a missing program; return False if check mode could only announce that.

        role: the role whose variables ``ROLE_install`` and ``ROLE_packages`` decide. then: what happens afterwards.
        Raises StepError.
        """
        if not self.flag(f"{role}_install") or self.has_program(program):
            return True
        variable = f"{role}_packages"
        if not self.is_check:
            self.install(variable)
            return True
        self.changed = True
        self.protected.append(
            f"{self.packages(variable)} would be installed, as {program} is missing, and then {then}."
        )
        return False

    def exists(self, path: str) -> bool:
        """Return whether the host has a file or directory, links followed. Raises StepError."""
        options = {"path": path, "follow": True, "get_checksum": False, "get_mime": False, "get_attributes": False}
        result = self._run("ansible.builtin.stat", options, self.is_check)
        stat = result.get("stat")
        if result.get("failed") or not isinstance(stat, dict):
            raise StepError(f"{path} could not be looked for: {_message(result)}")
        return bool(stat.get("exists"))

    def has_program(self, name: str) -> bool:
        """Return whether the host has a program, without a package index."""
        return any(self.exists(f"{directory}/{name}") for directory in ("/usr/sbin", "/sbin", "/usr/bin"))

    def install(self, variable: str) -> None:
        """Install the packages that a variable names. Raises StepError if that fails."""
        result = self._run("ansible.builtin.package", {"name": self.value(variable), "state": "present"}, False)
        self._warn(result)
        if result.get("failed"):
            raise StepError(f"{self.packages(variable)} ({variable}) could not be installed: {_message(result)}")
        self.changed |= bool(result.get("changed"))

    def why_not_installable(self, variable: str) -> str | None:
        """Return why packages cannot be installed, as the package manager says in check mode, None if they can."""
        result = self._run("ansible.builtin.package", {"name": self.value(variable), "state": "present"}, True)
        if not result.get("failed") and result.get("changed"):
            return None
        return _message(result)

    def start(self, service: str) -> bool:
        """Start a service and have it start at boot; return whether that changed something."""
        options = {"name": service, "state": "started", "enabled": True}
        result = self._run("ansible.builtin.service", options, self.is_check)
        self._warn(result)
        if result.get("failed"):
            raise StepError(f"the service {service} could not be started: {_message(result)}")
        self.changed |= bool(result.get("changed"))
        return bool(result.get("changed"))

    def packages(self, variable: str) -> str:
        """Return the packages that a variable names, as words."""
        return " and ".join(map(str, self.entries(variable)))

    def _note(self, result: t.Mapping[str, t.Any]) -> None:
        if not result.get("changed"):
            return
        self.changed = True
        difference = result.get("diff") or []
        for part in difference if isinstance(difference, list) else [difference]:
            if isinstance(part, dict) and part.get("before") != part.get("after"):
                # A host may send anything, and the summary is about all hosts.
                self.differences.append({str(name): str(text) for name, text in part.items() if text is not None})

    def _warn(self, result: t.Mapping[str, t.Any], options: t.Mapping[str, str] = _NO_OPTIONS) -> None:
        for warning in result.get("warnings") or []:
            named = failure_reasons.renamed(str(warning), options)
            if named not in self.warnings:
                self.warnings.append(named)


def _message(result: t.Mapping[str, t.Any]) -> str:
    return visible(str(result.get("msg") or "no reason was given").strip(), 1000)
