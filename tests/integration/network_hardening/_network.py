# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with network rules, and those who want to reach it, in network namespaces."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import apply, collect, options

from tests.integration.jit_access._jit import Site as JitSite
from tests.integration.jit_access._jit import defaults
from tests.support import network


class Site:
    """The host, a friend that the rules let in, and a stranger. The modules run in the thread of the test."""

    def __init__(self, directory: pathlib.Path, hosts: t.Sequence[network.Namespace]) -> None:
        self.host, self.friend, self.stranger = hosts
        self.state = directory / "state"
        self.jit = JitSite(directory, hosts)

    @property
    def friends(self) -> list[str]:
        return list(self.friend.address.values())

    def set(self, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        """Set rules as the module does, without confirming them; by default the friend may come to some ports."""
        spec = options.apply_spec()
        items = changes.pop("rules", [{"port": "22"}, {"port": "8000-8010", "protocol": "both"}])
        fields = spec["rules"]["options"]
        rules = [{**defaults(fields), **item} for item in items]
        for rule in rules:
            if not rule["prefixes"] and not rule["closed"]:
                rule["prefixes"] = self.friends
        params = {**defaults(spec), "rules": rules, "state_dir": str(self.state), **changes}
        with self.host.entered():
            return apply.apply(params, check)

    def enforce(self, **changes: t.Any) -> dict[str, t.Any]:
        """Enforce rules and confirm them, as the action plugin does."""
        tried = self.set(mode="enforce", **changes)
        return self.set(mode="enforce", _confirm=tried["trial"]["token"], **changes)

    def remove(self, check: bool = False) -> dict[str, t.Any]:
        return self.set(check, state="absent", rules=[])

    def info(self) -> dict[str, t.Any]:
        with self.host.entered():
            return collect.collect({"state_dir": str(self.state)}, True)

    def nft(self, *arguments: str, given: str | None = None) -> str:
        return self.host.run("nft", *arguments, given=given)

    def findings(self) -> dict[str, t.Any]:
        return {f"{found['alert']} {found['subject']}": found for found in self.info()["detections"]}

    def denied(self, key: str = "denied") -> dict[tuple[str, str, int], int]:
        """Return how many packets are remembered, by source, protocol and port."""
        return {(one["source"], one["protocol"], one["port"]): one["packets"] for one in self.info()[key]}


@contextlib.contextmanager
def site(directory: pathlib.Path) -> t.Iterator[Site]:
    with network.hosts("host", "friend", "stranger") as hosts:
        yield Site(directory, hosts)
