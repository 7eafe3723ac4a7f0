# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages name the variable that somebody set: in the tasks of every playbook and role, and in what scans look at."""

from __future__ import annotations

import pathlib
import types
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, failure_reasons, role_variables
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import naming

from tests.support import paths

_NAMES = {"source": "jit_source", "default_watches": "file_integrity_default_watches"}
_OURS = "bulwark.servers."
_FILES = sorted([*(paths.ROOT / "playbooks").glob("*.yml"), *(paths.ROOT / "roles").glob("*/tasks/*.yml")])


def task(action: str, options: dict[str, t.Any], path: str = "ansible_collections/bulwark/servers/x.yml:1") -> t.Any:
    return types.SimpleNamespace(action=action, get_ds=lambda: {action: options}, get_path=lambda: path)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "the address is not known: give 'source', as in 192.0.2.7",
            "the address is not known: give jit_source, as in 192.0.2.7",
        ),
        ("source is empty; name an address", "jit_source is empty; name an address"),
        (
            "the policy does not allow that: source: 192.0.2.7 may not",
            "the policy does not allow that: jit_source: 192.0.2.7 may not",
        ),
        ("set watches, or leave default_watches on", "set watches, or leave file_integrity_default_watches on"),
        ("into default_watches (file_integrity_default_watches of the role)", "into file_integrity_default_watches"),
        ("the source of it is another", "the source of it is another"),
        ("'ports' is 'source code'", "'ports' is 'source code'"),
    ],
)
def test_only_options_are_renamed(message: str, shown: str) -> None:
    assert failure_reasons.renamed(message, _NAMES) == shown


def test_the_task_says_which_variable_holds_an_option() -> None:
    options = {
        "source": "{{ jit_source | default(omit, true) }}",
        "path": "{{ directory }}/{{ name }}.yml",
        "hosts": "{{ query('x') }}",
        "state": "present",
        "strict": True,
    }
    named = naming.variables(task("bulwark.servers.jit_open", options), {"sources": "source", "others": "state"})
    assert named == {"source": "jit_source", "sources": "jit_source", "path": "directory"}
    # People know the options of tasks that they write themselves.
    assert naming.variables(task("bulwark.servers.jit_open", options, "/home/ada/site.yml:3")) == {}


def test_failures_name_variables_and_other_results_are_as_they_were() -> None:
    own = task("bulwark.servers.jit_open", {"source": "{{ jit_source }}"})
    assert naming.in_result(own, {"failed": True, "msg": "source: wrong"})["msg"] == "jit_source: wrong"
    assert naming.in_result(own, {"msg": "source: right"}) == {"msg": "source: right"}
    with pytest.raises(AnsibleActionFail, match="jit_source is empty"), naming.in_errors(own):
        raise AnsibleActionFail("source is empty")


def _tasks(entries: t.Any) -> t.Iterator[dict[str, t.Any]]:
    for each in entries or ():
        for part in ("tasks", "block", "pre_tasks"):
            yield from _tasks(each.get(part))
        yield each


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(paths.ROOT)))
def test_every_option_of_our_tasks_that_a_person_sets_is_named_by_its_variable(path: pathlib.Path) -> None:
    role = path.parts[-3] if path.parent.name == "tasks" else None
    known = role_variables.names(role) if role else []
    for each in _tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for action in (name for name in each if name.startswith(_OURS) and isinstance(each[name], dict)):
            names = naming.variables(task(action, each[action]))
            for option, value in each[action].items():
                used = [name for name in known if isinstance(value, str) and f"{{{{ {name} " in value]
                assert names.get(option) in (used or [names.get(option)]), f"{action}: {option}"
                if used:
                    assert failure_reasons.renamed(f"{option} is wrong", names) == f"{used[0]} is wrong"


@pytest.mark.parametrize("capability", capabilities.load().values(), ids=lambda each: each.id)
def test_every_option_of_a_look_is_named_by_its_variable(capability: capabilities.Capability) -> None:
    for look in capability.looks:
        for option, variable in look.options.items():
            if isinstance(variable, str):
                names = {name: value for name, value in look.options.items() if isinstance(value, str)}
                failure = {"msg": f"{option} is 7; use 8"}
                message = failure_reasons.reason(failure, capability.id, look.subject, names)
                assert message == f"{variable} is 7; use 8", f"{look.module}: {option}"
