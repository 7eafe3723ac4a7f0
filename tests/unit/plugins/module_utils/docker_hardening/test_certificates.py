# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate ends."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import certificates

# openssl req -x509 -days 90, notAfter=Feb 27 08:09:03 2027 GMT
_PEM = b"""-----BEGIN CERTIFICATE-----
MIIBbTCCAROgAwIBAgIURNcFlvRU/lUGhExze73ew7GfnGwwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBbjAeFw0yNjExMjkwODA5MDNaFw0yNzAyMjcwODA5MDNaMAwx
CjAIBgNVBAMMAW4wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ5Iv4TBBaNSiXa
nhY/U/0hweir9CE2nrs5lgk70ptLbnYAlznbgP7G1n8VyB8eQRVgzAX2JbkK/Ngd
FEi1egj6o1MwUTAdBgNVHQ4EFgQUpTxs8IE0DlX8uRYe9ReX9ZiGO0kwHwYDVR0j
BBgwFoAUpTxs8IE0DlX8uRYe9ReX9ZiGO0kwDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNIADBFAiAk0/bl4V08ZY5j1RIlhc03CLwyeAap6U1f1NPWhxu0jQIh
AMrQkAJIshWyd2Kesx56k/KsDjH5p+aix7hSjbbffgZj
-----END CERTIFICATE-----
"""


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(der)


def test_the_end_of_the_first_certificate_is_read() -> None:
    assert certificates.ends(b"-----BEGIN EC PRIVATE KEY-----\nAA==\n" + _PEM + _PEM) == 1_803_715_743.0


@pytest.mark.parametrize("text", [b"20270227080903Z", b"270227080903Z"])
def test_both_forms_of_a_time_are_read(text: bytes) -> None:
    time = bytes([0x18 if len(text) > 13 else 0x17, len(text)]) + text
    validity = bytes([0x30, 2 * len(time)]) + time + time
    body = b"\x02\x01\x01\x30\x00\x30\x00" + validity
    assert certificates.ends(_pem(b"\x30\x7f"[:1] + bytes([len(body) + 2]) + b"\x30" + bytes([len(body)]) + body)) == (
        1_803_715_743.0
    )


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 50, b"\x30\x02\x30\x00"])
def test_what_is_none_has_no_end(der: bytes) -> None:
    assert certificates.ends(_pem(der)) is None
    assert certificates.ends(der) is None
    assert certificates.ends(_PEM[: len(_PEM) // 2]) is None


def test_a_certificate_that_is_changed_anywhere_harms_nothing() -> None:
    der = base64.b64decode(b"".join(_PEM.splitlines()[1:-1]))
    for place in range(len(der)):
        certificates.ends(_pem(der[:place] + bytes([der[place] ^ 0xFF]) + der[place + 1 :]))
