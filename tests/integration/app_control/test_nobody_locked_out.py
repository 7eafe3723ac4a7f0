# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody is locked out: a policy on trial that stops everybody, and a host that is as before when its time is over.

``BULWARK_LOCKOUT_RUNS`` says how often each way is tried; then the seconds after the trial's time are shown, too.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import difflib
import os
import pathlib
import signal
import typing as t

import pytest

from tests.integration.app_control._tried_host import TriedHost
from tests.support import enforcing_host

pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS), pytest.mark.xdist_group("enforce")]

_RUNS = int(os.environ.get("BULWARK_LOCKOUT_RUNS", "5"))
_HOSTS = int(os.environ.get("BULWARK_LOCKOUT_HOSTS", "8"))
_IS_QUIET = "BULWARK_LOCKOUT_RUNS" in os.environ
# Eight hosts change at once. A run that is killed after its trial is over, before it noticed that, may leave the daemon
# started: a busy machine needs more than five seconds for the change.
_SECONDS = 5 if _IS_QUIET else 12
# The way back takes less than two seconds; a busy machine takes longer.
_GRACE = 2.0 if _IS_QUIET else 20.0

_PROGRAMS = {"ansible": "/usr/bin/python3.13", "sshd": "/usr/lib/openssh/sshd-session", "sudo": "/usr/bin/sudo"}
_PHASES = ("before the trial", "before the change", "mounted", "before its check", "confirming")


class Way(t.NamedTuple):
    """A way to lose a host. lacks: what the policy lacks. phase: where the run is killed."""

    lacks: str
    phase: str = "never"
    stops: bool = False
    twice: bool = False


_WAYS = {
    **{f"blocks {name}": Way(program) for name, program in _PROGRAMS.items()},
    "daemon stopped": Way("nothing", stops=True),
    "trust database full": Way("room"),
    **{f"killed {phase}": Way("nothing", phase) for phase in _PHASES},
    "change after the trial": Way("/usr/bin/sudo", "too late"),
    "two runs": Way("nothing", twice=True),
}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[list[TriedHost]]:
    # pytest makes the first directory of all when it is asked for one, which two threads must not do at once.
    directories = [tmp_path_factory.mktemp("host") for _number in range(_HOSTS)]
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(_HOSTS) as pool:

        def boot(directory: pathlib.Path) -> TriedHost:
            return TriedHost(stack.enter_context(enforcing_host.booted(directory)))

        yield list(pool.map(boot, directories))


def test_every_way_leads_back(hosts: list[TriedHost], tmp_path: pathlib.Path) -> None:
    turns = [(name, number) for number in range(_RUNS) for name in _WAYS]

    def work(number: int) -> list[Return]:
        return [_lost_and_back(hosts[number], name, turn % 2 == 1) for name, turn in turns[number::_HOSTS]]

    with concurrent.futures.ThreadPoolExecutor(_HOSTS) as pool:
        results = [each for outcomes in pool.map(work, range(_HOSTS)) for each in outcomes]

    late = {name: [each.late for each in results if each.way == name] for name in _WAYS}
    shown = "".join(f"{name}: {len(times)}, {max(times):.2f} s at most\n" for name, times in late.items())
    # For people who measure: the last directories of tests are kept.
    (tmp_path / "late").write_text(shown)
    assert all(max(times) < _GRACE for times in late.values()), shown
    locks = {
        name
        for name, way in _WAYS.items()
        if way.stops or way.twice or (way.lacks.startswith("/") and way.phase == "never")
    }
    assert {each.way for each in results if each.is_shown} == locks


class Return(t.NamedTuple):
    """late: seconds after the time of the trial until the host was as before. is_shown: that it locked people out, or
    that one of two was refused.
    """

    way: str
    late: float
    is_shown: bool


def _lost_and_back(tried: TriedHost, name: str, is_active: bool) -> Return:
    """Try one way."""
    way = _WAYS[name]
    tried.set_active(is_active)
    before = tried.state()
    programs = [tried.propose(way.lacks, way.phase, _SECONDS) for _run in range(2 if way.twice else 1)]
    is_shown = False
    if way.stops or (way.lacks.startswith("/") and way.phase == "never"):
        assert programs[0].stdout is not None
        # A busy machine may need all the time for the change.
        is_shown = programs[0].stdout.readline() == "began\n"
    if is_shown and way.stops:
        for daemon in tried.daemons():
            os.kill(daemon, signal.SIGSTOP)
    elif is_shown:
        is_shown = tried.is_refused(way.lacks)
    seconds = tried.await_return(*programs)
    began = [program.communicate()[0] == "began\n" for program in programs]
    is_shown = is_shown or (way.twice and sorted(began) == [False, True])
    after = tried.state()
    # A run that is killed before its trial leaves this for the next one.
    assert way.phase == "before the trial" or not tried.host.path("/etc/.fapolicyd-bulwark").exists()
    assert after == before, "\n".join(difflib.ndiff(*("".join(each).splitlines() for each in (before, after))))
    assert tried.lets_people_in()
    return Return(name, max(0.0, seconds - _SECONDS), is_shown)


def test_a_run_that_is_killed_while_it_confirms_leaves_one_policy_or_the_other(hosts: list[TriedHost]) -> None:
    tried = hosts[0]
    tried.set_active(False)
    before = tried.state()
    program = tried.propose("/usr/bin/sudo", "asked", _SECONDS)
    tried.await_return(program)
    program.communicate()

    files, mounts, _daemon = tried.state()
    assert mounts == before[1]
    confirmed = "/usr/bin/sudo " not in tried.host.run("cat /etc/fapolicyd/trust.d/bulwark.trust").stdout
    assert confirmed or files == before[0]
