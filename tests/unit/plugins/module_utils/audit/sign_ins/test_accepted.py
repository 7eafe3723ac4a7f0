# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what nobody but root can have written makes a source one that has signed in."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import accepted
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import sources_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import utmp

NOW = int(time.time())
FORM = utmp.layout()


def look(directory: pathlib.Path, **places: t.Any) -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in sources_spec().items()}
    names = ("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2")
    none = {name: str(directory / name) for name in names}
    where = Places([], [str(directory / "audit.log")], "never", events=list, send=str, written=bool, **none)
    return accepted.collect({**params, "priority": "normal"}, False, where._replace(**places))


def audit(kind: str, address: str, moment: float, pid: int, result: str = "success", uid: int = 0) -> str:
    operation = "login" if kind == "USER_LOGIN" else "PAM:session_open"
    return (
        f"type={kind} msg=audit({moment:.3f}:{pid}): pid={pid} uid={uid} auid=1000 ses=3 msg='op={operation} "
        f'acct="admin" exe="/usr/sbin/sshd" hostname={address} addr={address} terminal=ssh res={result}\'\n'
    )


def record(address: bytes, host: bytes, moment: int) -> bytes:
    return FORM.pack(7, 1, b"pts/0", b"p0", b"admin", host, 0, 0, 0, moment, 0, address.ljust(16, b"\0"), b"")


def test_records_of_the_audit_system_prove_a_sign_in_once(tmp_path: pathlib.Path) -> None:
    old = NOW - 20 * 86400
    (tmp_path / "audit.log").write_text(
        f"type=DAEMON_START msg=audit({old}.000:1): op=start\n"
        + audit("USER_START", "192.0.2.7", NOW - 90_000, 10)
        + audit("USER_LOGIN", "192.0.2.7", NOW - 90_000, 10)
        + audit("USER_START", "192.0.2.7", NOW - 100, 11)
        + audit("USER_LOGIN", "198.51.100.9", NOW - 50, 12, "failed")
    )
    found = look(tmp_path)
    (entry,) = found["sign_ins"]
    assert (entry["source"], entry["count"], entry["users"], len(entry["days"])) == ("192.0.2.7", 2, 1, 2)
    assert (entry["first"], entry["last"], entry["proofs"]) == (NOW - 90_000, NOW - 100, ["audit"])
    assert "admin" not in repr(found), "which accounts it were is not told"
    assert found["observed"][0] == old
    assert found["coverage"][0]["status"] == "checked"
    assert found["refused"] == [{"source": "198.51.100.9", "count": 1}]


def test_a_log_that_others_can_change_proves_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "audit.log").write_text(audit("USER_LOGIN", "192.0.2.7", NOW - 100, 10))
    (tmp_path / "wtmp").write_bytes(record(bytes([192, 0, 2, 8]), b"192.0.2.8", NOW - 60))
    for name in ("audit.log", "wtmp"):
        (tmp_path / name).chmod(0o666)
    found = look(tmp_path)
    assert (found["sign_ins"], found["observed"]) == ([], None)
    assert found["coverage"][0]["status"] == "partial"
    assert all(one["reason"].endswith("it proves nothing") for one in found["coverage"][0]["skipped"])


def test_lines_of_a_log_file_are_hints_whatever_they_say(tmp_path: pathlib.Path) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - 60))
    (tmp_path / "auth.log").write_text(
        f"{stamp} host sshd[7]: Accepted password for root from 203.0.113.66 port 22 ssh2\n"
        f"{stamp} host sshd[8]: Accepted publickey for admin from 192.0.2.7 port 22 ssh2: ED25519 SHA256:x\n"
    )
    (tmp_path / "audit.log").write_text(audit("USER_LOGIN", "192.0.2.7", NOW - 100, 10))
    found = look(tmp_path, paths=[str(tmp_path / "auth.log")])
    assert [one["source"] for one in found["sign_ins"]] == ["192.0.2.7"]
    assert [one["source"] for one in found["hints"]] == ["203.0.113.66"]
    assert "names 1 more, which are not believed" in found["coverage"][0]["note"]


def test_wtmp_proves_addresses_and_not_what_any_account_can_have_added(tmp_path: pathlib.Path) -> None:
    # utempter adds a record for any account, with the name of a host that the account chooses.
    (tmp_path / "wtmp").write_bytes(
        record(bytes([192, 0, 2, 7]), b"192.0.2.7", NOW - 60)
        + record(bytes(range(16)), b"", NOW - 50)
        + record(b"", b"203.0.113.66", NOW - 40)
    )
    found = look(tmp_path)
    assert {one["source"] for one in found["sign_ins"]} == {"192.0.2.7", "1:203:405:607:809:a0b:c0d:e0f"}
    # It has no sign-ins without a terminal, so that it is not known who did not sign in.
    assert found["observed"] is None


def test_without_any_proof_nothing_counts_as_checked(tmp_path: pathlib.Path) -> None:
    found = look(tmp_path)
    assert (found["sign_ins"], found["observed"]) == ([], None)
    assert found["coverage"][0]["status"] == "not_checked"
    assert "Nothing on this host proves a sign-in" in found["coverage"][0]["reason"]


def test_only_the_days_that_are_asked_for_count(tmp_path: pathlib.Path) -> None:
    content = audit("USER_LOGIN", "192.0.2.7", NOW - 200 * 86400, 10) + audit("USER_LOGIN", "192.0.2.8", NOW - 60, 11)
    (tmp_path / "audit.log").write_text(content)
    found = look(tmp_path)
    assert [one["source"] for one in found["sign_ins"]] == ["192.0.2.8"]
    assert NOW - 91 * 86400 < found["observed"][0] < NOW - 89 * 86400
    with pytest.raises(UsageError, match="days is 0"):
        accepted.collect({"days": 0, "time_budget": 0, "priority": "normal"}, False)
