# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report says for whom ports were opened, and whether anybody came in."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import from_store, openings, page
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitSeen, JitUse, Store

from tests.unit.plugins.plugin_utils.store.samples import WANTED, person


def opened(store: Store, now: float, seen: JitSeen | None = None, **changes: t.Any) -> str:
    wanted = dataclasses.replace(WANTED, **changes)
    request = store.jit_request(wanted, now=now).request.id
    store.jit_decide(request, "approved", by=JitActor("bob", "ada"), reason="", now=now)
    store.jit_opening(request, by=person("alice"), now=now)
    store.jit_open(request, by=person("alice"), grant=request, now=now)
    if seen is not None:
        store.jit_settle("web1", [dataclasses.replace(seen, id=request)], now=now + 60)
    return request


@pytest.fixture
def store(tmp_path: pathlib.Path) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as made:
        yield made


def report(store: Store, now: float, **limits: t.Any) -> str:
    data = from_store.collect(
        store, catalogue.load(), {}, from_store.Limits(**limits), title="Report", version="1", now=now
    )
    return re.sub(
        r"\s+",
        " ",
        re.sub(r"<[^>]+>", " ", page.render(data).partition('<section id="openings"')[2].partition("</section>")[0]),
    )


def test_each_opening_has_its_people_and_its_use(store: Store) -> None:
    why = "CHG-1 <b>\x1b[2J"
    opened(store, 1000, JitSeen("", how="closed", ended=1050, used=JitUse(12, 3400, 1010, 1040)), justification=why)
    opened(store, 2000, JitSeen("", how="expired", ended=2040, used=JitUse(0, 0)), requested_for="carol")
    opened(store, 3000, JitSeen("", seconds_left=3000), requested_for="dora")
    text = report(store, 3100)
    assert text.index("dora") < text.index("carol") < text.index("CHG-1 &lt;b")
    assert "asked by alice, approved by bob (account ada)" in text
    assert "192.0.2.7, 2001:db8::/48" in text
    own = store.jit_request(WANTED, now=3050).request.id
    store.jit_decide(own, "approved", by=person("alice"), reason="", now=3050, self_approval=True)
    store.jit_opening(own, by=person("alice"), now=3050)
    assert "asked and approved by alice, and nobody else" in report(store, 3100)
    assert "22/tcp, 8000-8100/tcp" in text
    assert "12 packets, 3,400 bytes, last on 1970-01-01 00:17" in text
    assert text.count("never used") == 1
    assert text.count("not known") == 1
    assert "&lt;b&gt;\\x1b[2J" in text


def test_what_was_never_opened_or_not_asked_for_is_left_out(store: Store) -> None:
    request = store.jit_request(WANTED, now=100).request.id
    store.jit_decide(request, "approved", by=person("bob"), reason="", now=100)
    assert report(store, 200) == ""
    store.jit_opening(request, by=person("alice"), now=200)
    assert "not known" in report(store, 300)
    store.jit_end(request, "closed", by=person("alice"), reason="it could not be opened", now=310)
    assert report(store, 400) == ""
    opened(store, 1000)
    assert report(store, 1100, capabilities=("audit",)) == report(store, 1100, since=1050) == ""
    assert report(store, 1100, hosts=("web2",)) == ""
    assert "CHG-1" in report(store, 1100, capabilities=("jit_access",), hosts=("web*",))


def test_of_many_openings_the_rest_is_counted() -> None:
    opening = openings.Opening(
        "web1", ("22",), "both", ("192.0.2.7",), "ada", "ada", "bob", "CHG-1", "open", 100, None, None, None, None
    )
    (row,) = openings.rows([opening])
    assert row.command == ""
    assert (row.ports, row.used, row.is_used, row.state) == ("22/tcp+udp", "not known", None, "open")


def test_what_is_open_has_the_command_that_closes_it(store: Store) -> None:
    request = opened(store, 1000)
    command = f"ansible-playbook bulwark.servers.jit_close -e jit_request={request} -e jit_reason=WHY"
    page = report(store, 1100)
    assert command in page
    advice = "add the --inventory of your scans"
    assert advice in page
    later = report(store, 1000 + 10 * 86_400)
    assert "jit_close" not in later
    assert advice not in later


def test_what_may_be_open_has_the_command_too_and_it_names_another_store() -> None:
    opening = openings.Opening(
        "web1", ("22",), "tcp", ("192.0.2.7",), "ada", "ada", "bob", "CHG-1", "unknown", 100, None, None, None, None
    )
    request = "2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de"
    (row,) = openings.rows([dataclasses.replace(opening, request=request)], "sqlite:////srv/findings.db")
    assert row.command == (
        f"ansible-playbook bulwark.servers.jit_close -e jit_request={request} -e jit_reason=WHY"
        " -e bulwark_store=sqlite:////srv/findings.db"
    )
