# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What win_platform_facts says of a Windows host beyond Ansible's facts, and what it means for a scan's coverage."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# The coverage scope of what the account and the process of the connection cannot see, whatever looks.
SCOPE = "windows_platform"

_ACCOUNT = "The account of the connection"
_PROCESS = "The PowerShell process"
_TEXT_LIMIT = 256
_MOST_PRIVILEGES = 64
_TEXTS = (
    *("product_type", "installation_type", "edition", "build", "architecture"),
    *("powershell_edition", "powershell_version", "language_mode", "lockdown_policy"),
)
_FLAGS = ("is_32bit_process", "is_container", "is_administrator")
# https://learn.microsoft.com/windows/win32/secauthz/privilege-constants
_NEEDED = {
    "SeBackupPrivilege": "files and keys that administrators may not open",
    "SeDebugPrivilege": "processes of other accounts",
    "SeSecurityPrivilege": "audit rules of files and keys",
}

_NO_ADMINISTRATOR = (
    "It is not an administrator, or UAC filters its token, so data that only administrators can read is missing; use a"
    " member of Administrators, and for a local account set LocalAccountTokenFilterPolicy to 1."
)
_NARROW_PROCESS = (
    "It is a 32-bit process, and Windows shows it other files and keys than the 64-bit ones; make"
    " %SystemRoot%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe the shell of the connection."
)


def read(value: t.Any) -> dict[str, t.Any]:
    """Return what is as it should be of the module's result ``windows``; the host may have written anything."""
    fields = value if isinstance(value, dict) else {}
    known: dict[str, t.Any] = {
        name: visible(fields[name], _TEXT_LIMIT) for name in _TEXTS if isinstance(fields.get(name), str)
    }
    known.update((name, fields[name]) for name in _FLAGS if isinstance(fields.get(name), bool))
    revision = fields.get("update_revision")
    if isinstance(revision, int) and not isinstance(revision, bool):
        known["update_revision"] = revision
    privileges = fields.get("privileges")
    if isinstance(privileges, list):
        texts = [visible(name, _TEXT_LIMIT) for name in privileges if isinstance(name, str)]
        known["privileges"] = texts[:_MOST_PRIVILEGES]
    return known


def coverage(known: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Return the coverage entry of what no capability sees on a host, None if nothing is out of sight."""
    scope = ScopeCoverage(SCOPE)
    scope.examined = 1
    for subject, reason in _hidden(known):
        scope.skip(subject, reason)
    scope.note = " ".join(_notes(known)) or None
    return scope.entry() if scope.skipped_count or scope.note else None


def _hidden(known: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str]]:
    if known.get("is_administrator") is False:
        yield _ACCOUNT, _NO_ADMINISTRATOR
    elif "privileges" in known:
        for privilege, data in _NEEDED.items():
            if privilege not in known["privileges"]:
                yield _ACCOUNT, f"It lacks {privilege}, so {data} are missing; grant it by group policy."
    if known.get("is_32bit_process") is True and known.get("architecture") != "32-bit":
        yield _PROCESS, _NARROW_PROCESS


def _notes(known: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if known.get("product_type") == "domain_controller":
        yield (
            "This host is a domain controller: its accounts are those of the domain, and no scan reads the directory;"
            " review them there."
        )
    if known.get("is_container") is True:
        yield "This host is a container: it does not see the kernel and the drivers, so scan the host of the container."
