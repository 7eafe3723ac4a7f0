# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""urllib3's connections, one for each receiver, that a deadline can end."""

from __future__ import annotations

import socket
import ssl
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.deadline import Deadline
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http_options import HttpSettings

if t.TYPE_CHECKING:
    import urllib3


def manager(settings: HttpSettings, deadline: Deadline) -> urllib3.PoolManager:
    """Return urllib3's manager of one connection, without any from the environment."""
    import urllib3

    if not settings.verify:
        # The export says so itself, in words for its users.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    pools: dict[str, t.Any] = {"num_pools": 1, "maxsize": 1, "ssl_context": settings.context}
    if settings.proxy is None:
        made = urllib3.PoolManager(**pools)
    else:
        credentials = settings.proxy_authorization
        headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials is not None else {}
        made = urllib3.ProxyManager(
            settings.proxy.origin, proxy_headers=headers, proxy_ssl_context=settings.context, **pools
        )
    made.pool_classes_by_scheme = _pool_classes(deadline)
    return made


def _pool_classes(deadline: Deadline) -> dict[str, t.Any]:
    """Return urllib3's pools, with connections that a deadline ends."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    C = t.TypeVar("C", bound=HTTPConnection)

    def watched(base: type[C]) -> type[C]:
        class Watched(base):  # type: ignore[valid-type, misc]  # the same for both of urllib3's classes
            _handle: int | None = None

            def _new_conn(self) -> socket.socket:
                connection: socket.socket = super()._new_conn()
                self._handle = deadline.watch(connection)
                return connection

            @property
            def is_connected(self) -> bool:
                # More than was asked for would be read as the reply to the next request.
                has_more = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0
                return bool(super().is_connected) and not has_more

            def close(self) -> None:
                super().close()
                if self._handle is not None:
                    deadline.forget(self._handle)
                    self._handle = None

        return Watched

    class Plain(HTTPConnectionPool):
        ConnectionCls = watched(HTTPConnection)

    class Secure(HTTPSConnectionPool):
        ConnectionCls = watched(HTTPSConnection)

    return {"http": Plain, "https": Secure}
