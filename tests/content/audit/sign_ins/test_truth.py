# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-ins against logs of others that say themselves what is in them: fail2ban's test lines, and loghub's logs."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import itertools
import json
import pathlib
import re
import typing as t
import zoneinfo

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import unknown_messages
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.attempts import Attempts
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, programs, stamps, syslog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line, SignIn

from tests.support import paths

_FOREVER = 1e12
# Where ours is not what fail2ban expects: the number of the connection's process, and why ours is right.
_PROBE = "a connection that ended at once is counted as aborted, and fail2ban has no such thing; neither has a failure"
_NOBODY = "sshd gave up on somebody it does not name: fail2ban can't ban nobody, but it was a failed sign-in"
_SAID_BY_PAM = "PAM said that it failed, and nothing was accepted; fail2ban says so, too, in its aggressive mode"
_TWICE = (
    "one module refused twice in one process, which two modules of one stack, as the fixture means, do not: pam_unix"
    " and pam_ldap sign with their own names (see test_attempts.py)"
)
_GAVE_UP = (
    "somebody who gives up while an existing account is being authenticated is all that is logged of a refused key;"
    " fail2ban counts it in its aggressive mode"
)
_KERNEL = "a message that begins with a prefix of the kernel's log is none of sshd"
DIFFERENCES: t.Mapping[int, str] = {
    16700: _PROBE,
    9148: _NOBODY,
    2716: _SAID_BY_PAM,
    1556: _TWICE,
    5672: _GAVE_UP,
    20878: _KERNEL,
    20879: _KERNEL,
    20880: _KERNEL,
}


@dataclasses.dataclass
class Case:
    """One line of fail2ban's, and what the line above it says."""

    number: int
    normal: bool
    said: t.Mapping[str, t.Any]
    line: Line

    @property
    def host(self) -> str:
        """Return the host that failed here, ? for one that an earlier line names, nothing where nobody failed."""
        if not self.said["match"] or "== 'aggressive'" in self.said.get("constraint", ""):
            return ""
        return model.address(self.said.get("host", "?"))


def cases(name: str) -> list[Case]:
    found = []
    normal, said = True, None
    clock = stamps.Clock(1_118_000_000 + 60 * 86_400)  # fail2ban's tests take place in 2005
    for number, text in enumerate((paths.data("fail2ban") / name).read_text(encoding="utf-8").splitlines(), 1):
        if text.startswith("# filterOptions"):
            normal = "{}" in text or "mode" not in text
        elif text.startswith("# failJSON:"):
            said = json.loads(text.partition(":")[2])
        elif text and not text.startswith("#"):
            line = syslog.parse(("Jan  1 00:00:00 " if name == "sshd-journal" else "") + text, clock)
            assert line is not None, f"{name}:{number} is no line of a log"
            assert said is not None, f"{name}:{number} has no failJSON"
            found.append(Case(number, normal, said, line))
            said = None
    return found


def connections(name: str) -> list[list[Case]]:
    """Return fail2ban's lines by connection: neighbours of one process."""
    groups = itertools.groupby(cases(name), key=lambda case: case.line.pid or -case.number)
    return [list(group) for _pid, group in groups]


def sign_ins(lines: t.Iterable[Line], end: float = _FOREVER) -> list[SignIn]:
    attempts = Attempts()
    found = []
    for line in lines:
        fact = programs.parse(line)
        if fact is not None:
            found += attempts.feed(line.time or 0.0, line.pid, line.repeated, fact)
    return found + attempts.settle(end)


def agrees(group: list[Case]) -> bool:
    """Say whether ours has the hosts of fail2ban: of its normal mode as failures, of the others at least as aborted."""
    unsuccessful = [found for found in sign_ins(case.line for case in group) if found.outcome != model.SUCCESS]
    ours = {found.source for found in unsuccessful}
    failed = {found.source for found in unsuccessful if found.outcome == model.FAILURE}
    expected = {case.host for case in group} - {""}
    if "?" in expected:  # it is remembered from an earlier line
        expected = {case.line.message.split(" from ")[1].split()[0] for case in group if " from " in case.line.message}
    strict = expected if group[0].normal else set()
    return ours == expected and strict <= failed


@pytest.mark.requires("data:fail2ban")
@pytest.mark.parametrize("name", ["sshd", "sshd-journal"])
def test_fail2ban(name: str) -> None:
    groups = connections(name)
    assert len(groups) >= 60
    different = {group[0].line.pid for group in groups if not agrees(group)}
    assert different == set(DIFFERENCES) - ({20878, 20879, 20880} if name == "sshd" else set())


@pytest.mark.requires("data:fail2ban")
def test_fail2ban_times() -> None:
    compared = 0
    for case in cases("sshd"):
        if "time" in case.said:
            expected = dt.datetime.fromisoformat(case.said["time"])
            if expected.year > 2005:  # written with a zone, and expected in the one that fail2ban's tests run in
                expected = expected.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Zurich"))
            assert case.line.time is not None
            assert int(case.line.time) == expected.timestamp(), f"line {case.number}"
            compared += 1
    assert compared >= 100


def log(name: str) -> list[Line]:
    path = pathlib.Path(paths.data("loghub") / name / f"{name}_2k.log")
    clock = stamps.Clock(path.stat().st_mtime)
    lines = [syslog.parse(text, clock) for text in path.read_text(encoding="utf-8").splitlines()]
    assert lines.count(None) <= 10  # "syslogd 1.4.1: restart." and the like
    return [line for line in lines if line is not None]


@pytest.mark.requires("data:loghub", "data:fail2ban")
def test_all_lines_of_others_are_understood() -> None:
    lines = log("OpenSSH") + log("Linux") + [case.line for name in ("sshd", "sshd-journal") for case in cases(name)]
    unknown = [
        line.message
        for line in lines
        if programs.parse(line) is None and unknown_messages.is_unknown(line.program, line.message)
    ]
    # Messages in which the kernel's log is quoted, as fail2ban allows.
    assert len(unknown) == 3
    assert all(message.startswith("kernel:") for message in unknown)


def by_source(found: t.Iterable[SignIn], outcome: str) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for one in found:
        if one.outcome == outcome:
            counts[one.source] += one.times
    return counts


def refused_passwords() -> collections.Counter[str]:
    """Count by source what sshd says of refused passwords, and connections of which it says nothing else."""
    text = (paths.data("loghub") / "OpenSSH" / "OpenSSH_2k.log").read_text(encoding="utf-8")
    counts: collections.Counter[str] = collections.Counter()
    failed: set[str] = set()
    tried: dict[str, str] = {}
    for pid, times, method, source in re.findall(
        r"sshd\[(\d+)\]: (?:message repeated (\d+) times: \[ )?Failed (\w+) for .* from (\S+) port \d+ ssh2", text
    ):
        if method == "none":
            tried[pid] = source
        else:
            failed.add(pid)
            counts[source] += int(times or 1)
    counts.update(source for pid, source in tried.items() if pid not in failed)
    invalid = re.findall(r"sshd\[(\d+)\]: Invalid user .* from (\S+)\n", text)
    counts.update(source for pid, source in invalid if pid not in failed and pid not in tried)
    return counts


@pytest.mark.requires("data:loghub")
def test_loghub_openssh() -> None:
    lines = log("OpenSSH")
    last = max(line.time or 0.0 for line in lines)
    failures = by_source(sign_ins(lines, end=last), model.FAILURE)
    assert len(failures) == 24
    assert failures == refused_passwords()
    assert failures.most_common(1) == [("183.62.140.253", 286)]
    # PAM has refused one more, of which the log ends before sshd says so.
    assert by_source(sign_ins(lines), model.FAILURE)["183.62.140.253"] == 287
    # 10 where each line counts once; two more have a line that says "message repeated 5 times".
    assert len([source for source, count in failures.items() if count >= 5]) == 12
    once = by_source(sign_ins(line._replace(repeated=1) for line in lines), model.FAILURE)
    assert len([source for source, count in once.items() if count >= 5]) == 10
    successes = [found for found in sign_ins(lines) if found.outcome == model.SUCCESS]
    assert [(found.user, found.source, found.method) for found in successes] == [("fztu", "119.137.62.142", "password")]


@pytest.mark.requires("data:loghub")
def test_loghub_linux() -> None:
    """A log of 2005, in which PAM is all that says that sign-ins failed."""
    lines = log("Linux")
    said = sum("authentication failure;" in line.message for line in lines)
    found = sign_ins(lines)
    failures = by_source(found, model.FAILURE)
    assert sum(failures.values()) == said
    assert failures.most_common(1)[0] == ("150.183.249.110", 80)
    opened = sum("session opened for user" in line.message for line in lines)
    assert len([one for one in found if one.outcome == model.SUCCESS]) == opened
