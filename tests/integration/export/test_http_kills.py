# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports over HTTP whose exporter or receiver is killed at random moments: every change arrives."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import random
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration.export import killed_exporter
from tests.support import paths, waiting
from tests.support.receivers import hec
from tests.support.receivers import webhook as receiving
from tests.support.receivers.certificates import Authority
from tests.support.receivers.process import ReceiverProcess
from tests.unit.plugins.plugin_utils.store.samples import finding, record

pytestmark = pytest.mark.long

_FINDINGS = 1_500
_KILLS = 12


def _uids(kind: str, written: t.Iterable[t.Any]) -> list[str]:
    """Return the uids of the events in a journal."""
    return [hec.uid(value) if kind == "splunk" else value[0] for value in written]


class _Exports:
    """A store with changes for one destination, its receiver, and processes that export."""

    def __init__(
        self, directory: pathlib.Path, kind: str, receiver: ReceiverProcess, options: dict[str, t.Any]
    ) -> None:
        self.url = f"sqlite:///{directory}/state/findings.db"
        self._arguments = json.dumps(
            {
                "store": self.url,
                "start": time.time(),
                "destinations": [{"name": "receiver", kind: {"url": receiver.url, **options}}],
            }
        )
        now = time.time()
        with contextlib.closing(Store.open(self.url)) as store:
            (parsed,) = killed_exporter.parse(json.loads(self._arguments)["destinations"], now)
            store.register_destination(parsed.destination, now=now)
            record(store, now, [finding(f"/etc/file{number}", now=now) for number in range(_FINDINGS)])
            self.queued = {change.uid for change in store.waiting("receiver", None, now)}

    def begin(self) -> subprocess.Popen[bytes]:
        """Start an export."""
        command = [sys.executable, "-m", "tests.integration.export.killed_exporter", self._arguments]
        environment = {**os.environ, "PYTHONPATH": f"{paths.COLLECTIONS}:{paths.ROOT}"}
        return subprocess.Popen(command, cwd=paths.ROOT, env=environment, stderr=subprocess.PIPE)

    def waiting(self) -> int:
        with contextlib.closing(Store.open(self.url)) as store:
            (state,) = store.destinations()
            assert state.set_aside == 0
            return state.waiting


@pytest.mark.parametrize("kind", ["splunk", "webhook"])
def test_whoever_is_killed_every_change_arrives(tmp_path: pathlib.Path, kind: str) -> None:
    authority = Authority(tmp_path)
    factory = "tests.support.receivers." + ("hec:Hec" if kind == "splunk" else "webhook:Webhook")
    options: dict[str, t.Any] = {"secret": receiving.SECRET}
    if kind == "splunk":
        # A killed collector never acknowledges the events that it had not indexed.
        options = {"token": hec.TOKEN, "acknowledge_timeout": 2}

    # The same moments each time; what falls together with them is up to the machine.
    moments = random.Random(21)  # noqa: S311 (moments of a test, no secret)
    with ReceiverProcess(tmp_path, factory, authority.issue("127.0.0.1")) as receiver:
        exports = _Exports(tmp_path, kind, receiver, {"ca_file": str(authority.file), **options})
        assert len(exports.queued) == _FINDINGS
        exporter = exports.begin()
        killed = {"exporter": 0, "receiver": 0}
        for number in range(_KILLS):
            exporter = _at_work(exports, exporter, receiver, moments.randint(1, 15))
            time.sleep(moments.uniform(0, 0.1))
            if number % 2:
                killed["receiver"] += exporter.poll() is None
                receiver.kill()
                time.sleep(moments.uniform(0, 0.3))
                receiver.start()
            else:
                killed["exporter"] += exporter.poll() is None
                _end(exporter)
                exporter = exports.begin()
        # A kill while nothing was under way shows nothing.
        assert killed["exporter"] >= _KILLS // 3
        assert killed["receiver"] >= _KILLS // 3
        _finish(exports, exporter)

        arrived = _uids(kind, receiver.journal.read())
        assert exports.waiting() == 0
        assert exports.queued - set(arrived) == set()
        assert set(arrived) == exports.queued


def _at_work(
    exports: _Exports, exporter: subprocess.Popen[bytes], receiver: ReceiverProcess, more: int
) -> subprocess.Popen[bytes]:
    """Wait for more events, and return the exporter that sends them; one that left a dead receiver alone has ended."""
    while True:
        waiting.until(functools.partial(_has_more, receiver, len(receiver.journal.read()) + more, exporter))
        if exporter.poll() is None or not exports.waiting():
            return exporter
        exporter.communicate()
        exporter, more = exports.begin(), 1


def _has_more(receiver: ReceiverProcess, more: int, exporter: subprocess.Popen[bytes]) -> bool:
    return len(receiver.journal.read()) >= more or exporter.poll() is not None


def _end(exporter: subprocess.Popen[bytes]) -> None:
    exporter.kill()
    exporter.communicate()


def _finish(exports: _Exports, exporter: subprocess.Popen[bytes]) -> None:
    """Export until nothing waits."""
    for _ in range(20):
        _out, errors = exporter.communicate(timeout=300)
        if not exports.waiting():
            return
        exporter = exports.begin()
    pytest.fail(errors.decode())
