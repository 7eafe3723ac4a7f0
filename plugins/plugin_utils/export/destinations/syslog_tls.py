# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of a syslog destination: its own certificate authority, name and client certificate."""

from __future__ import annotations

import os
import ssl
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnusableError

_OPTIONS = ("ca_file", "certificate", "key", "key_password", "key_password_file", "key_password_environment")


def context(settings: t.Mapping[str, t.Any]) -> ssl.SSLContext:
    """Return the context of a client, TLS 1.2 at least; raise ExportError for files that cannot be used."""
    made = _trusting(settings)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings["key"] and not settings["certificate"]:
        raise ExportError("key is given without certificate; give both, or the certificate with its key in one file")
    if settings["certificate"]:
        _identify(made, settings)
    return made


def check_unused(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for options of TLS with a transport that has none: people would believe in encryption."""
    for option in _OPTIONS:
        if settings[option] is not None:
            raise ExportError(f"{option} needs TLS, and transport is {settings['transport']}; choose tls or relp_tls")


def _trusting(settings: t.Mapping[str, t.Any]) -> ssl.SSLContext:
    path = settings["ca_file"]
    try:
        made = ssl.create_default_context(cafile=os.path.expanduser(path) if path else None)
    except ssl.SSLError:
        raise UnusableError(f"ca_file: {path} has no certificate in PEM form; name a file with one") from None
    except OSError as error:
        raise UnusableError(f"ca_file: {path} cannot be read: {error.strerror or error}") from None
    if not settings["verify"]:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _identify(made: ssl.SSLContext, settings: t.Mapping[str, t.Any]) -> None:
    certificate = os.path.expanduser(settings["certificate"])
    key = os.path.expanduser(settings["key"] or settings["certificate"])
    for option, path in (("certificate", certificate), ("key", key)):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise UnusableError(f"{option}: {path} cannot be read: {error.strerror or error}") from None
    # Without a password OpenSSL would ask for one at the terminal.
    password = secrets.read(settings, "key_password") or ""
    try:
        made.load_cert_chain(certificate, key, lambda: password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "its password is wrong"
        raise UnusableError(
            f"certificate: {certificate} and {key} are no certificate and key that belong together, or the key needs "
            f"another key_password: {str(reason).replace('_', ' ').lower()}"
        ) from None
