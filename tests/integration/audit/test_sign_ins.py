# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-ins at a real sshd: each is counted once, as what it was, and only an attack is one."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import signal
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect, merge
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places, Sources
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.support import sshd
from tests.support.waiting import open_files, until

pytestmark = pytest.mark.requires(*sshd.NEEDS)

# A name may hold anything but a colon; what a client of OpenSSH does not send is in the unit tests.
_FORGED = (
    "x from 9.9.9.9 port 22 ssh2",
    "root from 9.9.9.9",
    "invalid user root from 9.9.9.9 port 22 ssh2",
    "9.9.9.9 port 22 [preauth]",
    "y" * 300 + " from 9.9.9.9 port 22 ssh2",
    "\u00e4\u202e from 9.9.9.9",
)


def places(directory: pathlib.Path, log: pathlib.Path) -> Places:
    nowhere = {name: str(directory / "none" / name) for name in ("lastlog", "wtmpdb", "lastlog2")}
    return Places(
        [str(log)],
        [str(directory / "audit.log")],
        "never",
        None,
        str(directory / "wtmp"),
        str(directory / "btmp"),
        events=list,
        send=lambda: "sshd",
        written=bool,
        **nowhere,
    )


def sign_ins(directory: pathlib.Path, log: pathlib.Path) -> list[SignIn]:
    """Return what the logs tell when nothing more comes to them."""
    sources = Sources(places(directory, log), {}, Reading(lambda: False, 0.0, time.time() + 1_000), None)
    try:
        return list(merge.Merged().merge(sources.streams()))
    finally:
        sources.close()


def counted(found: t.Iterable[SignIn]) -> dict[tuple[str, str, str], int]:
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for one in found:
        counts[one.outcome, one.user, one.method] += one.times
    return dict(counts)


def _is_forged(one: SignIn) -> bool:
    # sshd cuts names off after 100 characters.
    return "9.9.9.9" in one.user or one.user.startswith("yy")


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[tuple[str, str, str], int]]:
    """Sign in, or try to, in every way; return the server's directory, and what happened."""
    directory = tmp_path_factory.mktemp("sshd")
    known, kbd = sshd.ACCOUNT, "keyboard-interactive"
    happened: collections.Counter[tuple[str, str, str]] = collections.Counter()
    with sshd.server(directory) as server:
        assert server.password(known, sshd.PASSWORD)
        happened[model.SUCCESS, known, "password"] += 1
        assert server.password(known, "wrong", sshd.PASSWORD)
        happened[model.FAILURE, known, "password"] += 1
        happened[model.SUCCESS, known, "password"] += 1
        assert not server.password(known, "wrong", "wrong", "wrong")
        happened[model.FAILURE, known, "password"] += 3
        assert server.password(known, sshd.PASSWORD, method=kbd)
        happened[model.SUCCESS, known, kbd] += 1
        assert not server.password(known, "wrong", "wrong", method=kbd)
        happened[model.FAILURE, known, kbd] += 2
        assert server.key(known, "right")
        happened[model.SUCCESS, known, "publickey"] += 1
        # Of a key that is refused, sshd says nothing by default but that the client gave up.
        assert not server.key(known, "wrong")
        happened[model.FAILURE, known, ""] += 1
        assert not server.key("nobody-there", "wrong")
        happened[model.FAILURE, "nobody-there", ""] += 1
        for user in _FORGED:
            assert not server.password(user, "wrong")
            assert not server.password(user, "wrong", method=kbd)
            assert not server.key(user, "wrong")
        # What is no name and no SSH.
        server.greet(b"GET / HTTP/1.1\r\n\r\n")
        happened[model.ABORTED, "", ""] += 1
        server.settle()
    return directory, dict(happened)


@pytest.mark.parametrize("name", ["auth.log", "traditional.log", *sshd.FORMS])
def test_each_attempt_counts_as_what_it_was(
    attempts: tuple[pathlib.Path, dict[tuple[str, str, str], int]], name: str
) -> None:
    directory, happened = attempts
    found = [one for one in sign_ins(directory, directory / name) if not _is_forged(one)]
    assert counted(found) == happened
    coverage = look(directory, log=name)["coverage"][0]
    assert (coverage["status"], coverage["skipped"]) == ("checked", [])


def test_no_name_forges_anything(attempts: tuple[pathlib.Path, dict[tuple[str, str, str], int]]) -> None:
    directory, _happened = attempts
    found = sign_ins(directory, directory / "auth.log")
    (source,) = {one.source for one in found}
    assert source.startswith("127.77.")
    forged = [one for one in found if _is_forged(one)]
    assert all(one.outcome == model.FAILURE and one.known == "no" for one in forged)
    # A password, an answer and a key each.
    assert sum(one.times for one in forged) == 3 * len(_FORGED)


def look(directory: pathlib.Path, token: str | None = None, log: str = "auth.log") -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in collect_spec().items()}
    params.update(
        {
            "state_dir": str(directory / "state"),
            "priority": "normal",
            "_advance": True,
            "_token": token,
            "_content": detections.load().payload,
        }
    )
    return collect.collect(params, False, places(directory, directory / log))


def alerts(result: t.Mapping[str, t.Any]) -> set[str]:
    """Return the alerts that are about guessing."""
    return {one["alert"] for one in result["detections"] if "brute_force" in one["alert"] or "spraying" in one["alert"]}


def test_one_mistyped_password_is_no_attack_and_many_are(tmp_path: pathlib.Path) -> None:
    with sshd.server(tmp_path / "sshd") as server:
        assert server.password(sshd.ACCOUNT, "mistyped", sshd.PASSWORD)
        server.settle()
        quiet = look(tmp_path / "sshd")
        assert (quiet["sign_ins"]["failures"], quiet["sign_ins"]["successes"]) == (1, 1)
        assert alerts(quiet) == set()
        for _try in range(4):
            assert not server.password(sshd.ACCOUNT, "a", "b", "c")
        server.settle()
        failed = look(tmp_path / "sshd", quiet["checkpoint"]["token"])
        assert failed["sign_ins"]["failures"] == 12
        assert "ssh_brute_force_failed" in alerts(failed)
        assert "ssh_brute_force_succeeded" not in alerts(failed)
        assert server.password(sshd.ACCOUNT, sshd.PASSWORD)
        server.settle()
        succeeded = look(tmp_path / "sshd", failed["checkpoint"]["token"])
        assert succeeded["sign_ins"]["failures"] == 0
        assert alerts(succeeded) == {"ssh_brute_force_succeeded"}
        finding = next(one for one in succeeded["detections"] if one["alert"] == "ssh_brute_force_succeeded")
        assert finding["subject"] == server.client
        assert any(shown["data"]["outcome"] == "success" for shown in finding["evidences"])


_SCAN = """
import json, pathlib, sys
sys.path[:0] = {path!r}
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
places = Places({places!r}, journal="never", audit_paths=["none"], wtmp="none", btmp="none", lastlog="none")
pathlib.Path({result!r}).write_text(json.dumps(collect.collect({params!r}, True, places)["coverage"][0]))
"""


def test_a_scan_over_ssh_notices_that_its_sign_in_is_not_logged(tmp_path: pathlib.Path) -> None:
    """Sign in as root, as a scan does, and look at the log: then stop the log daemon, and do it again."""
    directory, result, script = tmp_path / "sshd", tmp_path / "result", tmp_path / "scan.py"
    params = {option: value.get("default") for option, value in collect_spec().items()}
    params.update({"state_dir": str(tmp_path / "state"), "_token": "", "_advance": False, "_content": ""})
    text = _SCAN.format(path=sys.path, places=[str(directory / "traditional.log")], result=str(result), params=params)
    script.write_text(text)
    options = {
        "PermitRootLogin": "yes",
        "AuthorizedKeysFile": str(directory / "right.pub"),
        "ForceCommand": f"{sys.executable} {script}",
    }
    with sshd.server(directory, **options) as server:
        assert server.key("root", "right")
        coverage = json.loads(result.read_text())
        assert (coverage["status"], coverage["skipped"]) == ("checked", [])
        daemon = int((directory / "rsyslogd.pid").read_text())
        os.kill(daemon, signal.SIGTERM)
        until(lambda: not open_files(daemon), "rsyslogd does not end")
        assert server.key("root", "right")
        coverage = json.loads(result.read_text())
        assert coverage["status"] == "partial"
        assert "this scan's own sign-in by SSH" in coverage["skipped"][0]["reason"]


@pytest.mark.requires("data:loghub")
def test_the_attacks_of_loghub_are_found(tmp_path: pathlib.Path) -> None:
    from tests.support import paths

    log = tmp_path / "auth.log"
    # The months of the log have no year: it is read as one of today.
    log.write_bytes((paths.data("loghub") / "OpenSSH" / "OpenSSH_2k.log").read_bytes().replace(b"Dec 10 ", _today()))
    result = look(tmp_path)
    found = {one["subject"] for one in result["detections"] if one["alert"] == "ssh_brute_force_failed"}
    most = {one["source"] for one in result["sign_ins"]["sources"] if one["failures"] >= 10}
    assert most <= found
    assert {one["source"] for one in result["sign_ins"]["sources"] if one["failures"] < 5}.isdisjoint(found)
    assert "ssh_brute_force_succeeded" not in alerts(result)
    leader = next(one for one in result["detections"] if one["subject"] == "183.62.140.253")
    assert leader["count"] == 287


def _today() -> bytes:
    return time.strftime("%b %e ", time.localtime(time.time() - 86_400)).encode()
