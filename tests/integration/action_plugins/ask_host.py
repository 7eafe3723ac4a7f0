# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host for looks, as a task of a test's play. What the host keeps is noted in a file of the controller."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import typing as t
import zlib

from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import archive
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.exchange import ask
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.execution import runner
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Look, Options


def _add_code(source: str) -> None:
    """Send a module of the test with the collection's. This process is of this task only."""
    sources = json.loads(zlib.decompress(base64.b64decode(archive.load().packed)))
    text = json.dumps({**sources, "probe.py": source}, sort_keys=True).encode("ascii")
    made = archive.Archive(base64.b64encode(zlib.compress(text)).decode("ascii"), hashlib.sha256(text).hexdigest())
    archive.load = lambda: made


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        given = self._task.args
        pins = pathlib.Path(given["pins"])
        known = json.loads(pins.read_text(encoding="utf-8")) if pins.exists() else {}
        sent: list[int] = []
        run = runner(self, task_vars or {})

        def counting(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
            sent.append(len(json.dumps(arguments)))
            return run(arguments)

        looks = [Look(**look) for look in given["looks"]]
        _add_code(given["extra_code"])
        answers = ask(counting, looks, Options(state_dir=given.get("state_dir")), known)
        pins.write_text(json.dumps(answers.pins), encoding="utf-8")
        return t.cast(
            "dict[str, t.Any]",
            wrap_var(
                {
                    "looks": dict(answers.looks),
                    "problem": answers.problem,
                    "notes": list(answers.notes),
                    "tampered": [list(tampered) for tampered in answers.tampered],
                    "sent": sent,
                }
            ),
        )
