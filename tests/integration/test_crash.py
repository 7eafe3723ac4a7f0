# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees of a module with a bug: the error, its file and line, and the traceback with -vvv."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from tests.support import collection
from tests.support.controllers import controller

_BUG = r'raise ValueError("\x1b[31mred\u202e")'
_SHOWN = r"ValueError: \x1b[31mred\u202e"
# A module of the copy crashes at work, another one when it is imported on a host.
_AT_WORK = f"\n\ndef collect(params, check_mode):\n    {_BUG}\n"
_AT_IMPORT = f"\n{_BUG}\n"

_PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - bulwark.servers.file_integrity_info:
      ignore_errors: true
      register: at_work
    - bulwark.servers.memory_scan_info:
      ignore_errors: true
      register: at_import
    - ansible.builtin.copy:
        content: "{{ {'at_work': at_work, 'at_import': at_import} | to_json }}"
        dest: "{{ results }}"
        mode: "0600"
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("broken")
    code = collection.copy(directory) / "plugins" / "module_utils"
    for capability, bug in (("file_integrity", _AT_WORK), ("memory_scan", _AT_IMPORT)):
        with (code / capability / "collect.py").open("a", encoding="utf-8") as stream:
            stream.write(bug)
    return directory


@pytest.mark.parametrize("core", ["2.18", "2.21"])
def test_a_crash_is_described(core: str, broken: pathlib.Path, tmp_path: pathlib.Path) -> None:
    playbook, results = tmp_path / "playbook.yml", tmp_path / "results.json"
    playbook.write_text(_PLAYBOOK)
    answer = controller(core).run_playbook(playbook, "-vvv", collections=broken, extra_vars={"results": str(results)})
    at_work, at_import = (json.loads(results.read_text(encoding="utf-8"))[name] for name in ("at_work", "at_import"))

    place = f"plugins/module_utils/file_integrity/collect.py:{_last_line(broken, 'file_integrity')}"
    assert _SHOWN in at_work["msg"]
    assert f"({place}); if this comes again, report it with the traceback that -vvv shows" in at_work["msg"]
    assert _ends_with_the_error(at_work["traceback"])
    if core == "2.18":
        assert _SHOWN in at_import["module_stderr"]
    else:
        assert f"the module crashed before it began: {_SHOWN}; -vvv shows the traceback" in at_import["msg"]
        assert _ends_with_the_error(at_import["traceback"])
    assert not {"\x1b", "\u202e"} & {*answer.stdout, *answer.stderr}


def _last_line(directory: pathlib.Path, capability: str) -> int:
    path = directory / "ansible_collections/bulwark/servers/plugins/module_utils" / capability / "collect.py"
    return len(path.read_text(encoding="utf-8").splitlines())


def _ends_with_the_error(traceback: t.Any) -> bool:
    return isinstance(traceback, list) and traceback[-1] == _SHOWN and "collect.py" in "".join(traceback)
