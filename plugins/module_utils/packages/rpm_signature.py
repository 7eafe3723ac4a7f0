# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of the headers of installed RPM packages that rpm(8) verifies with a key of the host.

The header holds the digest and the mode of each file, so a signature that verifies covers them. rpm says which key it
was only in its debug output; a header without a signature, or by a key that the host does not have, has no such line.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

KEY_AGE = 86_400.0
_SIGNATURE = re.compile(rb"^Header .{0,80}Signature, key ID ([0-9a-f]{8,64}): (\w+)", re.MULTILINE)
_KEY = re.compile(rb"^([0-9a-f]{8,64}) (\d{1,12})$", re.MULTILINE)
_SHORT_ID = 8

# Takes arguments of rpm; returns what it wrote to standard output and to standard error. Raises OSError.
Verbose = t.Callable[[t.Sequence[str]], t.Tuple[bytes, bytes]]


def signing_keys(rpm: Verbose, package: Owned) -> frozenset[str]:
    """Return the short ids of the keys whose signatures of a package's header verify, nothing where one does not."""
    version = package.version.partition(":")[2] or package.version
    name = "%s-%s.%s" % (package.package, version, package.arch)
    try:
        _output, debug = rpm(["-q", "-vv", name])
    except OSError:
        return frozenset()
    signatures = _SIGNATURE.findall(debug)
    if any(result != b"OK" for _key, result in signatures):
        return frozenset()
    return frozenset(key[-_SHORT_ID:].decode("ascii") for key, _result in signatures)


def signed_since(rpm: Verbose, package: Owned) -> float | None:
    """Return from which time on the key of a package's signature vouches for anything, None where nothing verifies."""
    keys = signing_keys(rpm, package)
    if not keys:
        return None
    try:
        imported, _debug = rpm(["-q", "gpg-pubkey", "--queryformat", "%{VERSION} %{INSTALLTIME}\\n"])
    except OSError:
        return None
    times = [float(time) for key, time in _KEY.findall(imported) if key[-_SHORT_ID:].decode("ascii") in keys]
    return min(times) + KEY_AGE if times else None
