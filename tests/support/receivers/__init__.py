# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test servers that stand in for receivers of the export that cannot run here, and faults that real ones show.

``server`` has the TLS server, ``faults`` what can go wrong with it, ``process`` runs it as a process that can be
killed, ``certificates`` makes its certificates and ``proxy`` is an HTTP proxy. A receiver is an application: a callable
that takes a Request and returns a Reply, and refuses whatever breaks its vendor's documentation.
"""

from __future__ import annotations

from tests.support.receivers.exchange import Application, Reply, Request, json_reply
from tests.support.receivers.server import ReceiverServer

__all__ = ["Application", "ReceiverServer", "Reply", "Request", "json_reply"]
