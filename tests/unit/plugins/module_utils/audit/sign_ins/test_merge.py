# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.merge import Merged
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn


def one(
    family: str, moment: float, user: str = "root", source: str = "192.0.2.1", outcome: str = model.FAILURE
) -> SignIn:
    return SignIn(moment, outcome, "sshd", user, source, family=family)


def told(*streams: list[SignIn], saved: object = ()) -> list[tuple[str, float]]:
    return [(found.family, found.time) for found in Merged(saved).merge(streams)]  # type: ignore[arg-type]


def test_each_family_tells_of_the_same() -> None:
    assert told(
        [one("log", 100.0), one("log", 101.0)],
        [one("audit", 100.2), one("audit", 101.2)],
        [one("utmp", 100.9, source=""), one("utmp", 102.0, source="")],
    ) == [("log", 100.0), ("log", 101.0)]


def test_what_only_a_later_family_tells_counts() -> None:
    found = told([one("log", 100.0)], [one("audit", 300.0), one("audit", 100.1, user="bob", source="192.0.2.9")])
    assert sorted(found) == [("audit", 100.1), ("audit", 300.0), ("log", 100.0)]


def test_an_outcome_is_not_taken_for_the_other() -> None:
    assert len(told([one("log", 100.0)], [one("audit", 100.0, outcome=model.SUCCESS)])) == 2


def test_the_order_is_that_of_time() -> None:
    logs = [one("log", moment, user=f"u{moment}", source="") for moment in (1.0, 200.0, 400.0)]
    audits = [one("audit", moment, user=f"a{moment}", source="") for moment in (100.0, 300.0)]
    assert [moment for _family, moment in told(logs, audits)] == [1.0, 100.0, 200.0, 300.0, 400.0]


def test_a_line_that_comes_in_the_next_run_is_not_counted_again() -> None:
    first = Merged()
    assert len(list(first.merge([[], [one("audit", 100.0)]]))) == 1
    second = Merged(json.loads(json.dumps(first.saved())))
    assert list(second.merge([[one("log", 99.5)], []])) == []
    assert second.repeated == 1


def test_what_is_remembered_is_bounded() -> None:
    merged = Merged()
    for _found in merged.merge([[one("log", 100.0, user=f"u{number}", source="") for number in range(100_000)]]):
        pass
    assert len(json.dumps(merged.saved())) < 1_000_000
    for _found in merged.merge([[one("log", 1_000.0)]]):
        pass
    assert len(merged.saved()) == 1
