# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, confirming and withdrawing trials."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import (
    Exchange,
    Kill,
    Plan,
    Remove,
    Run,
    Unmount,
)

from tests.integration.host_trial._host import Host, RefusedError, client

pytestmark = pytest.mark.requires("root", "command:unshare", "command:nsenter")

_LONG = 600
_TRIALS = "/run/bulwark/trials"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    machine = Host(tmp_path_factory.mktemp("host"))
    try:
        yield machine
    finally:
        machine.close()


def test_a_second_trial_of_the_same_name_is_refused(host: Host) -> None:
    token = host.start(Plan("twice", _LONG, ()))

    running = host.trial("current('twice')")
    assert (running["token"], running["seconds"], running["is_guarded"]) == (token, _LONG, True)
    with pytest.raises(RefusedError, match=r"another one that \S+ \(process \d+\) started runs for 5\d\d seconds more"):
        host.start(Plan("twice", 1, ()))
    # One of another name goes its own way.
    other = host.start(Plan("other", _LONG, ()))
    host.trial(f"confirm('other', {other!r})")
    assert host.trial("current('twice')")["token"] == token
    assert host.trial(f"withdraw('twice', {token!r})")["why"] == "it was withdrawn"
    host.start(Plan("twice", 1, ()))


def test_a_trial_that_has_ended_can_be_asked_again_and_not_changed(host: Host) -> None:
    confirmed = host.start(Plan("confirmed", _LONG, ()))
    host.trial(f"confirm('confirmed', {confirmed!r})")
    host.trial(f"confirm('confirmed', {confirmed!r})")
    with pytest.raises(RefusedError, match="can't be withdrawn: it was confirmed"):
        host.trial(f"withdraw('confirmed', {confirmed!r})")

    over = host.start(Plan("over", 1, ()))
    host.await_end("over")
    with pytest.raises(
        RefusedError, match="can't be confirmed: nobody confirmed it within 1 seconds, so that the host has"
    ):
        host.trial(f"confirm('over', {over!r})")
    assert host.trial(f"withdraw('over', {over!r})")["why"] == "nobody confirmed it within 1 seconds"


@pytest.mark.parametrize("call", ["confirm", "withdraw"])
def test_only_the_token_of_the_trial_decides(host: Host, call: str) -> None:
    token = host.start(Plan("token", _LONG, ()))

    for name, wrong in (("token", "0" * 16), ("unknown", token)):
        with pytest.raises(RefusedError, match="no such trial of"):
            host.trial(f"{call}({name!r}, {wrong!r})")
    host.trial(f"withdraw('token', {token!r})")


def test_confirming_at_the_last_moment_is_all_or_nothing(host: Host) -> None:
    """Each of some trials is confirmed about when its time is over; what the host is like agrees with the answer."""
    names = [f"late-{number}" for number in range(8)]
    script = (
        "import sys, time; from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import trial;"
        "from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import *;"
        "name, delay = sys.argv[1:]; old, new = '/run/%s.old' % name, '/run/%s.new' % name;"
        "open(old, 'x').write('old'); open(new, 'x').write('new');"
        "token = trial.start(Plan(name, 3, (Remove('/run/%s.back' % name),), (Exchange(old, new),)));"
        "open('/run/%s.back' % name, 'x').close();"
        "time.sleep(max(0.0, trial.current(name).left + float(delay)));"
        "error = None\n"
        "try: trial.confirm(name, token)\n"
        "except trial.TrialError as problem: error = str(problem)\n"
        "import json; print(json.dumps([error, trial.last(name).is_confirmed]))"
    )

    def confirmed(number: int) -> list[t.Any]:
        return list(json.loads(host.run(sys.executable, "-c", script, names[number], str((number - 4) / 100))))

    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(confirmed, range(len(names))))

    for name, (error, is_confirmed) in zip(names, results, strict=True):
        assert (error is None) == is_confirmed, error
        assert host.path(f"/run/{name}.old").read_text(encoding="ascii") == ("new" if is_confirmed else "old")
        assert host.path(f"/run/{name}.back").exists() == is_confirmed


@pytest.mark.parametrize("call", ["confirm", "withdraw"])
def test_how_it_ended_is_written_also_when_run_is_full(host: Host, call: str) -> None:
    token = host.start(Plan(f"full-{call}", _LONG, ()))
    host.run("mount", "-o", "remount,size=1m", "/run")
    try:
        host.run("sh", "-c", "! cat /dev/zero > /run/filled")
        host.trial(f"{call}('full-{call}', {token!r})")
    finally:
        host.run("rm", "/run/filled")
        host.run("mount", "-o", "remount,size=50%", "/run")
    assert host.trial(f"last('full-{call}')")["is_confirmed"] == (call == "confirm")


def test_a_step_forward_that_fails_leads_back(host: Host) -> None:
    for name in ("first", "second"):
        host.path(f"/run/{name}").write_text(name, encoding="ascii")
    host.path("/run/directory").mkdir()
    forward = (Exchange("/run/first", "/run/second"), Remove("/run/directory"), Remove("/run/first"))
    token = host.start(Plan("forward", _LONG, (Run(("touch", "/run/went-back"), 10.0),), forward))

    with pytest.raises(RefusedError, match="could not be made to last: Remove /run/directory: Is a directory, so that"):
        host.trial(f"confirm('forward', {token!r})")
    assert host.path("/run/first").read_text(encoding="ascii") == "first"
    assert host.path("/run/went-back").exists()


def test_steps_of_a_change_that_was_not_made_do_nothing(host: Host) -> None:
    host.path("/run/kept").mkdir()
    host.run("mount", "-t", "tmpfs", "tmpfs", "/run/kept")
    host.path("/run/kept/file").touch()
    host.path("/run/one").write_text("one", encoding="ascii")
    host.path("/run/two").write_text("two", encoding="ascii")
    back = (Kill(("/no/such/file",)), Unmount("/run/kept"), Exchange("/run/one", "/run/two"), Remove("/run/absent"))
    token = host.start(Plan("nothing", _LONG, back))

    assert host.trial(f"withdraw('nothing', {token!r})")["failed"] == []
    assert host.path("/run/kept/file").exists()
    assert host.path("/run/one").read_text(encoding="ascii") == "one"


def test_a_step_back_that_fails_or_hangs_stops_no_other(host: Host) -> None:
    host.path("/run/not-empty").mkdir()
    slow, fails, last = Run(("sleep", "600"), 0.2), Run(("false",), 10.0), Run(("touch", "/run/last-step"), 10.0)
    token = host.start(Plan("failing", _LONG, (Remove("/run/not-empty"), slow, fails, last)))

    assert [sentence.split(": ") for sentence in host.trial(f"withdraw('failing', {token!r})")["failed"]] == [
        ["Remove /run/not-empty", "Is a directory"],
        ["Run /usr/bin/sleep 600", "it did not end within 0.2 s"],
        ["Run /usr/bin/false", "it ended with status 1"],
    ]
    assert host.path("/run/last-step").exists()


def test_a_command_that_needs_paths_as_they_were_is_left_out_where_they_are_not(host: Host) -> None:
    for name in ("one", "two", "three"):
        host.path(f"/run/dir-{name}").mkdir()
    back = (
        Run(("touch", "/run/moved-is-removed"), 10.0, unmoved=("/run/dir-one", "/run/dir-two")),
        Run(("touch", "/run/unmoved-is-removed"), 10.0, unmoved=("/run/dir-three", "/run/no-such")),
    )
    token = host.start(Plan("unmoved", _LONG, back))
    host.run("mount", "--bind", "/run/dir-one", "/run/dir-two")

    assert host.trial(f"withdraw('unmoved', {token!r})")["failed"] == []
    assert host.path("/run/unmoved-is-removed").exists()
    assert not host.path("/run/moved-is-removed").exists()


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan("../name", 10, ()), "'../name' is not a name of a trial"),
        (Plan("name", 0, ()), "it would last 0 seconds"),
        (Plan("name", 10, (Unmount("etc"),)), "etc is not an absolute path"),
        (Plan("name", 10, (Kill((sys.executable,)),)), "the trial would kill its own interpreter"),
        (Plan("name", 10, (Run(("no-such-program",), 1.0),)), "there is no program no-such-program"),
    ],
    ids=["name", "seconds", "path", "interpreter", "program"],
)
def test_a_plan_that_can_not_be_performed_is_refused(host: Host, plan: Plan, reason: str) -> None:
    with pytest.raises(RefusedError, match=f"can't be started, and nothing was changed: {reason}"):
        host.start(plan)
    assert host.trial(f"current({plan.name!r})") is None


def test_only_root_can_start_one(host: Host) -> None:
    command = ("setpriv", "--reuid=65534", "--clear-groups", "--regid=65534")

    with pytest.raises(RefusedError, match="nothing was changed: root is needed"):
        host.start(Plan("name", 1, ()), *command)


def test_without_a_process_for_it_nothing_starts(host: Host) -> None:
    script = "import os, sys; os.fork = lambda: (_ for _ in ()).throw(BlockingIOError(11, 'Try again'));"
    script += "sys.argv = sys.argv[1:]; exec(compile(open(sys.argv[0]).read(), 'client', 'exec'))"

    result = json.loads(host.run(sys.executable, "-c", script, *client(f"start({Plan('forks', 9, ())!r})")[1:]))
    assert "nothing was changed: no process can be started (Try again)" in result["error"]
    assert host.trial("current('forks')") is None
    token = host.start(Plan("forks", _LONG, ()))
    host.trial(f"withdraw('forks', {token!r})")


@pytest.mark.parametrize("kind", ["symbolic link", "foreign", "writable", "file"])
def test_a_directory_that_is_not_roots_alone_is_refused(host: Host, kind: str) -> None:
    directory, aside = host.path(_TRIALS), host.path(_TRIALS + ".aside")
    token = host.start(Plan("aside", _LONG, ()))
    host.trial(f"withdraw('aside', {token!r})")
    directory.rename(aside)
    try:
        if kind == "symbolic link":
            host.path("/run/elsewhere").mkdir(mode=0o700, exist_ok=True)
            directory.symlink_to("/run/elsewhere")
        elif kind == "file":
            directory.touch()
        else:
            directory.mkdir(mode=0o777 if kind == "writable" else 0o700)
            directory.chmod(0o777 if kind == "writable" else 0o700)
            os.chown(directory, 65534 if kind == "foreign" else 0, 0)
        with pytest.raises(RefusedError, match="trials can't be kept: /run/bulwark/trials"):
            host.start(Plan("hostile", 1, ()))
    finally:
        directory.unlink() if not directory.is_dir() or directory.is_symlink() else directory.rmdir()
        aside.rename(directory)


def test_a_record_of_another_boot_says_nothing(host: Host) -> None:
    token = host.start(Plan("boots", _LONG, ()))
    host.trial(f"withdraw('boots', {token!r})")
    record = host.path(f"{_TRIALS}/boots.last")
    content = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**content, "boot": "another"}), encoding="utf-8")

    assert host.trial("last('boots')") is None


def test_what_it_leaves_is_a_lock_and_the_result(host: Host) -> None:
    token = host.start(Plan("left", _LONG, ()))
    host.trial(f"confirm('left', {token!r})")

    assert sorted(path.name for path in host.path(_TRIALS).glob("*left.*")) == ["left.last", "left.lock"]
    assert pathlib.Path(host.path(_TRIALS)).stat().st_mode & 0o777 == 0o700
