# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a destination as the module gives them to the exporter."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


def filled(spec: t.Mapping[str, t.Mapping[str, t.Any]], given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return options with the defaults of all that is not given; AssertionError for what the spec refuses."""
    validated = ArgumentSpecValidator({name: dict(option) for name, option in spec.items()}).validate(dict(given))
    assert not validated.error_messages, validated.error_messages
    parameters: dict[str, t.Any] = validated.validated_parameters
    return parameters
