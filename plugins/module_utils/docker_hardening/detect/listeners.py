# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge where an engine offers its API."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    STOPPED,
    Engine,
    FileFact,
    Host,
    Listener,
    Setting,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

_LOCAL = ("unix://", "fd://", "npipe://")
_LOOPBACK = re.compile(r"\w+://(?:127\.|localhost(?::|$)|\[::1\])", re.IGNORECASE)


def sockets(engine: Engine) -> t.Sequence[Listener]:
    """Return the unix sockets that an engine listens on."""
    return [listener for listener in engine.listeners if listener.address.startswith("unix://")]


def path_of(socket: Listener) -> str:
    return socket.address[len("unix://") :]


def socket_files(engine: Engine) -> t.Sequence[FileFact]:
    """Return the files of the unix sockets of an engine; one that was not read has a problem."""
    return [
        listener.file or FileFact(path_of(listener), problem="the file of %s was not read" % listener.address)
        for listener in sockets(engine)
    ]


def unverified(engine: Engine) -> t.Sequence[Listener]:
    """Return where an engine serves clients over the network without a certificate of theirs."""
    return [each for each in engine.listeners if _is_tcp(each.address) and not each.verifies_clients]


def verification_problem(engine: Engine) -> str | None:
    """Return why it is not known whether clients over the network are verified, which a setting alone says."""
    setting = engine.settings.get("tlsverify")
    if setting is None or setting.problem is None or not unverified(engine):
        return None
    return "It is not known whether clients on TCP need a certificate: %s." % setting.problem.rstrip(".")


def check_tcp(_host: Host, engine: Engine, _options: Options) -> Verdict:
    """Judge whether only clients with a certificate reach the API over TCP, now and after the next start."""
    tcp = [listener for listener in engine.listeners if _is_tcp(listener.address)]
    open_to_all = unverified(engine)
    problem = verification_problem(engine)
    if problem is not None:
        return verdict.not_checked(problem)
    if open_to_all:
        worst = None if any(not _LOOPBACK.match(each.address) for each in open_to_all) else "high"
        reason = "Clients need no certificate at %d of %d addresses." % (len(open_to_all), len(engine.listeners))
        return verdict.failed(reason, [_item(each) for each in open_to_all], len(engine.listeners), worst)
    waiting = _waiting(engine)
    if waiting:
        reason = "The next start opens the API without client certificates. A restart is pending."
        return verdict.failed(reason, waiting, len(engine.listeners) + len(waiting))
    if not engine.listeners:
        return verdict.not_checked("It is not known where the engine listens.")
    if engine.state == STOPPED and not tcp:
        return verdict.passed("The files of the engine name no TCP address.", len(engine.listeners))
    if not tcp:
        return verdict.passed("The engine does not listen on TCP.", len(engine.listeners))
    return verdict.passed("All TCP addresses need a client certificate.", len(tcp), [_item(each) for each in tcp])


def _is_tcp(address: str) -> bool:
    """Say whether an address is of the network: an engine takes one without a scheme for TCP."""
    return not address.startswith(_LOCAL)


def _item(listener: Listener) -> Item:
    certificates = "client certificates" if listener.verifies_clients else "no client certificates"
    detail = "%s, %s (%s)" % ("TLS" if listener.has_tls else "no TLS", certificates, listener.source)
    return Item("setting", printable(listener.address), detail)


def _waiting(engine: Engine) -> t.Sequence[Item]:
    """Return the TCP addresses that the next start would open to all."""
    names = ("hosts", "tlsverify")
    chosen = [engine.settings[name] for name in names if name in engine.settings]
    if not any(setting.is_pending for setting in chosen) or _next(engine, "tlsverify") is True:
        return ()
    addresses = _next(engine, "hosts")
    return [
        Item("setting", printable(str(address)), "no client certificates (written)")
        for address in (addresses if isinstance(addresses, list) else ())
        if _is_tcp(str(address))
    ]


def _next(engine: Engine, name: str) -> t.Any:
    setting: Setting | None = engine.settings.get(name)
    if setting is None:
        return None
    return setting.written if setting.is_pending else setting.value
