# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all destinations over HTTP have: TLS, client certificate, proxy and timeouts."""

from __future__ import annotations

import dataclasses
import ssl
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnusableError

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "ca_file": {"type": "path"},
    "verify": {"type": "bool", "default": True},
    "certificate": {"type": "path"},
    "key": {"type": "path", "no_log": False},
    **secrets.arguments("key_password"),
    "proxy": {"type": "str"},
    "proxy_user": {"type": "str"},
    **secrets.arguments("proxy_password"),
    "connect_timeout": {"type": "float", "default": 10.0},
    "read_timeout": {"type": "float", "default": 60.0},
    "request_timeout": {"type": "float", "default": 120.0},
}

# Seconds. A receiver that needs more is left to the next export.
_LONGEST = 600.0


@dataclasses.dataclass(frozen=True)
class Url:
    """A URL in its parts. origin: scheme, host and port, for messages. target: the path and the query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return f"{self.scheme}://{host}" + ("" if self.port == usual else f":{self.port}")


@dataclasses.dataclass(frozen=True, repr=False)
class HttpSettings:
    """Checked options. Has secrets, so that it has no representation. Timeouts are seconds.

    context: for TLS, with the authority's and the client's certificates loaded. verify: whether it checks the
    receiver's certificate. connect_timeout: for the connection and each step of the handshake. read_timeout: between
    two pieces of the reply. request_timeout: for all of a request, from the connection to the end of the reply.
    """

    context: ssl.SSLContext
    verify: bool
    proxy: Url | None
    proxy_authorization: str | None
    connect_timeout: float
    read_timeout: float
    request_timeout: float


def url(text: str, name: str, *, is_secret: bool = False) -> Url:
    """Return the parts of a URL; raise ExportError.

    name: of the option. is_secret: the message must not repeat it.
    """
    shown = "" if is_secret else f" '{printable(_without_credentials(text)[:200])}'"
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ExportError(f"{name}{shown} has characters that a URL cannot have; write them percent-encoded")
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError:
        raise ExportError(f"{name}{shown} is not a URL; write https://HOST or https://HOST:PORT") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ExportError(f"{name}{shown} is not a URL of HTTP; write https://HOST or https://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ExportError(f"{name} has a user or a password in it; remove them, the other options have secrets")
    if parts.fragment:
        raise ExportError(f"{name}{shown} has a fragment (#...), which is never sent; remove it")
    usual = 443 if parts.scheme == "https" else 80
    target = parts.path or "/"
    return Url(parts.scheme, parts.hostname, usual if port is None else port, target + _query(parts.query))


def parse(options: t.Mapping[str, t.Any], receiver: Url) -> HttpSettings:
    """Return the checked options of a destination; raise ExportError.

    Reads the certificates and makes no connection.
    """
    verify = bool(options["verify"])
    if receiver.scheme == "http" and verify:
        raise ExportError(
            f"{receiver.origin} has no TLS, so anybody on the way can read and change what is sent; use https, or set "
            "verify to false if nobody can"
        )
    proxy = url(options["proxy"], "proxy") if options.get("proxy") is not None else None
    return HttpSettings(
        context=_context(options, verify),
        verify=verify,
        proxy=proxy,
        proxy_authorization=_proxy_authorization(options, proxy),
        connect_timeout=_seconds(options, "connect_timeout"),
        read_timeout=_seconds(options, "read_timeout"),
        request_timeout=_seconds(options, "request_timeout"),
    )


def _without_credentials(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else text.rpartition("@")[2]


def _query(query: str) -> str:
    return f"?{query}" if query else ""


def _seconds(options: t.Mapping[str, t.Any], name: str) -> float:
    seconds = float(options[name])
    if not 0 < seconds <= _LONGEST:
        raise ExportError(f"{name} is {seconds:g}; write seconds above 0 and up to {_LONGEST:g}")
    return seconds


def _proxy_authorization(options: t.Mapping[str, t.Any], proxy: Url | None) -> str | None:
    """Return ``user:password`` for the proxy."""
    user = options.get("proxy_user")
    password = secrets.read(options, "proxy_password")
    if (user is None) != (password is None):
        raise ExportError("proxy_user and proxy_password belong together; give both or none")
    if user is None:
        return None
    if proxy is None:
        raise ExportError("proxy_user has no proxy; set proxy, or remove proxy_user and proxy_password")
    if ":" in user:
        raise ExportError("proxy_user has a colon, which a user of a proxy cannot have; correct it")
    return f"{user}:{password}"


def _context(options: t.Mapping[str, t.Any], verify: bool) -> ssl.SSLContext:
    ca_file = options.get("ca_file")
    try:
        # With a file only its authorities count, not those of the system.
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UnusableError(f"ca_file: {ca_file} cannot be read as certificates in PEM: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        if ca_file is not None:
            raise ExportError("ca_file is of no use without verification; remove it, or remove verify")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_certificate(context, options)
    return context


def _load_certificate(context: ssl.SSLContext, options: t.Mapping[str, t.Any]) -> None:
    certificate, key = options.get("certificate"), options.get("key")
    password = secrets.read(options, "key_password")
    if certificate is None:
        if key is not None or password is not None:
            raise ExportError("key and key_password need a certificate; set certificate, or remove them")
        return
    try:
        # With a password of no length OpenSSL fails on an encrypted key; with none it would ask on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: password or "")
    except (OSError, ssl.SSLError, ValueError) as error:
        files = f"{certificate} and {key}" if key is not None else f"{certificate}"
        raise UnusableError(
            f"certificate: {files} cannot be used: {_reason(error)}; name a certificate and its key in PEM, and "
            "key_password if the key is encrypted"
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it has no valid content").replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or error)
