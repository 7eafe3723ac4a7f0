# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report names the other hosts that show what a finding shows."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import cards, from_store, page, shared

from tests.unit.plugins.plugin_utils.report import stored
from tests.unit.plugins.plugin_utils.report.test_from_store import collect
from tests.unit.plugins.plugin_utils.report.test_page import Document

DIGEST = "ab" * 32


def event(host: str, digest: str = DIGEST, **more: t.Any) -> dict[str, t.Any]:
    file = {"name": "x", "type_id": 1, "hashes": [{"algorithm_id": 3, "value": digest}], **more}
    return stored.event(host, "/tmp/x", evidences=[{"file": file}])


def report(
    *events: tuple[str, dict[str, t.Any]], limits: from_store.Limits | None = None
) -> tuple[list[cards.Card], str]:
    with stored.store() as store:
        for host, observed in events:
            stored.record(store, host, [observed], now=10)
        data = collect(store, limits=limits)
    return sorted(data.cards.values(), key=lambda card: card.host), page.render(data)


def test_the_same_digest_on_web03_and_web07() -> None:
    made, text = report(*((host, event(host)) for host in ("web03", "web05", "web07")))
    assert [card.shared for card in made] == [
        [("digest", DIGEST, "web05 and web07")],
        [("digest", DIGEST, "web03 and web07")],
        [("digest", DIGEST, "web03 and web05")],
    ]
    assert f"<li>The same digest <bdi>{DIGEST}</bdi> on <bdi>web05 and web07</bdi></li>" in text
    data = Document(text).payload
    columns = data["findings"]["shared"]
    assert [[(data["names"][kind], value, data["texts"][hosts]) for kind, value, hosts in row] for row in columns] == [
        card.shared for card in sorted(made, key=lambda card: data["findings"]["uid"].index(card.uid))
    ]


def test_a_host_alone_in_its_report_still_has_the_others() -> None:
    made, _text = report(*((host, event(host)) for host in ("web03", "web07")), limits=from_store.Limits(("web03",)))
    assert [(card.host, card.shared) for card in made] == [("web03", [("digest", DIGEST, "web07")])]


def test_nothing_shared_is_nothing_said() -> None:
    made, text = report(("web1", event("web1", path="/bin/bash")), ("web2", event("web2", "cd" * 32, path="/bin/bash")))
    assert [card.shared for card in made] == [(), ()]
    assert "The same" not in text.partition("<template")[0].partition("</main>")[0]


def test_many_hosts_are_counted_and_digests_come_first() -> None:
    hosts = [f"web{number:02}" for number in range(19)]
    made, _text = report(*((host, event(host, path="/opt/evil")) for host in hosts))
    named = ", ".join(hosts[1:7])
    assert made[0].shared == [
        ("digest", DIGEST, f"{named} and 12 more hosts"),
        ("path", "/opt/evil", f"{named} and 12 more hosts"),
    ]


def test_hostile_values_are_shown_as_they_are() -> None:
    evil = "/opt/<script>alert(1)</script>\\u202e"
    made, text = report(
        *((host, event(host, f"{number:064x}", path=evil)) for number, host in enumerate(("a", "b"), 1))
    )
    assert made[0].shared == [("path", evil, "b")]
    assert "<script>alert(1)" not in text


def test_a_finding_lists_a_few() -> None:
    evidences = [{"src_endpoint": {"ip": f"203.0.113.{number}"}} for number in range(1, 20)]
    made, _text = report(*((host, stored.event(host, "x", evidences=evidences)) for host in ("a", "b")))
    assert [len(card.shared) for card in made] == [shared.LIMIT] * 2
