# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a play hands a value to the test that started it.

With ansible.builtin.copy, two modules would run for that and take a second of processor time.
"""

from __future__ import annotations

import pathlib
import typing as t

# Lets ansible-playbook find the action.
ENVIRONMENT: t.Final[t.Mapping[str, str]] = {
    "ANSIBLE_ACTION_PLUGINS": str(pathlib.Path(__file__).with_name("action_plugins"))
}


def task(value: str, path: str | pathlib.Path, **keywords: t.Any) -> dict[str, t.Any]:
    """Return a task that writes a value, as in ``looked.findings``, as JSON; also in check mode.

    keywords: more of the task's own, as ``run_once``.
    """
    options = {"text": "{{ %s | to_json }}" % value, "path": str(path)}
    return {"name": "Keep", "keep_text": options, "check_mode": False, **keywords}
