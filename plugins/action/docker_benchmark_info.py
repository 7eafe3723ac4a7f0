# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the Docker engines of a host by the CIS Docker Benchmark, with what people decided about it."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import (
    ENGINES,
    collect_spec,
    parse,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.benchmark import BenchmarkActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.docker_hardening import exceptions


class ActionModule(BenchmarkActionBase):
    """Name the benchmark, and the alert of what a person has to judge."""

    capability = "docker_hardening"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("docker_hardening.collect:collect", collect_spec)
    BENCHMARK = "cis_docker"
    SCOPE = ENGINES
    UNJUDGED = "docker_controls_unjudged"
    KNOWN = "_known_engines"

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        exceptions.check_quotes(arguments.get("exceptions"))
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        try:
            parse(given)
        except UsageError as error:
            raise ContentError(str(error)) from error
        return {
            **arguments,
            "exceptions": exceptions.with_ids(given["exceptions"], self._benchmark(), given["edition"]),
        }
