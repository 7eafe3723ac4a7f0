# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``host_scan`` on this machine as ansible-core sends it, without a playbook around it."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

from tests.support import paths

_MODULE = paths.ROOT / "plugins" / "modules" / "host_scan.py"
_PLACEHOLDER = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"


class LocalRun:
    """Run the module as with pipelining, its source on standard input.

    account: number of another account that it runs as. sent: the sources. results: what the runs returned.
    """

    def __init__(self, python: str = sys.executable, account: int | None = None, **environment: str) -> None:
        self._command = [python]
        if account is not None:
            self._command = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", python]
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment}
        self.sent: list[str] = []
        self.results: list[dict[str, t.Any]] = []

    def source(self, arguments: dict[str, t.Any]) -> str:
        """Return what ansible-core sends."""
        return _MODULE.read_text(encoding="utf-8").replace(_PLACEHOLDER, json.dumps(arguments))

    def __call__(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        self.sent.append(self.source(arguments))
        completed = subprocess.run(
            self._command,
            input=self.sent[-1],
            capture_output=True,
            encoding="utf-8",
            env=self._environment,
            check=False,
        )
        assert (completed.returncode, completed.stderr) == (0, "")
        assert completed.stdout.isascii()
        assert completed.stdout.removesuffix("\n").isprintable()
        self.results.append(json.loads(completed.stdout))
        return dict(self.results[-1])
