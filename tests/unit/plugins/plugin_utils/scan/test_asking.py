# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked travels with the options as a module has them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry, Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import asking
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Look

_SPEC: dict[str, dict[str, t.Any]] = {
    "days": {"type": "int", "default": 30},
    "state_dir": {"type": "path"},
    "time_budget": {"type": "int"},
    "paths": {"type": "list", "elements": "path"},
    "lists": {"type": "list", "elements": "dict", "options": {"path": {"type": "path"}, "kind": {"type": "str"}}},
    "_content": {"type": "str"},
}


def _look(check_mode: bool = False, **arguments: t.Any) -> Look:
    entry = Entry("doors.collect:collect", lambda: _SPEC)
    return asking.look_of("door_info", Request("door_info", arguments, check_mode, entry), entry, True)


def test_options_are_converted_and_have_the_modules_defaults() -> None:
    look = _look(days="7")
    assert (look.id, look.entry, look.diff, look.check_mode) == ("door_info", "doors.collect:collect", True, False)
    # Without content, its option is there as the module has it.
    omitted = dict.fromkeys(("state_dir", "time_budget", "paths", "lists", "_content"))
    assert look.params == {"days": 7, **omitted}
    assert _look(check_mode=True).check_mode is True


def test_paths_are_the_hosts_to_expand() -> None:
    look = _look(state_dir="~/state", paths=["$HOME/a"], lists=[{"path": "~/list"}])
    assert look.params["state_dir"] == "~/state"
    assert look.params["paths"] == ["$HOME/a"]
    assert look.params["lists"] == [{"path": "~/list", "kind": None}]
    assert look.paths == [["state_dir"], ["paths"], ["lists", "path"]]


def test_content_travels_by_its_digest_and_so_apart() -> None:
    assert _look(_content="compiled").content == {"_content": "compiled"}
    assert "_content" not in _look(_content="compiled").params
    assert _look().content == {}


@pytest.mark.parametrize(("budget", "seconds"), [(120, 720), (0, 0), (None, 0)])
def test_a_look_is_ended_some_time_after_its_budget(budget: int | None, seconds: int) -> None:
    assert _look(time_budget=budget).seconds == seconds


@pytest.mark.parametrize(("given", "words"), [({"days": "many"}, "days"), ({"door": 1}, "door")])
def test_arguments_that_do_not_fit_are_refused(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(asking.WrongArgumentsError, match=words):
        _look(**given)
