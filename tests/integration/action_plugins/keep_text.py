# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a text to a file of the controller, as a task of a test's play."""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """No module runs, unlike with ansible.builtin.copy."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        text = self._task.args["text"]
        # ansible-core 2.18 takes a text that looks like a structure for one.
        kept = text if isinstance(text, str) else json.dumps(text)
        pathlib.Path(self._task.args["path"]).write_text(kept, encoding="utf-8")
        return {"changed": True}
