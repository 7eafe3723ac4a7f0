# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code from the cache of compiled files is the code that Ansible compiles."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest

from tests.support import compiled_once
from tests.support.controllers import Controller

# Prints a word of a collection's module, and whether its loader has the code that compile returns.
_SHOW = """
import importlib, pathlib
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
module = importlib.import_module("ansible_collections.some.where.plugins.plugin_utils.word")
code = module.__loader__.get_code(module.__name__)
file = module.__file__
print(module.WORD, code == compile(pathlib.Path(file).read_bytes(), file, "exec", dont_inherit=True))
"""


@pytest.mark.parametrize("core", ["2.18", "2.21"])
def test_a_file_is_compiled_once_until_it_changes(
    core: str, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    python = controller(core).program("python")
    cache, file = tmp_path / "cache", tmp_path / "ansible_collections/some/where/plugins/plugin_utils/word.py"
    file.parent.mkdir(parents=True)

    def shown() -> str:
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), compiled_once.VARIABLE: str(cache)}
        return subprocess.run([python, "-c", _SHOW], env=environment, capture_output=True, text=True, check=True).stdout

    counts = []
    for word in ("one", "one", "two"):
        file.write_text(f'WORD = "{word}"\n', encoding="utf-8")
        assert shown() == f"{word} True\n"
        counts.append(len(list(cache.iterdir())))
    assert counts == [counts[0], counts[0], counts[0] + 1]
