# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify clear-signed text with the program that apt itself uses: gpgv(1), or sqv(1) of Sequoia."""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command

_GPGV, _SQV = PROGRAMS = "/usr/bin/gpgv", "/usr/bin/sqv"
_SECONDS = 10.0
_MOST_OUTPUT = 16 * 1024 * 1024
# RFC 9580, 6.2: headers, an empty line, base64, and a checksum that begins with "=".
_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*?[ \t]*\r?\n([A-Za-z0-9+/=\s]+?)(?:\r?\n=[^\r\n]{4})?"
    rb"\r?\n-----END PGP PUBLIC KEY BLOCK-----"
)


def binary_keys(keyring: bytes) -> bytes:
    """Return the keys of a keyring file without armour; raise ValueError where the armour is damaged."""
    if not keyring.lstrip().startswith(b"-----BEGIN"):
        return keyring
    try:
        return b"".join(base64.b64decode(b"".join(block.split())) for block in _ARMOR.findall(keyring))
    except binascii.Error as error:
        raise ValueError("the armour of a keyring is damaged: %s" % error) from error


def signed_text(message: bytes, keys: bytes) -> bytes | None:
    """Return what one of the keys signed in a clear-signed message, None where none of them did.

    What stands before and behind the signed part of the message is not in it. keys: binary.
    """
    directory = tempfile.mkdtemp(prefix="bulwark-")
    try:
        paths = [os.path.join(directory, name) for name in ("message", "keys", "text")]
        for path, content in zip(paths, (message, keys)):
            with open(path, "wb") as file:
                file.write(content)
        return _verified(*paths)
    except OSError:
        return None
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _verified(message: str, keys: str, text: str) -> bytes | None:
    for command in _commands(message, keys, text):
        if os.access(command[0], os.X_OK):
            completed = _command.run(command, timeout=_SECONDS, max_output=_MOST_OUTPUT)
            if completed.returncode:
                return None
            with open(text, "rb") as file:
                return file.read(_MOST_OUTPUT)
    return None


def _commands(message: str, keys: str, text: str) -> t.Iterator[list[str]]:
    yield [_GPGV, "--quiet", "--keyring", keys, "--output", text, message]
    yield [_SQV, "--keyring=" + keys, "--output=" + text, "--cleartext", message]
