# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert of a log is recorded once: while it is written, rotated and cut off, by runs of which many are killed."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.support.edr_alerts import Controller, options

ALERTS = 1_500
# A run in a process of its own, which can be killed at any point between reading and recording.
_RUN = """
import json, sys
from tests.support.edr_alerts import Controller
url, options = json.load(sys.stdin)
Controller(url, options).run()
"""


def alert(number: int) -> str:
    """Return a line of Falco. Each subject has 30 alerts, of which each is a second later than the one before."""
    subject = number % (ALERTS // 30)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_790_000_000 + number))
    return json.dumps(
        {
            "rule": "Write below etc",
            "priority": "Error",
            "time": f"{at}.000000001Z",
            "output_fields": {"fd.name": f"/etc/file{subject}", "proc.name": "vi", "proc.pid": number + 1},
        }
    )


class Log:
    """A log that is written in pieces, some of which end in the middle of a line."""

    def __init__(self, path: pathlib.Path, chance: random.Random) -> None:
        self.path, self.chance, self.written = path, chance, 0

    def write(self, count: int) -> None:
        lines = [alert(number) for number in range(self.written, self.written + count)]
        self.written += count
        content = "".join(line + "\n" for line in lines)
        cut = self.chance.randrange(len(content))
        with self.path.open("a", encoding="ascii") as stream:
            stream.write(content[:cut])
            stream.flush()
            stream.write(content[cut:])

    def rotate(self) -> None:
        """Move the log away, as logrotate does."""
        self.path.rename(self._free_name())

    def copy_and_truncate(self) -> None:
        """Copy the log and cut it off, as logrotate does with ``copytruncate``."""
        shutil.copy2(self.path, self._free_name())
        os.truncate(self.path, 0)

    def _free_name(self) -> pathlib.Path:
        """Make way for the newest of the old logs; those before are compressed."""
        old = self.path.with_name("falco.log.1")
        if old.exists():
            for number in range(29, 1, -1):
                name = self.path.with_name(f"falco.log.{number}.gz")
                if name.exists():
                    name.rename(self.path.with_name(f"falco.log.{number + 1}.gz"))
            self.path.with_name("falco.log.2.gz").write_bytes(gzip.compress(old.read_bytes()))
            old.unlink()
        return old


def run_process(controller: Controller, kill_after: float | None) -> bool:
    """Run in a process; return whether it came to its end."""
    path = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", _RUN], stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            process.communicate(json.dumps([controller.url, controller.options]).encode(), timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            return False
        assert process.returncode == 0
        return True


def counted(reads: t.Sequence[t.Mapping[str, t.Any]]) -> int:
    """Return how many alerts were recorded: the counts of all detections that the store took."""
    return sum(detection["count"] for result in reads for detection in result["detections"])


class Counting(Controller):
    """A controller that keeps what it recorded."""

    def run(self) -> t.Any:
        result = self.read()
        recorded = self.record(result)
        if recorded.is_news:
            self.results.append(result)
        return recorded


@pytest.fixture
def log(tmp_path: pathlib.Path) -> Log:
    directory = tmp_path / "log"
    directory.mkdir()
    return Log(directory / "falco.log", random.Random(7))  # noqa: S311 - a repeatable order, no secret


@pytest.fixture
def given(tmp_path: pathlib.Path, log: Log) -> dict[str, t.Any]:
    return options(tmp_path, products=["falco"], paths={"falco": [str(log.path)]})


@pytest.mark.parametrize("how", ["rotate", "copy_and_truncate"])
def test_each_alert_counts_once_across_rotations(tmp_path: pathlib.Path, log: Log, given: t.Any, how: str) -> None:
    controllers = [Counting(f"sqlite:///{tmp_path}/{name}.db", given) for name in ("one", "two")]
    while log.written < ALERTS:
        log.write(100)
        if log.chance.random() < 0.25:
            getattr(log, how)()
        for each in controllers:
            if log.chance.random() < 0.6:
                each.run()
    for each in controllers:
        each.run()
        assert counted(each.results) == ALERTS
        assert len(each.findings()) == ALERTS // 30
        assert each.run().seen_again == 0


def test_a_read_that_is_not_recorded_is_read_again(tmp_path: pathlib.Path, log: Log, given: t.Any) -> None:
    controller = Counting(f"sqlite:///{tmp_path}/one.db", given)
    log.write(300)
    lost = controller.read()
    assert lost["edr_alerts"]["alerts"] == 300
    controller.run()
    assert counted(controller.results) == 300
    # What was read in parallel and recorded later counts for nothing.
    assert not controller.record(lost).is_news
    assert all(finding.count == 1 for finding in controller.findings().values())


@pytest.mark.long
def test_runs_that_are_killed_lose_nothing_and_double_nothing(tmp_path: pathlib.Path, log: Log, given: t.Any) -> None:
    """What the store has at the end is what a run has that reads the whole log at once."""
    controller = Controller(f"sqlite:///{tmp_path}/killed.db", given)
    # At any moment of a run, however fast this machine is.
    durations = []
    for _attempt in range(2):
        begin = time.monotonic()
        assert run_process(controller, None)
        durations.append(time.monotonic() - begin)
    killed = 0
    while log.written < ALERTS:
        log.write(150)
        if log.chance.random() < 0.4:
            log.rotate()
        killed += not run_process(controller, log.chance.uniform(0.05, 1.2) * min(durations))
    assert run_process(controller, None)
    assert killed >= 3
    whole = Counting(f"sqlite:///{tmp_path}/whole.db", options(tmp_path / "other", **_again(given)))
    whole.run()
    assert counted(whole.results) == ALERTS
    seen = {name: finding.event["end_time"] for name, finding in controller.findings().items()}
    assert seen == {name: finding.event["end_time"] for name, finding in whole.findings().items()}
    assert len(seen) == ALERTS // 30
    assert Counting(controller.url, given).run().seen_again == 0


def _again(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: given[name] for name in ("products", "paths")}


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_manager_begins_a_file_a_day(tmp_path: pathlib.Path, is_compressed: bool) -> None:
    """Wazuh writes a log with two names. At midnight it begins another, and compresses the one of the day before."""
    current = tmp_path / "alerts.json"
    pattern = str(tmp_path / "%Y-%b" / "ossec-alerts-%d.json")

    def dated(days: int) -> pathlib.Path:
        when = time.localtime(time.time() - days * 86_400)
        return tmp_path / time.strftime("%Y-%b", when) / f"ossec-alerts-{time.strftime('%d', when)}.json"

    for path in (dated(0), dated(1)):
        path.parent.mkdir(exist_ok=True)

    def write(path: pathlib.Path, *rules: int) -> None:
        with path.open("a", encoding="ascii") as stream:
            for rule in rules:
                stream.write(json.dumps({"rule": {"id": str(rule), "level": 10, "description": "x"}}) + "\n")

    given = options(tmp_path, products=["wazuh"], paths={"wazuh": [pattern, pattern + ".gz", str(current)]})
    controller = Counting(f"sqlite:///{tmp_path}/one.db", given)
    write(current, 1, 2)
    os.link(current, dated(1))
    controller.run()
    write(current, 3)
    current.unlink()
    if is_compressed:
        dated(1).with_name(dated(1).name + ".gz").write_bytes(gzip.compress(dated(1).read_bytes()))
        dated(1).unlink()
    write(current, 4, 5)
    os.link(current, dated(0))
    controller.run()
    assert [result["edr_alerts"]["alerts"] for result in controller.results] == [2, 3]
    assert controller.run().seen_again == 0


def test_a_log_that_was_changed_where_it_was_read_is_a_finding(tmp_path: pathlib.Path, log: Log, given: t.Any) -> None:
    controller = Counting(f"sqlite:///{tmp_path}/one.db", given)
    log.write(100)
    controller.run()
    content = log.path.read_text(encoding="ascii")
    log.path.write_text(content.replace("/etc/file49", "/etc/file00"), encoding="ascii")
    controller.run()
    assert "edr_alert_log_rewritten" in {finding.alert for finding in controller.findings().values()}


def test_a_lost_state_is_a_finding_and_the_log_is_read_anew(tmp_path: pathlib.Path, log: Log, given: t.Any) -> None:
    controller = Counting(f"sqlite:///{tmp_path}/one.db", given)
    log.write(100)
    controller.run()
    shutil.rmtree(tmp_path / "state")
    result = controller.run()
    assert (result.new, result.seen_again) == (1, 50)
    assert "edr_alert_state_tampered" in {finding.alert for finding in controller.findings().values()}
