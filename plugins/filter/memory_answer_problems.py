# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out what is wrong with answers before any host is looked at, which is when they can still be corrected."""

from __future__ import annotations

import typing as t

from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.answers import problems


def memory_answer_problems(answers: t.Any) -> list[str]:
    """Return one text for each thing that is wrong."""
    return t.cast("list[str]", wrap_var(problems(answers)))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"memory_answer_problems": memory_answer_problems}
