# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same sign-ins as the log of a real sshd and that of a real audit daemon tell them."""

from __future__ import annotations

import collections
import pathlib
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import merge
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places, Sources
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

from tests.support import audit, sshd

pytestmark = [pytest.mark.requires(*sshd.NEEDS, "command:auditd"), pytest.mark.xdist_group("audit")]


def sign_ins(logs: list[pathlib.Path], audits: list[pathlib.Path]) -> list[SignIn]:
    nowhere = dict.fromkeys(("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2"), "/nonexistent")
    names = [str(path) for path in logs], [str(path) for path in audits]
    places = Places(*names, "never", None, events=list, send=str, written=bool, **nowhere)
    sources = Sources(places, {}, Reading(lambda: False, 0.0, time.time() + 1_000), None)
    try:
        return list(merge.Merged().merge(sources.streams()))
    finally:
        sources.close()


def counted(found: list[SignIn], client: str) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for one in found:
        if one.source == client:
            counts[one.outcome] += one.times
    return counts


def test_both_logs_tell_the_same_once(tmp_path: pathlib.Path) -> None:
    with (
        audit.locked() as kernel,
        audit.daemon(tmp_path, kernel) as daemon,
        sshd.server(tmp_path / "sshd") as server,
    ):
        began = time.time() - 1
        assert server.password(sshd.ACCOUNT, "wrong", sshd.PASSWORD)
        assert not server.password(sshd.ACCOUNT, "wrong", "wrong")
        assert not server.password(sshd.ACCOUNT, "wrong", method="keyboard-interactive")
        assert server.key(sshd.ACCOUNT, "right")
        assert not server.password("nobody there", "wrong")
        server.settle()
        daemon.settle()
        log, records = server.log, daemon.log
        audited = [one for one in sign_ins([], [records]) if one.time >= began]
        logged = sign_ins([log], [])
        both = [one for one in sign_ins([log], [records]) if one.time >= began]
    assert counted(logged, server.client) == {model.SUCCESS: 2, model.FAILURE: 5}
    assert counted(audited, server.client) == {model.SUCCESS: 2, model.FAILURE: 5}
    assert counted(both, server.client) == counted(logged, server.client)
    assert {one.family for one in both if one.source == server.client} == {"log"}
    ours = [one for one in audited if one.source == server.client]
    assert {one.user for one in ours if one.outcome == model.SUCCESS} == {sshd.ACCOUNT}
