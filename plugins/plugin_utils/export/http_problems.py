# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe failed requests for people, without the URL and the headers, which may be secrets."""

from __future__ import annotations

import functools
import re
import ssl

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings


def describe(error: Exception, settings: HttpSettings) -> str:
    """Return what went wrong, for people; nothing of it is the URL or a header."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ProxyError):
        return f"cannot be reached by the proxy {settings.proxy.origin if settings.proxy else ''}: {_cause(error)}"
    if isinstance(error, exceptions.NameResolutionError):
        return "cannot be reached: its name has no address"
    if isinstance(error, exceptions.NewConnectionError):
        return f"cannot be reached: {_cause(error)}"
    if isinstance(error, exceptions.ConnectTimeoutError):
        return f"cannot be reached: no connection within {settings.connect_timeout:g} seconds"
    if isinstance(error, exceptions.ReadTimeoutError):
        return f"sent nothing for {settings.read_timeout:g} seconds"
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return f"has no TLS that can be trusted: {_cause(error)}"
    return f"ended the connection without a whole reply ({_cause(error)})"


def _cause(error: BaseException) -> str:
    """Return the innermost reason that has no text of the request in it."""
    chain: list[BaseException] = [error]
    while len(chain) < 10:
        inner = chain[-1].__cause__ or chain[-1].__context__
        inner = inner or next((part for part in chain[-1].args if isinstance(part, BaseException)), None)
        if inner is None or inner in chain:
            break
        chain.append(inner)
    for inner in reversed(chain):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return inner.verify_message.rstrip(".")
        if isinstance(inner, ssl.SSLError) and inner.reason:
            return inner.reason.replace("_", " ").lower()
        if isinstance(inner, TimeoutError):
            return "no reply in time"
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        tunnel = re.search(r"Tunnel connection failed: ([0-9]{3})", str(inner)) if isinstance(inner, OSError) else None
        if tunnel is not None:
            return f"it replied with status {tunnel[1]}"
    return _words(type(chain[-1]).__name__)


@functools.cache
def _words(name: str) -> str:
    """Return the name of an exception in ordinary words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
