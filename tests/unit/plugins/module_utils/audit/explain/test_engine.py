# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is explained is a finding of its own, of the severity that the rule leaves, and is never dropped."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.matched_act import MatchedAct
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import AUTOMATION, PACKAGE, Explanation

from tests.support.sigma import problem, rule, used

_EVENT = """\
type=SYSCALL msg=audit(1780000{n:03}.000:{n}): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 \
items=2 ppid=1 pid={pid} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses={session} \
comm="x" exe="/usr/bin/x" key=(null)
type=EXECVE msg=audit(1780000{n:03}.000:{n}): argc=2 a0="x" a1="{argument}"
type=CWD msg=audit(1780000{n:03}.000:{n}): cwd="/"
type=PATH msg=audit(1780000{n:03}.000:{n}): item=0 name="/usr/bin/x" inode=1 dev=fe:00 mode=0100755 ouid=0 ogid=0 \
rdev=00:00 nametype=NORMAL
type=PROCTITLE msg=audit(1780000{n:03}.000:{n}): proctitle="x"
"""
_AUTOMATION = {"automation": "informational"}


class Known(Explainer[MatchedAct]):
    """Explains what happens in sessions that a record has named."""

    name, kind, records = "known", AUTOMATION, frozenset((b"USER_START",))

    def __init__(self) -> None:
        self.asked = 0
        self.sessions: dict[str, str] = {}

    def explain(self, act: MatchedAct) -> Explanation | None:
        self.asked += 1
        assert act.event.raw.startswith(b"type=")
        session = self.sessions.get(act.view["LogonId"])
        return None if session is None else Explanation(self.kind, f"It is session {session}")

    def note(self, event: Event) -> None:
        self.sessions[event.raw.rpartition(b"=")[2].strip().decode()] = str(event.serial)

    def load(self, state: t.Any) -> None:
        self.sessions = dict(state)

    def state(self) -> t.Any:
        return dict(self.sessions)

    copy = state
    restore = load


def executed(*sessions: int, start: int = 10, argument: str = "bad") -> bytes:
    return "".join(
        _EVENT.format(n=start + n, pid=1000 + n, session=session, argument=argument)
        for n, session in enumerate(sessions)
    ).encode()


def begins(session: int, n: int = 1) -> bytes:
    return b"type=USER_START msg=audit(1780000%03d.000:%d): pid=1 uid=0 ses=%d\n" % (n, n, session)


def detections(reader: Reader) -> list[dict[str, t.Any]]:
    return reader.tally.detections(100)[0]


def shown(reader: Reader) -> list[tuple[str, str, int]]:
    return [(each["subject"], each["severity"], each["count"]) for each in detections(reader)]


def bad(**changes: t.Any) -> dict[str, t.Any]:
    own = {"subject": ["Image"], "message": "{Image} is bad.", "explained_by": _AUTOMATION}
    return rule({"s": {"CommandLine|contains": "bad"}, "condition": "s"}, bulwark={**own, **changes}, name="bad")


def test_what_is_explained_is_a_finding_of_its_own() -> None:
    reader = Reader(used(bad()), {}, explainers=[Known()])
    reader.read(begins(7) + executed(7, 3, 7, 3))
    assert shown(reader) == [
        ("A rule: /usr/bin/x", "high", 2),
        ("A rule: /usr/bin/x (explained by automation)", "informational", 2),
    ]
    _plain, explained = detections(reader)
    assert explained["message"] == "/usr/bin/x is bad. Explained: It is session 1."
    assert [evidence["data"]["Explanation"] for evidence in explained["evidences"]] == 2 * ["It is session 1"]
    assert (reader.tally.events, reader.tally.explained) == (4, 2)


def test_only_hits_of_rules_that_can_be_explained_are_asked_about() -> None:
    known = Known()
    reader = Reader(used(bad(explained_by={})), {}, explainers=[known])
    reader.read(begins(7) + executed(7))
    assert shown(reader) == [("A rule: /usr/bin/x", "high", 1)]
    reader = Reader(used(bad(explained_by={"package": "low"})), {}, explainers=[known])
    reader.read(begins(7) + executed(7))
    assert shown(reader) == [("A rule: /usr/bin/x", "high", 1)]
    reader = Reader(used(bad()), {}, explainers=[known])
    reader.read(begins(7) + executed(7, 7, argument="good"))
    assert known.asked == 0


def test_the_next_run_goes_on_from_what_explainers_know() -> None:
    reader = Reader(used(bad()), {}, explainers=[Known()])
    reader.read(begins(7))
    again = Reader(used(bad()), reader.state(), explainers=[Known()])
    again.read(executed(7))
    assert shown(again) == [("A rule: /usr/bin/x (explained by automation)", "informational", 1)]
    damaged = Reader(used(bad()), {**reader.state(), "explainers": {"known": 5}}, explainers=[Known()])
    damaged.read(executed(7))
    assert [severity for _subject, severity, _count in shown(damaged)] == ["high"]
    assert any("the state of known was discarded" in each for each in damaged.problems)


@pytest.mark.parametrize("explained", [_AUTOMATION, {}])
def test_explained_parts_of_a_correlation_count_in_a_group_of_their_own(explained: dict[str, str]) -> None:
    together = {
        "title": "Together",
        "correlation": {"type": "event_count", "rules": ["bad"], "timespan": "1h", "condition": {"gte": 3}},
        "level": "high",
        "bulwark": {"subject": ["Image"], "explained_by": explained},
    }
    step = bad(explained_by={}, step=True)

    def reader(*sessions: int) -> Reader:
        made = Reader(used(step, together), {}, explainers=[Known()])
        made.read(begins(7) + executed(*sessions))
        return made

    mixed = [("Together: /usr/bin/x", "high", 4)]
    assert shown(reader(7, 7, 3, 3)) == ([] if explained else mixed)
    if explained:
        assert shown(reader(3, 7, 3, 7, 3)) == [("Together: /usr/bin/x", "high", 3)]
        assert shown(reader(7, 3, 7, 3, 7)) == [("Together: /usr/bin/x (explained by automation)", "informational", 3)]
        first = reader(7, 7, 3)
        again = Reader(used(step, together), first.state(), explainers=[Known()])
        again.read(executed(7, start=20))
        assert shown(again) == [("Together: /usr/bin/x (explained by automation)", "informational", 3)]


def test_a_name_does_not_make_an_explained_subject() -> None:
    tally = Tally("events")
    explanation = Explanation(PACKAGE, "It is of cron")
    tally.add("some_alert", "/x", {}, 1.0, severity="low", explanation=explanation)
    tally.add("some_alert", "/x (explained by package)", {}, 2.0, severity="low")
    first, second = tally.detections(10)[0]
    assert first["subject"] == "/x (explained by package\\x29"
    assert second["subject"] == "/x (explained by package)"


def test_what_is_explained_hides_nothing_else() -> None:
    tally = Tally("events")
    for number in range(2_100):
        explanation = Explanation(PACKAGE, f"It is of package {number}")
        tally.add("some_alert", f"/{number}", {}, number + 10.0, severity="low", explanation=explanation)
    tally.add("some_alert", "/x", {}, 1.0, severity="low")
    found, left_out = tally.detections(1)
    assert [each["subject"] for each in found] == ["/x"]
    assert (left_out, tally.dropped) == (2_000, 100)


def test_only_the_newest_explanations_are_shown() -> None:
    tally = Tally("events")
    for number in range(9):
        tally.add("some_alert", "/x", {}, 1.0, severity="low", explanation=Explanation(PACKAGE, f"Package {number}"))
    (detection,) = tally.detections(10)[0]
    assert detection["message"] == "Explained: Package 6; Package 7; Package 8."
    assert detection["count"] == 9


@pytest.mark.parametrize(
    ("explained", "said"),
    [
        ("automation", "explained_by is a mapping of kinds to severities"),
        ({"ansible": "low"}, "'ansible' is not one of automation, package"),
        ({"package": "none"}, "'none' is not one of informational, low"),
        ({"package": "critical"}, "an explanation can't raise high to critical"),
    ],
)
def test_what_a_rule_can_not_be_explained_by(explained: t.Any, said: str) -> None:
    assert said in problem(bad(explained_by=explained))
