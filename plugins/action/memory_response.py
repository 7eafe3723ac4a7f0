# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do something about a process of a host: keep evidence, stop it, continue it, or end it."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.apply import check, response_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError


class ActionModule(CapabilityActionBase):
    """Check what is asked for before the host is; what it answers is safe to show."""

    capability = "memory_scan"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": response_spec()}

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        try:
            check(ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters)
        except UsageError as error:
            raise ContentError(str(error)) from error
        return arguments
