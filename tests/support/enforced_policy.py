# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy that the collection makes of an allowlist, on a host of the tests: without a trial, and without a role."""

from __future__ import annotations

import typing as t

from tests.support import collection, enforcing_host, waiting

COLLECTIONS: t.Final = "/opt/collections"
# Reads an allowlist as it travels. Denials leave no record, as the kernel has one audit log, which is another test's.
_DEPLOY = f"""
import pathlib, sys
sys.path.insert(0, {COLLECTIONS!r})
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content as travelling
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import facts, policy, trusted
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.host import distribution
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import config, trust
content = _payload.unpack(sys.stdin.read())
host_facts = trusted.facts({{"state_dir": "/run/state", "_connection": {{"pipelining": True}}}}, content, "1.3.4")
options = facts.Options(policy.ENFORCE, ("ext3",))
made = policy.compile_policy(travelling.allowlist(content, distribution()), host_facts, options)
etc = pathlib.Path("/etc/fapolicyd")
rules = "".join(rule.replace("deny_audit", "deny") + "\\n" for rule in made.rules)
(etc / "rules.d/00-bulwark.rules").write_text(rules)
(etc / "trust.d/bulwark").write_bytes(trust.render(made.trusted))
settings = (etc / "fapolicyd.conf").read_text()
(etc / "fapolicyd.conf").write_text(config.changed(settings, made.settings))
"""
_CANARY: t.Final = "/root/canary"


def deploy(host: enforcing_host.Host, allowlist: str) -> None:
    """Write the policy of an allowlist, packed as the controller sends it. The daemon must not run."""
    host.path(COLLECTIONS).mkdir(exist_ok=True)
    collection.copy(host.path(COLLECTIONS))
    host.run(["/usr/bin/python3", "-W", "error", "-c", _DEPLOY], given=allowlist)
    host.run(["cp", "/usr/bin/true", _CANARY])


def start(host: enforcing_host.Host) -> None:
    """Start the daemon, or start it again, and return when it refuses an untrusted program."""
    host.run("systemctl restart fapolicyd")
    waiting.until(lambda: host.run(_CANARY, check=False).returncode == 126, "fapolicyd enforces nothing")


def packages(host: enforcing_host.Host) -> list[str]:
    """Return the names of the host's packages."""
    return sorted(set(host.run(["dpkg-query", "--show", "--showformat=${Package}\\n"]).stdout.split()))
