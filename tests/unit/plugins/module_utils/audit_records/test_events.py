# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import hypothesis.strategies as st
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner
from hypothesis import given

from tests.support import paths, require


def lines(serial: int, second: int = 100) -> list[str]:
    stamp = f"msg=audit(17800001{second % 100:02}.000:{serial}):"
    return [
        f"type=SYSCALL {stamp} arch=c000003e syscall=59\n",
        f'type=CWD {stamp} cwd="/"\n',
        f"type=PROCTITLE {stamp} proctitle=78\n",
    ]


def joined(text: str, size: int | None = None) -> list[tuple[int, int]]:
    """Return number and lines of each event, of a log that comes in chunks of so many lines."""
    joiner = Joiner()
    parts = text.splitlines(keepends=True)
    step = size or len(parts) or 1
    events = []
    for start in range(0, len(parts), step):
        events += joiner.events("".join(parts[start : start + step]).encode())
        # As the next run finds it.
        joiner = Joiner(joiner.state())
    events += joiner.rest(1e12)
    return [(event.serial, event.raw.count(b"\n")) for event in events]


@given(st.permutations([0, 0, 0, 1, 1, 1, 2, 2, 2]), st.integers(1, 9))
def test_mixed_events_come_apart_wherever_a_run_ends(order: list[int], size: int) -> None:
    records = [iter(lines(serial)) for serial in range(3)]
    text = "".join(next(records[place]) for place in order)
    assert sorted(joined(text, size)) == [(0, 3), (1, 3), (2, 3)]


def test_an_event_without_an_end_is_complete_when_time_has_passed() -> None:
    cut = "".join(lines(1, 10)[:2])
    joiner = Joiner()
    assert list(joiner.events(cut.encode())) == []
    assert [event.serial for event in joiner.events("".join(lines(2, 12)).encode())] == [2]
    assert [event.serial for event in joiner.events("".join(lines(3, 13)).encode())] == [3]
    assert [event.serial for event in joiner.events("".join(lines(4, 14)).encode())] == [1, 4]


def test_lines_that_are_no_records_are_counted_and_hurt_nothing() -> None:
    good = lines(1) + lines(2)
    bad = ["garbage\n", "type=SYSCALL msg=audit(x): a=1\n", "\x00\xff\n", "type= msg=audit(1.000:1): \n"]
    mixed = [line for pair in itertools.zip_longest(good, bad) for line in pair if line]
    joiner = Joiner()
    events = list(joiner.events("".join(mixed).encode("latin-1")))
    assert [event.serial for event in events] == [1, 2]
    assert joiner.damaged == len(bad)


def test_records_of_several_nodes_and_of_user_space_are_events() -> None:
    text = (
        "node=web1 type=USER_LOGIN msg=audit(1780000100.000:1): pid=1 uid=0\n"
        "type=USER_LOGIN msg=audit(1780000100.000:2): pid=1 uid=0\n"
    )
    assert joined(text) == [(1, 1), (2, 1)]


def test_anomalies_that_programs_report_stand_alone_and_those_of_the_kernel_do_not() -> None:
    joiner = Joiner()
    locked = "type=ANOM_LOGIN_FAILURES msg=audit(1780000100.000:1): pid=1 uid=0 msg='op=pam_faillock suid=1001'\n"
    crashed = "type=ANOM_ABEND msg=audit(1780000100.000:2): auid=0 uid=0 pid=2 sig=11\n"
    assert [event.serial for event in joiner.events((locked + crashed).encode())] == [1]


def test_events_that_never_end_do_not_fill_the_memory() -> None:
    joiner = Joiner()
    text = "".join(f"type=SYSCALL msg=audit(1780000100.000:{serial}): x\n" for serial in range(30_000))
    assert len(list(joiner.events(text.encode()))) == 20_000
    assert len(joiner.state()) == 10_000


def test_an_event_of_endless_records_is_cut() -> None:
    joiner = Joiner()
    line = f"type=EXECVE msg=audit(1780000100.000:1): {'x' * 100_000}\n".encode()
    for _time in range(200):
        assert list(joiner.events(line)) == []
    assert joiner.cut > 0
    assert sum(map(len, joiner.state())) <= 8 * 1024 * 1024


def test_the_logs_of_go_libaudit_have_their_events_in_any_order() -> None:
    require("data:go-libaudit")
    directory = paths.data("go-libaudit") / "testdata"
    normal = sorted(joined((directory / "normal.log").read_text()))
    assert sorted(joined((directory / "out_of_order.log").read_text())) == normal
    assert len(normal) > 3


def test_what_a_program_says_does_not_change_what_the_kernel_says() -> None:
    body = (
        b'pid=1 uid=1000 auid=1000 ses=2 msg=\'op=x auid=0 uid=0 acct="root" exe="/tmp/x" res=success\'\x1dUID="alice"'
    )
    fields = decode.body_fields(body)
    assert (fields["uid"], fields["auid"], fields["acct"], fields["UID"]) == ("1000", "1000", "root", "alice")


def test_arguments_in_pieces_are_joined_and_decoded() -> None:
    bodies = [
        b'argc=3 a0="echo" a1_len=8 a1[0]=C3',
        b'a1[1]=A46279 a2="x"',
    ]
    assert decode.arguments(bodies, 1000) == ("echo", "\u00e4by", "x")
    assert decode.arguments([b'argc=2 a0="echo" a1="x y"'], 1000) == ("echo", "x y")
    assert decode.arguments([b'argc=2 a0="echo" a1=7820'], 1000) == ("echo", "x ")
    assert decode.arguments([b'argc=2 a0="echo" a1="x"'], 1000) == ("echo", "x")
    assert decode.arguments([b'argc=1 a0=""'], 1000) == ("",)
    assert decode.arguments([b'argc=2 a0="echo" a1=78\''], 1000) == ("echo", "x")
    assert decode.arguments([b'argc=2 a0="echo" a1="x"'], 6) == ("echo",)


def test_a_long_word_is_no_field_and_takes_no_time() -> None:
    assert decode.body_fields(b"x" * 1_000_000 + b" a=1") == {"a": "1"}
