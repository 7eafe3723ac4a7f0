# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What content may ask of a simulation, and what it is told when it asks for more."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import scenario

Content = t.Mapping[str, t.Any]


def calling(call: t.Any) -> Content:
    return {"runs": [{"name": "bash", "calls": [call]}]}


def running(**fields: t.Any) -> Content:
    return {"runs": [{"name": "bash", **fields}]}


WRONG: t.Sequence[tuple[Content, str]] = (
    ({}, "does nothing: it needs 'runs', 'records' or 'visits'"),
    ({"runs": {}}, "'runs' is not a list"),
    ({"runs": ["bash"]}, "a run is not a mapping"),
    ({"runs": [{}]}, "'name' is not text"),
    ({"needs": [1], **running()}, "'needs' is not a list of strings; quote numbers"),
    (running(argument="x"), "a run has unknown keys: argument"),
    (running(name="../bash"), "'../bash' is not a name for a program"),
    (running(name="/bin/bash"), "'/bin/bash' is not a name for a program"),
    (running(under=["a\nb"]), "'a\nb' is not a name for a program"),
    (running(arguments=[1]), "'arguments' is not a list of strings; quote numbers"),
    (running(arguments="x"), "'arguments' is not a list"),
    (running(times=0), "'times' is not a number from 1 to 500"),
    (running(repeat=501), "'repeat' is not a number from 1 to 500"),
    (running(times=True), "'times' is not a number from 1 to 500"),
    (running(place="tmp"), "'place' of bash is not an absolute path"),
    (running(user="www-data"), "bash runs as another account, which gets into no workspace: it needs a 'place'"),
    (running(real=True, calls=[{"open": {"path": "/etc/passwd"}}]), "is a real program, which is found by its name"),
    (running(real=True, name="bin/bash"), "is a real program, which is found by its name"),
    (running(stays=601), "'stays' of bash is not a number of seconds from 1 to 600"),
    (running(stays=True), "'stays' of bash is not a number of seconds"),
    (running(stays=5, real=True), "'bash' is a real program, which ends when it does"),
    (running(stays=5, under=["sshd"]), "bash stays or runs from memory, and is started by no program of 'under'"),
    (running(from_memory=True, place="/tmp"), "bash runs from memory, and is neither a real program nor has a 'place'"),
    (running(from_memory=True, real=True), "bash runs from memory, and is neither a real program nor has a 'place'"),
    (calling({"hold": {}}), "hold needs 'string'"),
    (calling({"map": {"address": 1}}), "map has unknown keys: address"),
    (calling("open"), "each of 'calls' is a mapping with one key, such as open"),
    (calling({"open": {"path": "/a"}, "remove": {"path": "/a"}}), "each of 'calls' is a mapping with one key"),
    (calling({"write": {"path": "/a"}}), "'write' is not one of call, chmod, connect, create"),
    (calling({"open": {}}), "open needs 'path'"),
    (calling({"open": {"path": 1}}), "'path' of open is no str"),
    (calling({"open": {"path": "/a", "mode": "0600"}}), "open has unknown keys: mode"),
    (calling({"open": {"path": "a"}}), "'a' is not an absolute path"),
    (calling({"open": {"path": "/a/../b"}}), "'/a/../b' is not an absolute path"),
    (calling({"call": {"name": "reboot"}}), "call of reboot is not one of acct, bpf"),
    (calling({"create": {"path": "/etc/cron.d/x", "text": "x"}}), "not named after bulwark-simulation must be empty"),
    (calling({"remove": {"path": "/etc/passwd"}}), "only what a simulation made may be changed, not /etc/passwd"),
    (
        calling({"rename": {"path": "/tmp/bulwark-simulation", "to": "/etc/passwd"}}),
        "only what a simulation made may be changed, not /etc/passwd",
    ),
    (calling({"chmod": {"path": "/bin/sh", "mode": "4755"}}), "only what a simulation made may be changed"),
    (calling({"symlink": {"path": "/bin/sh", "to": "/etc/x"}}), "a link must be named after bulwark-simulation"),
    (calling({"connect": {"address": "192.0.2.1", "port": 1, "protocol": "tcp"}}), "for loopback addresses only"),
    (calling({"connect": {"address": "{address}", "port": 1, "protocol": "tcp"}}), "for loopback addresses only"),
    (calling({"connect": {"address": "example.com", "port": 1}}), "'example.com' does not appear to be"),
    (calling({"connect": {"address": "::1", "port": 1, "protocol": "sctp"}}), "'protocol' of connect is udp or tcp"),
    (calling({"listen": {"address": "192.0.2.1", "port": 1}}), "listen is for loopback addresses only, not 192"),
    ({"records": [{"type": "SYSCALL", "text": "x"}]}, "'SYSCALL' is not one of the records that programs send"),
    ({"records": [{"type": "USER_LOGIN"}]}, "'text' is not text"),
    ({"records": [{"type": "USER_LOGIN", "text": "x", "time": 2}]}, "a record has unknown keys: time"),
)


@pytest.mark.parametrize(("content", "words"), WRONG, ids=[words for _content, words in WRONG])
def test_wrong_content_is_named_in_one_sentence_with_its_alert(content: Content, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        scenario({"alert": "cron_job_written", **content})
    said = str(caught.value)
    assert said.startswith("the simulation of cron_job_written")
    assert words in said


def test_content_without_an_alert_is_refused() -> None:
    with pytest.raises(UsageError, match="a simulation has no 'alert'"):
        scenario(running())


def test_what_is_left_out_has_defaults() -> None:
    found = scenario({"alert": "x", **running(user="www-data", place="/tmp")})
    (run,) = found.runs
    assert (run.user, run.times, run.repeat, run.directory) == (("www-data",), 1, 1, "/")
    # Ansible starts the simulation, and what automation does is no attack.
    assert run.under == ("bulwark-session", "bulwark-shell")
    assert scenario({"alert": "x", **running(under=[])}).runs[0].under == ()


def test_what_stays_is_started_by_no_other_program() -> None:
    (run,) = scenario({"alert": "x", **running(stays=60, from_memory=True)}).runs
    assert (run.stays, run.from_memory, run.under) == (60, True, ())
