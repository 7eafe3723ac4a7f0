# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Debian that enforces a policy of its own packages, deployed without a controller and without a trial."""

from __future__ import annotations

import json
import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.content import RuleList, as_data
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.support import enforcing_host, paths, waiting

_TOP = "/root/collection"
_COLLECTION = f"{_TOP}/ansible_collections/bulwark/servers"
# As the module does it in the end.
_DEPLOY = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hook_files, renewal, state
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Options
before = state.Before({}, {}, False, False, ())
options = Options("enforce", ("ext3",), 0)
with state.directory(None, create=True) as where:
    content, connection = sys.stdin.read(), {"transport": "ssh"}
    state.write(where, state.Deployed("enforce", {}, {}, before, content, options._asdict(), 0.0, "", connection))
    renewal.renew(where)
for path, file in hook_files.files("/var/lib/bulwark").items():
    with open(path, "wb") as stream:
        stream.write(file.content)
    os.chmod(path, file.mode)
"""


class EnforcedHost:
    """A host on which fapolicyd enforces. Its allowlist has all packages that it is installed with, and ``also``."""

    def __init__(
        self,
        host: enforcing_host.Host,
        also: t.Sequence[str] = (),
        more: t.Sequence[Rule] = (),
        exemptions: t.Sequence[Exemption] = (),
    ) -> None:
        self.host = host
        shutil.copytree(paths.ROOT / "plugins/module_utils", host.path(f"{_COLLECTION}/plugins/module_utils"))
        names = host.run("dpkg-query --show --showformat='${Package}\\n'").stdout.split()
        rules = [*(Rule("web", package=name, manager="dpkg") for name in (*names, *also)), *more]
        content = payload.packed(as_data([RuleList("web", "", tuple(rules))], exemptions))
        host.path("/root/content").write_text(content)
        host.run(["sh", "-c", 'python3 -c "$0" "$1" < /root/content', _DEPLOY, _TOP], seconds=60)
        host.run("systemctl enable --now fapolicyd")
        host.run("cp /usr/bin/true /root/canary")
        waiting.until(self.is_enforcing, "the canary runs")

    def is_enforcing(self) -> bool:
        return self.runs("/root/canary") is False

    def runs(self, path: str) -> bool:
        """Say whether a program may run; AssertionError where it fails otherwise."""
        result = self.host.run(["/bin/sh", "-c", f"exec {path}"], check=False)
        assert result.returncode in (0, 126), result.stderr
        return result.returncode == 0

    def pending(self) -> dict[str, t.Any] | None:
        """Return the trust of an upgrade that has not ended."""
        file = self.host.path("/var/lib/bulwark/app_enforcement/upgrade.json")
        return json.loads(file.read_text()) if file.exists() else None
