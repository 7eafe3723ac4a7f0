# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination ``kafka``: OCSF JSON in the topics of a Kafka cluster, in order for each finding.

The key of a message is its finding, so that all changes of a finding are in one partition. The producer is idempotent
(KIP-98): what it sends again by itself arrives once. What a new producer sends after a crash may be there already; the
header ``uid`` tells.
"""

from __future__ import annotations

import types
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit, libraries, secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import kafka_client
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receipts import ACCEPTED
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
)

# The options for the topics of OCSF's classes.
_TOPICS: t.Mapping[int, str] = types.MappingProxyType(
    {2002: "vulnerability_topic", 2003: "compliance_topic", 2004: "detection_topic", 6007: "scan_topic"}
)
_LEAST_EVENT, _MOST_EVENT = 10_000, 100_000_000
_LARGEST_SCHEMA = 2**31 - 1

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "brokers": {"type": "list", "elements": "str", "required": True},
    "topic": {"type": "str", "required": True},
    **{option: {"type": "str"} for option in sorted(_TOPICS.values())},
    "schema_id": {"type": "int"},
    "max_event": {"type": "int", "default": 1_000_000},
    "compression": {"type": "str", "choices": ["none", "gzip", "lz4", "snappy", "zstd"], "default": "zstd"},
    "tls": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "certificate": {"type": "path"},
    "key": {"type": "path", "no_log": False},
    **secrets.arguments("key_password"),
    "verify": {"type": "bool", "default": True},
    "mechanism": {"type": "str", "choices": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]},
    "user": {"type": "str"},
    **secrets.arguments("password"),
    "timeout": {"type": "float", "default": 60.0},
}


class KafkaReceiver:
    """One open cluster; see ``Receiver``."""

    batch_events = 5_000
    batch_bytes = 16_000_000

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        self._client = kafka_client.Client(kafka_client.configuration(settings), settings["timeout"])
        self._topics = {number: settings[option] or settings["topic"] for number, option in _TOPICS.items()}
        self._prefix = _prefix(settings["schema_id"])
        self._largest = settings["max_event"] - len(self._prefix)

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return the event as JSON with the topic of its class; raise UnfitError."""
        fitted = fit.fit(event, self._largest, ocsf.render)
        about = {"topic": self._topics[event["class_uid"]]}
        body = self._prefix + fitted.body
        return Prepared(event["metadata"]["uid"], key, body, fitted.removed, fitted.shortened, about)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        """Send a batch, and return a receipt for each event when all in-sync replicas have it."""
        problems = self._client.produce(batch)
        if len(batch) > 1 and any(problem is not None and problem.is_final for problem in problems):
            # A broker refuses a whole set of messages for a single one.
            problems = [
                self._client.produce([prepared])[0] if problem is not None else None
                for prepared, problem in zip(batch, problems, strict=True)
            ]
        if problems and all(problem is not None and not problem.is_final for problem in problems):
            raise UnavailableError(str(problems[0]))
        return [_receipt(problem) for problem in problems]

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work, and for a library that is missing."""
    libraries.require("confluent-kafka", 2)
    if not settings["brokers"] or not all(broker.strip() for broker in settings["brokers"]):
        raise ExportError("brokers is empty; write host:port of at least one broker")
    if not _LEAST_EVENT <= settings["max_event"] <= _MOST_EVENT:
        raise ExportError(f"max_event is {settings['max_event']}; write bytes from {_LEAST_EVENT} to {_MOST_EVENT}")
    if settings["schema_id"] is not None and not 0 < settings["schema_id"] <= _LARGEST_SCHEMA:
        raise ExportError(f"schema_id is {settings['schema_id']}; write the id that the registry gave the schema")
    if not 1 <= settings["timeout"] <= 600:
        raise ExportError(f"timeout is {settings['timeout']:g}; write seconds from 1 to 600")
    kafka_client.check(kafka_client.configuration(settings))


def open_receiver(
    settings: t.Mapping[str, t.Any],
    destination_name: str,  # noqa: ARG001 - every kind is opened alike, and a message to Kafka has no use for the name
) -> KafkaReceiver:
    """Return a receiver, which connects when it sends; raise ExportError."""
    check(settings)
    return KafkaReceiver(settings)


def _prefix(schema_id: int | None) -> bytes:
    """Return what stands before a value whose schema is in a registry: a zero, and the id with the high byte first.

    See https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/, "Wire format".
    """
    return b"" if schema_id is None else b"\0" + schema_id.to_bytes(4, "big")


def _receipt(problem: kafka_client.Problem | None) -> Receipt:
    if problem is None:
        return ACCEPTED
    return Receipt("refused" if problem.is_final else "again", str(problem))
