# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module says what the code that it brings would say, before it has that code."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.modules import host_scan

from tests.support.host_scan import LocalRun
from tests.unit.plugins.plugin_utils.transport.hosts import Host, look

_OLD: dict[str, t.Any] = {
    "failed": True,
    "msg": "MODULE FAILURE",
    "module_stderr": 'File "<stdin>", line 90\nSyntaxError: invalid syntax',
}


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize(
    "environment", [{}, {"HOME": "/home/x"}, {"HOME": "/h", "XDG_STATE_HOME": "/s"}, {"XDG_STATE_HOME": "s"}]
)
def test_state_is_where_the_collection_has_it(environment: dict[str, str], uid: int) -> None:
    assert host_scan.state_root(environment, uid) == _state.default_root(environment, uid)


def test_an_old_python_is_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_scan, "_OLDEST", (9, 0))

    assert "set ansible_python_interpreter to 3.8 or later" in host_scan.answer({})["msg"]
    assert "Python 3.8 or later" in host.ask(look("fine"), run=lambda _arguments: dict(_OLD)).looks["fine"]["msg"]


def test_nothing_is_imported_from_where_others_can_write(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any
) -> None:
    """With pipelining, Python takes the current directory for that of the program."""
    for name in ("__future__", "json", "base64", "typing", "zlib", "ansible_collections", "dataclasses"):
        (tmp_path / f"{name}.py").write_text("import os\nopen('foreign', 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    answers = host.ask(look("fine"), run=LocalRun())

    assert "failed" not in answers.looks["fine"]
    assert not os.path.exists("foreign")
