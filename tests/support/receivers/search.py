# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bulk API of Elasticsearch 9 and OpenSearch 3 as their documentation describes it, for one data stream.

Strict where the real ones are lenient: only what the vendor's own clients send is taken, only ``create``, with an id,
and each document must fit the mappings. Documents outlive the server in a journal, written before the reply.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import typing as t

from tests.support.receivers import index_mappings
from tests.support.receivers.exchange import Reply, Request, json_reply
from tests.support.receivers.process import Journal

STREAM = "logs-bulwark.ocsf-default"
API_KEY = base64.b64encode(b"key-id:key-s3cr3t-of-a-test").decode()
USER, PASSWORD = "exporter", "pass wörd of a test"

# Of the fields that tests break; all others are dynamic.
_MAPPINGS: t.Mapping[str, t.Any] = {
    "@timestamp": {"type": "date"},
    "severity_id": {"type": "long"},
    "device": {"properties": {}},
}
# http.max_content_length of Elasticsearch.
_LARGEST_REQUEST = 100 * 1024 * 1024
_VENDOR = "application/vnd.elasticsearch+{}; compatible-with=9"


class _Refused(Exception):  # noqa: N818 (it is the usual course of a refusal, not an error of the server)
    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(kind)
        self.status, self.error = status, {"type": kind, "reason": reason}


@dataclasses.dataclass
class Cluster:
    """The application. documents: by id.

    product: ``elasticsearch`` or ``opensearch``. stream: the data stream. mappings: the properties of its mappings;
    ignore_malformed: its setting.
    has_template: whether a template makes the name a data stream. capacity:
    documents of one request that the write queue takes, the others are rejected. failure_store: documents that do not
    fit go there. largest: of a request's body before compression, in bytes.
    """

    journal: Journal | None = None
    product: str = "elasticsearch"
    stream: str = STREAM
    mappings: t.Mapping[str, t.Any] = dataclasses.field(default_factory=lambda: _MAPPINGS)
    ignore_malformed: bool = False
    has_template: bool = True
    may_look: bool = True
    capacity: int | None = None
    failure_store: bool = False
    largest: int = _LARGEST_REQUEST
    documents: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    conflicts: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        for uid, document in self.journal.read() if self.journal else []:
            assert uid not in self.documents, "the journal has a document twice"
            self.documents[uid] = document

    def __call__(self, request: Request) -> Reply:
        """Reply to a request as the product does."""
        try:
            self._authenticate(request)
            return self._reply(200, self._route(request))
        except _Refused as refused:
            error = {"root_cause": [refused.error], **refused.error}
            return self._reply(refused.status, {"error": error, "status": refused.status})

    def _reply(self, status: int, value: t.Any) -> Reply:
        if self.product == "opensearch":
            return json_reply(status, value, {"Content-Type": "application/json; charset=UTF-8"})
        headers = {"X-elastic-product": "Elasticsearch", "Content-Type": _VENDOR.format("json").replace(" ", "")}
        return json_reply(status, value, headers)

    def _authenticate(self, request: Request) -> None:
        if request.client is not None:
            return
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        accepted = {basic} if self.product == "opensearch" else {basic, f"ApiKey {API_KEY}"}
        given = request.headers.get("authorization")
        if given not in accepted:
            # What a careless server shows in its error.
            raise _Refused(401, "security_exception", f"unable to authenticate with [{given}]")

    def _route(self, request: Request) -> t.Any:
        if request.path == f"/{self.stream}/_bulk" and request.method in ("POST", "PUT"):
            self._check_headers(request)
            return self._bulk(request)
        if request.path == f"/_data_stream/{self.stream}" and request.method == "GET" and self.product == "opensearch":
            if not self.may_look:
                raise _Refused(403, "security_exception", "no permissions for [indices:admin/data_stream/get]")
            if not self.has_template:
                raise _Refused(404, "index_not_found_exception", f"no such index [{self.stream}]")
            return {"data_streams": [{"name": self.stream, "timestamp_field": {"name": "@timestamp"}}]}
        raise _Refused(400, "illegal_argument_exception", f"no handler for {request.method} {request.path}")

    def _check_headers(self, request: Request) -> None:
        headers = request.headers
        if self.product == "opensearch":
            expected = {"content-type": "application/json"}
        else:
            expected = {"content-type": _VENDOR.format("x-ndjson"), "accept": _VENDOR.format("json")}
            if request.query != "require_data_stream=true":
                raise _Refused(400, "illegal_argument_exception", f"unrecognized parameters [{request.query}]")
        for name, value in expected.items():
            if headers.get(name) != value:
                raise _Refused(406, "media_type_header_exception", f"{name} is [{headers.get(name)}]")

    def _bulk(self, request: Request) -> t.Any:
        content = request.content()
        if len(content) > self.largest:
            raise _Refused(413, "content_too_long_exception", "entity content is too long")
        if not content.endswith(b"\n"):
            raise _Refused(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        lines = content[:-1].split(b"\n")
        if len(lines) % 2:
            raise _Refused(400, "illegal_argument_exception", "an action has no document")
        items = []
        for number in range(0, len(lines), 2):
            uid = _uid(lines[number])
            try:
                self._create(uid, lines[number + 1], number // 2)
                result: dict[str, t.Any] = {"status": 201, "result": "created", "_version": 1}
            except _Refused as refused:
                result = {"status": refused.status, "error": refused.error}
                if self.failure_store and refused.status == 400:
                    self.failures.append(uid)
                    result = {"status": 201, "result": "created", "failure_store": "used"}
            shown = f"fs-{uid}" if "failure_store" in result else uid
            index = f".ds-{self.stream}-2026.11.29-000001"
            items.append({"create": {"_index": index, "_id": shown, **result}})
        return {"errors": any("error" in item["create"] for item in items), "took": 1, "items": items}

    def _create(self, uid: str, line: bytes, position: int) -> None:
        if not self.has_template:
            raise _Refused(404, "index_not_found_exception", "no matching index template with data stream template")
        if self.capacity is not None and position >= self.capacity:
            raise _Refused(429, "es_rejected_execution_exception", "rejected execution of coordinating operation")
        if uid in self.documents:
            self.conflicts += 1
            raise _Refused(409, "version_conflict_engine_exception", f"[{uid}]: document already exists")
        document = self._document(line)
        if self.journal is not None:
            self.journal.append([uid, document])
        self.documents[uid] = document

    def _document(self, line: bytes) -> dict[str, t.Any]:
        try:
            document = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        except ValueError as error:
            raise _Refused(400, "document_parsing_exception", f"[1:1] {error}") from None
        if not isinstance(document, dict) or "@timestamp" not in document:
            raise _Refused(400, "document_parsing_exception", "data stream timestamp field [@timestamp] is missing")
        problem = index_mappings.problem(document, self.mappings, self.ignore_malformed)
        if problem is not None:
            raise _Refused(400, "document_parsing_exception", f"[1:7] failed to parse field {problem}")
        return document


def make(journal: Journal, **options: t.Any) -> Cluster:
    """Return a cluster for a process."""
    return Cluster(journal, **options)


def _uid(line: bytes) -> str:
    try:
        action = json.loads(line)
    except ValueError:
        raise _Refused(400, "illegal_argument_exception", "Malformed action/metadata line") from None
    if not isinstance(action, dict) or list(action) != ["create"]:
        raise _Refused(400, "illegal_argument_exception", "only write ops with an op_type of create are allowed")
    uid = action["create"].get("_id")
    if list(action["create"]) != ["_id"] or not isinstance(uid, str) or not 1 <= len(uid.encode()) <= 512:
        raise _Refused(400, "illegal_argument_exception", "Malformed action/metadata line, expected an _id")
    return uid


def _no_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not part of JSON")
