# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user set for pip: the index, the proxy and the certificate authorities, read where pip reads them."""

from __future__ import annotations

import configparser
import os
import ssl
import urllib.request


def index() -> str | None:
    """Return the URL of the index that the user set for pip, in the environment or in pip.conf, or None."""
    return setting("index-url")


def setting(name: str) -> str | None:
    """Return pip's own setting of this name: PIP_NAME first, then the user's file, then the machine's."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value:
        return value
    for path in _configuration_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself will say what is wrong with it
        for section in ("install", "global"):
            if parser.has_option(section, name):
                return parser.get(section, name).strip()
    return None


def _configuration_files() -> list[str]:
    """Return the places of pip.conf, the one that wins first (pip's documentation, "Configuration")."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = os.path.expanduser("~")
    user = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    machine = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    files = [
        f"{user}/pip/pip.conf",
        f"{home}/.pip/pip.conf",
        "/etc/pip.conf",
        *(f"{path}/pip/pip.conf" for path in machine),
    ]
    return [named, *files] if named else files


def proxies() -> urllib.request.ProxyHandler:
    proxy = setting("proxy")
    return urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)


def tls() -> urllib.request.HTTPSHandler:
    """Trust what pip would: its own setting, then the variables of other clients (OpenSSL reads SSL_CERT_FILE)."""
    authorities = setting("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if authorities and os.path.isdir(authorities):
        return urllib.request.HTTPSHandler(context=ssl.create_default_context(capath=authorities))
    return urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authorities))
