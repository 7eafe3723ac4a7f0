# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An allowlist arrives on the host as it was compiled, with the bases of the host's distribution only."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

BASE = Rule("base", package="coreutils", manager="dpkg", origin="signed")
WEB = Rule("web", package="nginx", manager="rpm", allow_unverified=True, except_sha256=("a" * 64,), image="shop")
EXEMPTIONS = (Exemption("/x", "A test", "alice", until=1.5), Exemption("/y\\n*", "Another", "bob", user="ci"))
LISTS = (
    content.RuleList("base", "debian 12", (BASE,)),
    content.RuleList("web", "", (WEB, Rule("web", directory="/opt/\u00fc"))),
)


@pytest.mark.parametrize(
    ("distribution", "roles", "rules"),
    [("debian 12", ("base", "web"), (BASE, *LISTS[1].rules)), ("debian 13", ("web",), LISTS[1].rules)],
)
def test_allowlist_arrives_as_it_was(distribution: str, roles: tuple[str, ...], rules: tuple[Rule, ...]) -> None:
    sent = _payload.unpack(payload.packed(content.as_data(LISTS, EXEMPTIONS)))
    assert content.allowlist(sent, distribution) == Allowlist(roles, rules, EXEMPTIONS)
