# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import explained, model

from tests.unit.plugins.plugin_utils.report import samples


def entry(host: str, *told: model.Explained, scope: str = "programs") -> model.Coverage:
    return samples.coverage(host=host, scope=scope, explained=told, explained_count=sum(item.count for item in told))


def test_what_is_on_the_fewest_hosts_comes_first() -> None:
    common = model.Explained("libc6 2.41", 4, ("/lib/libc.so.6",))
    forged = model.Explained("helper 0.1", 1, ("/usr/bin/helper",))
    entries = [entry("web1", common), entry("web2", common, forged), entry("web2", common, scope="libraries")]
    assert explained.groups(entries) == (
        explained.Group("file_integrity", "helper 0.1", 1, ("web2",), ("/usr/bin/helper",)),
        explained.Group("file_integrity", "libc6 2.41", 12, ("web1", "web2"), ("/lib/libc.so.6",)),
    )


def test_the_sentence_counts_changes_and_hosts() -> None:
    one = model.Explained("bash 5.2", 1, ())
    assert explained.sentence([entry("web1")]) == ""
    assert explained.sentence([entry("web1", one)]) == "1 change is explained by packages, updates and the like"
    assert (
        explained.sentence([entry("web1", one), entry("web2")])
        == "1 change on 1 host is explained by packages, updates and the like"
    )
    assert explained.sentence([entry("web1", one), entry("web2", one)]) == (
        "2 changes on 2 hosts are explained by packages, updates and the like"
    )


def test_what_exceptions_accept_is_said_not_to_count() -> None:
    accepted = model.Explained("exception: not reachable", 2, ("CVE-2024-0001 of openssl",))
    assert explained.sentence([entry("web1", accepted)]) == (
        "2 vulnerabilities are accepted by exceptions, which the secure score does not count"
    )


def test_what_people_allowed_is_not_said_to_be_of_packages() -> None:
    allowed = model.Explained("allowlist: /usr/lib/acme/host (ticket 4711)", 2, ("/usr/lib/acme/host",))
    packaged = model.Explained("bash 5.2", 1, ())
    assert explained.sentence([entry("web1", allowed)]) == "2 signs are allowed by allowlists"
    assert explained.sentence([entry("web1", packaged), entry("web2", allowed)]) == (
        "1 change on 1 host is explained by packages, updates and the like, "
        "and 2 signs on 1 host are allowed by allowlists"
    )


def test_what_a_document_says_is_not_said_to_be_accepted() -> None:
    accepted = model.Explained("exception: not reachable", 2, ())
    stated = model.Explained("said not to be affected by VEX document /srv/vex.json: inline_mitigations_exist", 1, ())
    ending = ", which the secure score does not count"
    words = "1 vulnerability is said not to affect its packages by VEX documents"
    assert explained.sentence([entry("web1", stated)]) == words + ending
    assert explained.sentence([entry("web1", accepted, stated)]) == (
        f"2 vulnerabilities are accepted by exceptions, and {words}{ending}"
    )
