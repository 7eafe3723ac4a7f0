# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the certificate of a swarm's node ends, from its PEM file: as much of X.509 (RFC 5280) as that needs."""

from __future__ import annotations

import base64
import binascii
import calendar
import re

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_TIME = re.compile(rb"([0-9]{2}|[0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z\Z")


def ends(pem: bytes) -> float | None:
    """Return the time of notAfter of the first certificate, in seconds since the epoch; None where there is none."""
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        return _not_after(base64.b64decode(b"".join(found.group(1).split()), validate=True))
    except (binascii.Error, IndexError, ValueError):
        return None


def _not_after(der: bytes) -> float:
    _tag, certificate, _rest = _element(der)
    _tag, body, _rest = _element(certificate)
    tag, _value, rest = _element(body)
    # Serial number, signature and issuer stand between the version, which may be missing, and the validity.
    for _field in range(3 if tag == _VERSION else 2):
        _tag, _value, rest = _element(rest)
    tag, validity, _rest = _element(rest)
    if tag != _SEQUENCE:
        raise ValueError("no validity")
    _tag, _value, rest = _element(validity)
    tag, value, _rest = _element(rest)
    match = _TIME.match(value)
    if match is None or tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    if tag == _UTC_TIME:
        year += 1900 if year >= 50 else 2000
    return float(calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0)))


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and value of the first element of DER, and what comes after it."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise ValueError("cut off")
    return tag, data[start : start + length], data[start + length :]
