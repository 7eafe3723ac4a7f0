# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run actions of other modules within a task, so that one task does the work of several."""

from __future__ import annotations

import typing as t


def make(outer: t.Any, name: str, options: dict[str, t.Any], *, is_check: bool = False) -> t.Any:
    """Return an action as Ansible makes it for a separate task, None for a module without an action.

    outer: the action whose task it runs in. name: with the collection. is_check: run in check mode even if the task
    does not.
    """
    task = outer._task.copy()
    task.action = name
    task.args = options
    task.check_mode = is_check or outer._task.check_mode
    loader = outer._shared_loader_obj.action_loader
    if not loader.has_plugin(name):
        return None
    return loader.get(
        name,
        task=task,
        connection=outer._connection,
        play_context=outer._play_context,
        loader=outer._loader,
        templar=outer._templar,
        shared_loader_obj=outer._shared_loader_obj,
    )
