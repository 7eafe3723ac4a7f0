# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers, writers and exporters of the chaos test, and whoever kills them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import typing as t

from tests.integration.export import killed_exporter
from tests.support import paths, waiting
from tests.support.receivers import hec, search
from tests.support.receivers.certificates import Authority
from tests.support.receivers.kafka_broker import Broker
from tests.support.receivers.process import ReceiverProcess
from tests.support.receivers.syslog_daemons import Rsyslog

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store


class Arrived(t.NamedTuple):
    """Of an event that arrived: its ``metadata.uid``, host, subject and change."""

    uid: str
    host: str
    subject: str
    change: str


_KAFKA_TOPIC = "findings"
# Seconds at most between a sign of life of a victim and its end, and until it is started again.
_LIFE, _REST = 0.3, 0.2


class _DurableRsyslog(Rsyslog):
    """Writes a message before it acknowledges it; with a queue in memory what is in there dies with it."""

    def configuration(self) -> str:
        """Return the usual one, with nothing but the text of messages in the file."""
        usual = super().configuration()
        assert "%jsonmesg%" in usual
        return 'main_queue(queue.type="Direct")\n' + usual.replace("%jsonmesg%", "%msg%")


class Victim(t.Protocol):
    """A receiver that can be killed."""

    def kill(self) -> None: ...

    def start(self) -> None: ...


class Receivers:
    """One receiver of each kind; a context manager.

    victims: those that outlive being killed, with the files in which they note what they have. disk: a small file
    system, on which the file destination writes.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._stack = contextlib.ExitStack()
        authority = Authority(directory)
        trust = {"ca_file": str(authority.file)}
        self.disk = directory / "disk"
        self._file = self.disk / "events.json"
        # In memory, as what they have must outlive their process and not the machine: the disk is no part of the test.
        self._memory = directory / "memory"
        folders = {name: self._memory / name for name in ("elastic", "splunk", "relp")}
        self._folders = list(folders.values())
        server = authority.issue("127.0.0.1")
        self._elastic = ReceiverProcess(folders["elastic"], "tests.support.receivers.search:Cluster", server)
        self._splunk = ReceiverProcess(folders["splunk"], "tests.support.receivers.hec:Hec", server)
        self._relp = _DurableRsyslog(folders["relp"], authority)
        self._kafka = Broker()
        self._trust = trust
        self._client = authority.issue("controller.example.com")
        self.victims: dict[str, tuple[Victim, pathlib.Path]] = {
            "elastic": (self._elastic, folders["elastic"] / "journal"),
            "splunk": (self._splunk, folders["splunk"] / "journal"),
            "relp": (self._relp, self._relp.written),
        }
        self.files = [*(file for _victim, file in self.victims.values()), self._file]

    def __enter__(self) -> t.Self:
        with contextlib.ExitStack() as stack:
            for folder, size in ((self.disk, "64m"), (self._memory, "512m")):
                folder.mkdir()
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], check=True)
                stack.callback(subprocess.run, ["umount", folder], check=True)
            for folder in self._folders:
                folder.mkdir()
            for receiver in (self._elastic, self._splunk, self._relp, self._kafka):
                stack.enter_context(receiver)
            self._kafka.create(_KAFKA_TOPIC)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def destinations(self) -> list[dict[str, t.Any]]:
        """Return them as a user writes them, each of the name of its kind."""
        identity = {"certificate": str(self._client.certificate), "key": str(self._client.key)}
        kinds: dict[str, dict[str, t.Any]] = {
            "elastic": {"url": self._elastic.url, "api_key": search.API_KEY, "format": "ocsf", **self._trust},
            "splunk": {"url": self._splunk.url, "token": hec.TOKEN, "acknowledge_timeout": 2, "format": "ocsf"}
            | self._trust,
            "syslog": {"address": "localhost", "port": self._relp.ports["relp_tls"], "transport": "relp_tls"}
            | {"timeout": 10, **self._trust, **identity},
            "kafka": {"brokers": [self._kafka.address], "topic": _KAFKA_TOPIC, "tls": False},
            "file": {"path": str(self._file)},
        }
        return [{"name": kind, "coverage": False, kind: options} for kind, options in kinds.items()]

    def arrived(self) -> dict[str, list[Arrived]]:
        """Return what each kind of receiver has, in the order of arrival; Kafka's by partitions."""
        files = {name: file for name, (_victim, file) in self.victims.items()}
        return {
            "elastic": [_arrived(document) for _uid, document in _lines(files["elastic"])],
            "splunk": [_arrived(envelope["event"]) for envelope in _lines(files["splunk"])],
            "syslog": [_arrived(event) for event in _lines(files["relp"])],
            "kafka": [_arrived(json.loads(message.value)) for message in self._kafka.read(_KAFKA_TOPIC)],
            "file": [_arrived(event) for event in _lines(self._file)],
        }

    def size(self) -> int:
        """Return how much the receivers have noted; it grows with whatever arrives."""
        return sum(file.stat().st_size for file in self.files if file.exists())

    @contextlib.contextmanager
    def full_disk(self) -> t.Iterator[None]:
        """Leave the file destination no room meanwhile."""
        filler = self.disk / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                for size in (64 * 1024, 1):
                    with contextlib.suppress(OSError):
                        while True:
                            file.write(b"x" * size)
                assert os.statvfs(self.disk).f_bfree == 0, errno.ENOSPC
            yield
        finally:
            filler.unlink()


class Writers:
    """Processes that record hosts in step; a context manager."""

    def __init__(self, url: str, number: int, findings: int) -> None:
        self.hosts = [f"web{host}" for host in range(number)]
        self._command = _command("chaos_writer", url, str(findings), *self.hosts)

    def __enter__(self) -> t.Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, **_PLACE, text=True, stdin=pipe, stdout=pipe)
        return self

    def __exit__(self, *_error: object) -> None:
        # At the end of its lines it ends, and so do its writers.
        self._process.communicate()

    def record(self) -> None:
        """Let all record their hosts at once, and wait for the last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline(), "a writer failed"


class Exporter:
    """An export that is started again whenever it ends, until ``stop``."""

    def __init__(self, url: str, destinations: list[dict[str, t.Any]], start: float) -> None:
        given = {"store": url, "start": start, "destinations": destinations, "most_events": 100}
        pipe = subprocess.PIPE
        # A destination that failed too often makes an export fail, and a later one goes on with it.
        self._process = subprocess.Popen(
            _command("chaos_exporters", json.dumps(given)),
            **_PLACE,
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
        )
        self._lock = threading.Lock()

    def kill(self) -> bool:
        """Kill it and start another one; return whether it was still at work."""
        return self._ask("kill") == "alive"

    def keep_up(self) -> None:
        """Start another one if it has ended by itself, as it does when nothing waits."""
        self._ask("keep")

    def stop(self) -> None:
        """End it with all that it started."""
        with self._lock:
            self._process.communicate()

    def _ask(self, what: str) -> str:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        assert answer, "the exporters ended"
        return answer


class Killer(threading.Thread):
    """Kills one victim so many times, each time after it noted something more, at a random moment.

    killed: how often so far. error: why it gave up.
    """

    def __init__(self, kill: t.Callable[[random.Random], bool], size: t.Callable[[], int], times: int) -> None:
        super().__init__(daemon=True)
        self._kill, self._size, self._times = kill, size, times
        self._is_over = threading.Event()
        self._moments = random.Random(21)  # noqa: S311 (moments of a test, no secret)
        self.killed = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        """Kill it, until it was killed often enough or ``end``."""
        try:
            while self.killed < self._times and not self._is_over.is_set():
                before = self._size()
                waiting.until(lambda before=before: self._size() > before or self._is_over.is_set())
                time.sleep(self._moments.uniform(0, _LIFE))
                self.killed += self._kill(self._moments)
        except BaseException as error:  # noqa: BLE001 (the test raises it, in its own thread)
            self.error = error

    def end(self) -> None:
        self._is_over.set()
        self.join()
        if self.error is not None:
            raise self.error


def receiver_killer(victim: Victim, file: pathlib.Path, times: int) -> Killer:
    """Return who kills a receiver and starts it again after a while. file: where it notes what it has."""

    def kill(moments: random.Random) -> bool:
        victim.kill()
        time.sleep(moments.uniform(0, _REST))
        victim.start()
        return True

    return Killer(kill, lambda: file.stat().st_size if file.exists() else 0, times)


def register(store: Store, destinations: t.Sequence[t.Mapping[str, t.Any]], now: float) -> None:
    """Let the store queue changes for each destination."""
    for parsed in killed_exporter.parse(destinations, now):
        store.register_destination(parsed.destination, now=now)


def _lines(file: pathlib.Path) -> t.Iterator[t.Any]:
    """Yield what the lines of a file have, without all of them in memory."""
    with file.open("rb") as lines:
        yield from map(json.loads, lines)


def _arrived(event: t.Mapping[str, t.Any]) -> Arrived:
    unmapped = event["unmapped"]
    return Arrived(event["metadata"]["uid"], event["device"]["hostname"], unmapped["subject"], unmapped["change"])


_PLACE: dict[str, t.Any] = {
    "cwd": paths.ROOT,
    "env": {**os.environ, "PYTHONPATH": f"{paths.COLLECTIONS}:{paths.ROOT}"},
}


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"tests.integration.export.{module}", *arguments]
