# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entra ID, a machine's identity service and Azure's Logs Ingestion API, as their documentation describes them.

Strict where the real ones are lenient: a row may have only columns of the stream, and a field that is longer than Azure
keeps is noted. Rows outlive the server in a journal, written before the reply, with repetitions as in a real table.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import pathlib
import time
import typing as t
import urllib.parse
import uuid

import jwt
from cryptography import x509

from tests.support.receivers.exchange import BadBodyError, Reply, Request, json_reply
from tests.support.receivers.process import Journal

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
SECRET = "client~s3cr3t.of-a_test"
RULE = "dcr-0123456789abcdef0123456789abcdef"
STREAM = "Custom-BulwarkFindings_CL"
RESOURCE = "https://monitor.azure.com"
# A call of the Logs Ingestion API, and a field.
LARGEST_CALL = 1_048_576
LARGEST_FIELD = 65_536
_SIGNING_KEY = b"of the test's Entra ID"


def _is_time(value: t.Any) -> bool:
    try:
        return dt.datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


# Of columns in a data collection rule.
_TYPES: t.Mapping[str, t.Callable[[t.Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "datetime": _is_time,
    "dynamic": lambda value: isinstance(value, (dict, list)),
    "int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "string": lambda value: isinstance(value, str),
}


def issue(lifetime: float = 3_600.0, resource: str = RESOURCE) -> str:
    """Return a token. lifetime: in seconds."""
    claims = {"aud": resource, "exp": time.time() + lifetime, "appid": CLIENT, "jti": uuid.uuid4().hex}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{payload}.{_signature(payload)}"


def _signature(payload: str) -> str:
    return hmac.new(_SIGNING_KEY, payload.encode(), hashlib.sha256).hexdigest()


@dataclasses.dataclass
class Identity:
    """Entra ID, and a machine's service for a managed identity.

    url: its own address. certificate: the file of the application's certificate. lifetime: of its tokens, in seconds;
    lifetimes: of the next ones, if they differ from what it says.
    """

    url: str = ""
    certificate: pathlib.Path | None = None
    lifetime: float = 3_600.0
    lifetimes: collections.deque[float] = dataclasses.field(default_factory=collections.deque)
    tokens: list[str] = dataclasses.field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        """Reply to a request as they do."""
        base = f"/{TENANT}"
        if request.method == "GET" and request.path == f"{base}/v2.0/.well-known/openid-configuration":
            endpoint = f"{self.url}{base}/oauth2/v2.0/"
            return json_reply(
                200,
                {
                    "token_endpoint": endpoint + "token",
                    "authorization_endpoint": endpoint + "authorize",
                    "device_authorization_endpoint": endpoint + "devicecode",
                    "issuer": f"{self.url}{base}/v2.0",
                },
            )
        if request.method == "POST" and request.path == f"{base}/oauth2/v2.0/token":
            return self._token(dict(urllib.parse.parse_qsl(request.content().decode())))
        if request.method == "GET" and request.path == "/metadata/identity/oauth2/token":
            return self._machine_token(request)
        return json_reply(404, {"error": "invalid_request", "error_description": "AADSTS900023: not found"})

    def _token(self, form: dict[str, str]) -> Reply:
        if form.get("grant_type") != "client_credentials" or form.get("scope") != f"{RESOURCE}/.default":
            return _denied("invalid_scope", "AADSTS70011: The provided value for scope is not valid.")
        if form.get("client_id") != CLIENT:
            return _denied("unauthorized_client", "AADSTS700016: Application was not found in the directory.")
        if not self._is_proven(form):
            # It names what it got, as a careless service would.
            return _denied("invalid_client", f"AADSTS7000215: Invalid client secret '{form.get('client_secret')}'.")
        return json_reply(
            200, {"token_type": "Bearer", "expires_in": int(self.lifetime), "access_token": self._issued()}
        )

    def _is_proven(self, form: dict[str, str]) -> bool:
        assertion = form.get("client_assertion")
        if assertion is None or self.certificate is None:
            return form.get("client_secret") == SECRET
        public_key = x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_key()
        try:
            claims = jwt.decode(
                assertion,
                t.cast("t.Any", public_key),
                algorithms=["PS256", "RS256"],
                audience=f"{self.url}/{TENANT}/oauth2/v2.0/token",
            )
        except jwt.PyJWTError:
            return False
        return bool(claims["iss"] == claims["sub"] == CLIENT)

    def _machine_token(self, request: Request) -> Reply:
        query = dict(urllib.parse.parse_qsl(request.query))
        if request.headers.get("metadata", "").lower() != "true":
            return json_reply(400, {"error": "invalid_request", "error_description": "Required metadata header"})
        if query.get("api-version") != "2018-02-01" or query.get("resource") != RESOURCE:
            return json_reply(400, {"error": "invalid_resource", "error_description": "unknown resource"})
        if query.get("client_id", CLIENT) != CLIENT:
            return json_reply(400, {"error": "invalid_request", "error_description": "Identity not found"})
        lifetime = int(self.lifetime)
        times = {"expires_in": str(lifetime), "expires_on": str(int(time.time()) + lifetime)}
        return json_reply(200, {"access_token": self._issued(), "resource": RESOURCE, "token_type": "Bearer", **times})

    def _issued(self) -> str:
        token = issue(self.lifetimes.popleft() if self.lifetimes else self.lifetime)
        self.tokens.append(token)
        return token


@dataclasses.dataclass
class Ingestion:
    """A data collection endpoint with one rule and one stream. rows: of the table, with repetitions.

    stream: of the rule. columns: of the stream with their types; None for any. poison: an error for each row with
    this uid, as when it fits no column. may_write: whether the application has its role.
    """

    journal: Journal | None = None
    stream: str = STREAM
    columns: t.Mapping[str, str] | None = None
    poison: frozenset[str] = frozenset()
    may_write: bool = True
    largest: int = LARGEST_CALL
    rows: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    cut: list[str] = dataclasses.field(default_factory=list)
    revoked: set[str] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        self.rows = self.journal.read() if self.journal else []

    def __call__(self, request: Request) -> Reply:
        """Reply to a request as the endpoint does."""
        if request.method != "POST" or request.query != "api-version=2023-01-01":
            return _error(400, "InvalidApiVersion", "The api-version is missing or not supported.")
        parts = request.path.split("/")
        if len(parts) != 5 or parts[1] != "dataCollectionRules" or parts[3] != "streams":
            return _error(404, "NotFound", "The resource does not exist.")
        problem = self._authorize(request)
        if problem is not None:
            return problem
        if parts[2] != RULE:
            return _error(404, "NotFound", f"Data collection rule with immutable Id '{parts[2]}' not found.")
        if parts[4] != self.stream:
            return _error(400, "InvalidStream", f"The stream {parts[4]} was not configured in the rule.")
        return self._take(request)

    def uids(self) -> list[str]:
        """Return the uid of each row, with repetitions."""
        return [row["metadata"]["uid"] if "metadata" in row else row["EventUid"] for row in self.rows]

    def _authorize(self, request: Request) -> Reply | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            _head, payload, signature = token.split(".")
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except ValueError:
            claims, payload, signature = {}, "", ""
        is_known = scheme == "Bearer" and hmac.compare_digest(signature, _signature(payload))
        if not is_known or claims.get("aud") != RESOURCE or claims["exp"] < time.time() or token in self.revoked:
            # It shows the token, as a careless server would.
            return _error(401, "InvalidToken", f"Authentication token '{token}' is invalid or expired.")
        if not self.may_write:
            return _error(403, "OperationFailed", "The authentication token provided does not have access.")
        return None

    def _take(self, request: Request) -> Reply:
        if request.headers.get("content-type") != "application/json":
            return _error(415, "UnsupportedMediaType", "The content type must be application/json.")
        try:
            content = request.content()
            if max(len(content), len(request.body)) > self.largest:
                return _error(413, "ContentLengthLimitExceeded", f"Maximum allowed content length: {self.largest}")
            rows = request.json()
        except BadBodyError as error:
            return _error(400, "InvalidRequestPayload", str(error))
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            return _error(400, "InvalidRequestPayload", "The payload must be an array of objects.")
        for row in rows:
            problem = self._judge(row)
            if problem is not None:
                return _error(400, "InvalidRequestPayload", problem)
        if self.journal is not None:
            self.journal.append(*rows)
        self.rows += rows
        return Reply(204)

    def _judge(self, row: dict[str, t.Any]) -> str | None:
        if row.get("metadata", {}).get("uid") in self.poison:
            return "A value does not fit the type of its column."
        try:
            dt.datetime.fromisoformat(row["TimeGenerated"])
        except (KeyError, TypeError, ValueError):
            return "TimeGenerated is missing or no time."
        unknown = set(row) - set(self.columns) if self.columns is not None else set()
        if unknown:
            return f"The stream has no columns {sorted(unknown)}."
        for column, kind in (self.columns or {}).items():
            if row.get(column) is not None and not _TYPES[kind](row[column]):
                return f"The column {column} is no {kind}."
        for column, value in row.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if len(text.encode()) > LARGEST_FIELD:
                self.cut.append(column)
        return None


def make(journal: Journal, **options: t.Any) -> Ingestion:
    """Return an endpoint for a process."""
    return Ingestion(journal, **options)


def _denied(error: str, description: str) -> Reply:
    return json_reply(401, {"error": error, "error_description": description, "error_codes": [7_000_215]})


def _error(status: int, code: str, message: str) -> Reply:
    return json_reply(status, {"error": {"code": code, "message": message}})
