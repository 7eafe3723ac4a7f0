# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A producer of librdkafka, by confluent-kafka: its configuration, and what it says of each message.

See https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md for the settings, and INTRODUCTION.md there
for the idempotent producer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    UnusableError,
)

with contextlib.suppress(ImportError):  # ``check`` of the kind says what is missing
    import confluent_kafka

# Errors of a broker about a message itself, which no repetition changes (https://kafka.apache.org/protocol,
# "Error codes"): CORRUPT_MESSAGE is none, the network may have done that.
_FINAL = frozenset({"MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "INVALID_TIMESTAMP", "_MSG_SIZE_TOO_LARGE"})
# The frame of a message, which its size includes: headers, key, lengths.
_FRAME = 4_096
# Seconds that a producer gets to say what became of its last messages when it is given up.
_PURGE_SECONDS = 1.0
_POLL_SECONDS = 0.1
# What no waiting cures, if no broker can be used: a certificate or a password that is refused.
_REFUSALS = ("_AUTHENTICATION", "_SSL")
_LONGEST_REASON = 300

_HINTS: t.Mapping[str, str] = types.MappingProxyType(
    {
        "_TRANSPORT": "check brokers, and tls",
        "_ALL_BROKERS_DOWN": "check brokers, and tls",
        "_SSL": "check ca_file, certificate and the names in brokers",
        "_AUTHENTICATION": "check mechanism, user and password",
        "UNKNOWN_TOPIC_OR_PART": "create the topic, or correct its name",
        "_UNKNOWN_TOPIC": "create the topic, or correct its name",
        "TOPIC_AUTHORIZATION_FAILED": "let the user write to the topic",
        "CLUSTER_AUTHORIZATION_FAILED": "give the user the permission IdempotentWrite",
    }
)


class Problem(t.NamedTuple):
    """Why a message did not arrive. is_final: whether it never will."""

    name: str
    text: str
    is_final: bool

    def __str__(self) -> str:
        hint = _HINTS.get(self.name)
        return f"Kafka: {self.text[:_LONGEST_REASON]}" + (f"; {hint}" if hint else "")


def configuration(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the settings of librdkafka; raise ExportError for options that contradict each other."""
    milliseconds = int(settings["timeout"] * 1000)
    return {
        "bootstrap.servers": ",".join(broker.strip() for broker in settings["brokers"]),
        "client.id": "bulwark.servers",
        "enable.idempotence": True,
        "acks": "all",
        # The partition of a key is that of Java's clients.
        "partitioner": "murmur2_random",
        "compression.type": settings["compression"],
        "message.max.bytes": settings["max_event"] + _FRAME,
        # No message gives up alone and lets a later change of its finding overtake it: ``Client`` gives up all of them.
        "message.timeout.ms": 2 * milliseconds + 60_000,
        "socket.connection.setup.timeout.ms": min(30_000, max(1_000, milliseconds)),
        "linger.ms": 20,
        "log_level": 0,
        **_security(settings),
    }


def check(configured: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for what librdkafka refuses, such as certificates that it cannot read."""
    try:
        _producer(configured)
    except confluent_kafka.KafkaException as error:
        raise ExportError(f"Kafka's client refuses the settings: {error.args[0].str()[:_LONGEST_REASON]}") from None


class Client:
    """Sends messages and waits until the cluster has confirmed each."""

    def __init__(self, configured: t.Mapping[str, t.Any], timeout: float) -> None:
        self._configured, self._timeout = configured, timeout
        self._open: t.Any = None
        self._newest: Problem | None = None
        # By its name, the newest problem of each kind with the brokers while the present batch is sent.
        self._noted: dict[str, Problem] = {}

    def produce(self, batch: t.Sequence[Prepared]) -> list[Problem | None]:
        """Send a batch, and return for each message why it did not arrive, None if all in-sync replicas have it."""
        if self._open is None:
            self._open = _producer({**self._configured, "error_cb": self._note})
        producer = self._open
        self._newest, self._noted = None, {}
        unconfirmed = Problem("_TIMED_OUT", f"the cluster did not confirm it within {self._timeout:g} s", False)
        results: list[Problem | None] = [unconfirmed] * len(batch)
        queued = self._queue(producer, batch, results)
        self._flush(producer)
        if any(results[:queued]):
            # Nothing of this batch may arrive later, after what the next one has.
            self._give_up(producer)
        return [self._explained(problem) for problem in results]

    def close(self) -> None:
        """Let go of the connections; nothing is waiting."""
        self._open = None

    def _queue(self, producer: t.Any, batch: t.Sequence[Prepared], results: list[Problem | None]) -> int:
        """Hand over messages; return how many the producer took."""
        for index, prepared in enumerate(batch):

            def note(error: t.Any, _message: t.Any, index: int = index) -> None:
                results[index] = _problem(error) if error is not None else None

            try:
                producer.produce(
                    prepared.about["topic"],
                    value=prepared.body,
                    key=prepared.key.encode(),
                    headers=[("uid", prepared.uid.encode()), ("content-type", b"application/json")],
                    on_delivery=note,
                )
            except (BufferError, confluent_kafka.KafkaException) as error:
                # A queue that is full, or a producer that gave up: what follows must not overtake this one.
                is_full = isinstance(error, BufferError)
                results[index] = (
                    Problem("_QUEUE_FULL", "its queue is full", False) if is_full else _problem(error.args[0])
                )
                return index + 1
            producer.poll(0)
        return len(batch)

    def _flush(self, producer: t.Any) -> None:
        """Wait until each message is confirmed, time is over, or all brokers refuse the connection."""
        end = time.monotonic() + self._timeout
        while (left := end - time.monotonic()) > 0 and not self._is_refused():
            if not producer.flush(min(left, _POLL_SECONDS)):
                return

    def _is_refused(self) -> bool:
        return "_ALL_BROKERS_DOWN" in self._noted and any(name in self._noted for name in _REFUSALS)

    def _give_up(self, producer: t.Any) -> None:
        with contextlib.suppress(confluent_kafka.KafkaException):
            producer.purge()
        producer.flush(_PURGE_SECONDS)
        self._open = None

    def _note(self, error: t.Any) -> None:
        self._newest = _problem(error)
        self._noted[self._newest.name] = self._newest

    def _explained(self, problem: Problem | None) -> Problem | None:
        """Return the cause where the message itself only says that time is over."""
        if problem is None or self._newest is None or problem.is_final:
            return problem
        if problem.name not in ("_TIMED_OUT", "_MSG_TIMED_OUT", "_PURGE_QUEUE"):
            return problem
        # "All brokers are down" says less than what they refuse.
        return next((self._noted[name] for name in _REFUSALS if name in self._noted), self._newest)


def _producer(configured: t.Mapping[str, t.Any]) -> t.Any:
    # Its lines on the standard error would be in the middle of Ansible's, and name users.
    silent = logging.getLogger(f"{__name__}.librdkafka")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    return confluent_kafka.Producer(dict(configured), logger=silent)


def _problem(error: t.Any) -> Problem:
    return Problem(error.name(), error.str(), error.name() in _FINAL)


def _security(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    signs_in = _sasl(settings)
    protocol = ("SASL_SSL" if settings["tls"] else "SASL_PLAINTEXT") if signs_in else None
    if not settings["tls"]:
        for option in ("ca_file", "certificate", "key"):
            if settings[option] is not None:
                raise ExportError(f"{option} needs TLS, and tls is false; remove one of them")
        return {"security.protocol": protocol or "PLAINTEXT", **signs_in}
    files = {"ssl.ca.location": "ca_file", "ssl.certificate.location": "certificate", "ssl.key.location": "key"}
    located = {name: _path(settings, option) for name, option in files.items() if settings[option] is not None}
    if "ssl.key.location" in located and "ssl.certificate.location" not in located:
        raise ExportError("key is given without certificate; give both, or the certificate with its key in one file")
    if "ssl.certificate.location" in located:
        located.setdefault("ssl.key.location", located["ssl.certificate.location"])
        # Without a password OpenSSL would ask for one at the terminal.
        located["ssl.key.password"] = secrets.read(settings, "key_password") or " "
    verified = {"enable.ssl.certificate.verification": settings["verify"]}
    name = {"ssl.endpoint.identification.algorithm": "https" if settings["verify"] else "none"}
    return {"security.protocol": protocol or "SSL", **located, **verified, **name, **signs_in}


def _sasl(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    password = secrets.read(settings, "password")
    given = [settings["mechanism"] is not None, settings["user"] is not None, password is not None]
    if any(given) and not all(given):
        raise ExportError("mechanism, user and password belong together; give all three of them, or none")
    if not any(given):
        return {}
    if settings["mechanism"] == "PLAIN" and not settings["tls"]:
        raise ExportError("mechanism PLAIN sends the password as it is; set tls to true, or choose SCRAM-SHA-512")
    return {"sasl.mechanism": settings["mechanism"], "sasl.username": settings["user"], "sasl.password": password}


def _path(settings: t.Mapping[str, t.Any], option: str) -> str:
    path: str = os.path.expanduser(settings[option])
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise UnusableError(f"{option}: {path} cannot be read: {error.strerror or error}") from None
