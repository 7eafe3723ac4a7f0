# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that are longer than Python reads, and lines of nothing but beginnings, end no look and stall none."""

from __future__ import annotations

import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader

from tests.support.sigma import rule, used
from tests.unit.plugins.module_utils.audit.detection.test_users_rules import log

_MANY = b"9" * 5_000
_USUAL = log(("x", "odd"))
_RULE = {"a": {"CommandLine|contains": "odd", "Exit": "0"}, "condition": "a"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"audit(1780000000.", b"audit(" + _MANY + b"."),
        (b"audit(1780000000.", b"audit(" + _MANY[:400] + b"."),
        (b"1780000000.002", b"1780000000." + _MANY),
        (b":2)", b":" + _MANY + b")"),
        (b"syscall=59", b"syscall=" + _MANY),
        (b"exit=0", b"exit=-" + _MANY),
        (b"item=0", b"item=" + _MANY),
        (b"a1=", b"a" + _MANY + b"="),
        (b"a1=", b"a1[" + _MANY + b"]="),
        (b" uid=0", b" uid=" + _MANY),
    ],
)
def test_numbers(old: bytes, new: bytes) -> None:
    forged = _USUAL.replace(old, new)
    assert forged != _USUAL
    reader = Reader(used(rule(_RULE)), {})
    reader.read(forged)
    reader.read(_USUAL)
    reader.finish(1e10)
    assert sum(detection["count"] for detection in reader.tally.detections(1000)[0]) >= 1


@pytest.mark.parametrize("beginning", [b"type=", b"node=", b"node=type="])
def test_lines_of_beginnings(beginning: bytes) -> None:
    reader = Reader(used(rule(_RULE)), {})
    before = time.process_time()
    reader.read(beginning * 40_000 + b"\n" + _USUAL)
    assert time.process_time() - before < 5
    assert reader.damaged == 1
    assert reader.tally.events == 1
