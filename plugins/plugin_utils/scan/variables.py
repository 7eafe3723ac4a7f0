# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a role where the role itself is not included: what somebody set, and its defaults."""

from __future__ import annotations

import datetime as dt
import functools
import json
import typing as t

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.dataloader import DataLoader
from ansible_collections.bulwark.servers.plugins.plugin_utils import role_variables

try:
    from ansible.template import trust_as_template as _trusted
except ImportError:  # ansible-core 2.18 takes any text for a template

    def _trusted(text: str) -> str:
        return text


class RoleVariables:
    """The variables of one role on one host, templated when they are asked for.

    Raises AnsibleError for a template that fails.
    """

    def __init__(self, role: str, task_vars: t.Mapping[str, t.Any], templar: t.Any) -> None:
        self._role = role
        self._available = {**defaults(role), **task_vars}
        self._templar = templar.copy_with_new_env(available_variables=self._available)

    def value(self, name: str) -> t.Any:
        """Return the value of a variable as plain data, None where there is none; a date becomes text."""
        if name not in self._available:
            return None
        try:
            return _plain(self._templar.template(self._available[name]))
        except AnsibleError as error:
            raise AnsibleError(f"{name}: {error.message}") from None

    def holds(self, condition: str) -> bool:
        """Return whether a Jinja expression of this collection is true."""
        return bool(boolean(self._templar.template(_trusted("{{ (%s) | bool }}" % condition))))

    def problems(self, unchecked: t.Collection[str]) -> list[str]:
        """Return what the role's argument specification finds wrong. unchecked: variables that it takes as they are."""
        spec = {
            name: {"type": "raw"} if name in unchecked else fields
            for name, fields in role_variables.spec(self._role).items()
        }
        given = {name: self.value(name) for name in spec if name in self._available}
        return list(ArgumentSpecValidator(spec).validate(given, validate_role_argument_spec=True).error_messages)


@functools.lru_cache(maxsize=32)
def defaults(role: str) -> t.Mapping[str, t.Any]:
    """Return the defaults of a role of this collection, as templates."""
    path = role_variables.ROLES / role / "defaults" / "main.yml"
    return DataLoader().load(_trusted(path.read_text(encoding="utf-8")), str(path)) or {}


def _plain(value: t.Any) -> t.Any:
    return json.loads(json.dumps(value, default=_text))


def _text(value: t.Any) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)
