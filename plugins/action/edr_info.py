# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look how well endpoint protection works on a host."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import collect_spec, parse
from ansible_collections.bulwark.servers.plugins.module_utils.edr.product_history import NAME
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.log_reading import CheckpointActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import products


class ActionModule(CheckpointActionBase):
    """Give the module all products of the content, and check the expected ones before any host is contacted."""

    capability = "edr"
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {"argument_spec": collect_spec()}
    ENTRY = Entry("edr.collect:collect", collect_spec)
    CHECKPOINT = NAME

    @classmethod
    def preload(cls) -> None:
        products.packed()

    def module_arguments(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        arguments = super().module_arguments(arguments, task_vars)
        given = ArgumentSpecValidator(**self.ARGUMENTS).validate(arguments).validated_parameters
        try:
            options = parse(given)
        except UsageError as error:
            raise ContentError(str(error)) from error
        products.check_expected(options.expected)
        return {**arguments, "_content": products.packed()}

    def scopes(self, arguments: t.Mapping[str, t.Any]) -> t.Sequence[str]:
        return ("protection", "health")
