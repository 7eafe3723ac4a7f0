# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of requests as Standard Webhooks has them (https://www.standardwebhooks.com, version 1.0.0).

Three headers: ``webhook-id``, ``webhook-timestamp`` in seconds since the epoch, and ``webhook-signature``, which is
``v1,`` and the HMAC-SHA256 of ``ID.TIMESTAMP.BODY`` in base64. Libraries of many languages verify them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError

_PREFIX = "whsec_"
# 128 bits: shorter secrets can be guessed from one signed request.
_SHORTEST = 16


def key(secret: str) -> bytes:
    """Return the key of a secret: base64 after ``whsec_``, the text itself otherwise; raise ExportError."""
    if secret.startswith(_PREFIX):
        try:
            decoded = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ExportError(f"secret begins with {_PREFIX}, but no base64 follows; correct it") from None
    else:
        decoded = secret.encode("utf-8", "surrogateescape")
    if len(decoded) < _SHORTEST:
        raise ExportError(
            f"secret has less than {_SHORTEST} bytes; make one with 'echo {_PREFIX}$(openssl rand -base64 32)'"
        )
    return decoded


def headers(signing_key: bytes, message_id: str, timestamp: float, body: bytes) -> dict[str, str]:
    """Return the three headers for a request. timestamp: now, in seconds since the epoch."""
    seconds = str(int(timestamp))
    signed = f"{message_id}.{seconds}.".encode() + body
    signature = base64.b64encode(hmac.new(signing_key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": seconds, "webhook-signature": f"v1,{signature}"}
