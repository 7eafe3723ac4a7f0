# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reading adds to what is known, and what it says was lost."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import reader
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.kernel import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reading import Moment
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import Settings
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sockets import Listener, Sockets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.state import Book

DAY = 86400
NOON = 1769860800.0
SETTINGS = Settings(("in",), 64, 7, ((443, "tcp"),))


def _seen(packets: int, identity: str = "fd00::1", marked: str | None = None) -> Seen:
    element = Element(("192.0.2.7", "tcp", "22"), None, 7 * DAY, packets)
    return Seen(identity, marked, {f"in_tried4_64_{7 * DAY}s": [element]}, {})


def _add(book: Book, seen: Seen, days: float = 0.0, here: Sockets | None = None) -> reader.Report:
    return reader.add(book, seen, here or Sockets(), SETTINGS, Moment(NOON + days * DAY, 1000 + days * DAY))


def _count(book: Book) -> int:
    return sum(entry.count for entry in book.entries.values())


def test_a_table_that_was_made_anew_counts_from_nothing() -> None:
    book = Book()
    assert _add(book, _seen(3)).lost_since is None
    assert _add(book, _seen(5), 1).lost_since is None
    assert _count(book) == 5
    report = _add(book, _seen(2, "fd00::2"), 1.5)
    assert (report.lost_since, report.restored) == (NOON + DAY, False)
    assert _count(book) == 7
    assert (book.since, book.resumed) == (NOON, None)


def test_traffic_is_seen_anew_after_a_long_time_without() -> None:
    book = Book()
    _add(book, _seen(3))
    _add(book, _seen(2, "fd00::2"), 5)
    assert (book.since, book.resumed) == (NOON, NOON + 5 * DAY)


def test_a_copy_counts_nothing_and_a_table_that_is_known_is_none() -> None:
    book = Book()
    _add(book, _seen(3))
    assert _add(book, _seen(3, "fd00::2", marked="fd00::1"), 1).restored
    assert _count(book) == 3
    assert not _add(book, _seen(4, "fd00::2", marked="fd00::2"), 1).restored
    assert _count(book) == 4


def test_what_had_no_place_is_told_once_and_noted_where_it_matters() -> None:
    book = Book()
    comments = {"no place: in_tried": 5, "crowded: udp_flows": 1}
    seen = _seen(1)._replace(no_place=comments)
    assert _add(book, seen).no_place == comments
    assert _add(book, seen).no_place == {}
    assert book.full is None
    full = {"no place: in_proven": 2}
    assert _add(book, seen._replace(no_place=full), 1).no_place == full
    assert book.full == NOON + DAY


def test_connections_that_are_there_count_where_they_are_recorded() -> None:
    listeners = [Listener(port, "tcp", "::", 1) for port in (22, 443)]
    here = Sockets(listeners, {("192.0.2.8", 22), ("192.0.2.8", 443), ("192.0.2.8", 50000)})
    book = Book()
    _add(book, _seen(1), here=here)
    assert set(book.entries) == {("192.0.2.7", 22, "tcp", "in"), ("192.0.2.8", 22, "tcp", "in")}


def _sampling(packets: int, identity: str = "fd00::1", **no_place: int) -> Seen:
    found = _seen(packets, identity).found
    sampled = Element(("192.0.2.7", "tcp", "22"), None, 7 * DAY, packets * 10, packets * 1000)
    return Seen(identity, None, {**found, f"in_sampled4_64_{7 * DAY}s": [sampled]}, no_place)


def _watched(book: Book) -> int:
    return sum(entry.watched for entry in book.entries.values())


def test_only_what_came_while_samples_were_taken_counts_as_sampled() -> None:
    book = Book()
    _add(book, _seen(3))
    # The table has samples now, and it isn't known since when.
    _add(book, _sampling(5), 1)
    assert (_count(book), _watched(book)) == (5, 0)
    _add(book, _sampling(7), 2)
    assert (_count(book), _watched(book)) == (7, 2)
    # After a boot it takes them from the beginning.
    _add(book, _sampling(4, "fd00::2"), 2.5)
    assert (_count(book), _watched(book)) == (11, 6)
    # Some had no place.
    _add(book, _sampling(9, "fd00::2", **{"no place: in_sampled": 2}), 3)
    assert (_count(book), _watched(book)) == (16, 6)
    _add(book, _sampling(10, "fd00::2", **{"no place: in_sampled": 2}), 4)
    assert (_count(book), _watched(book)) == (17, 7)
