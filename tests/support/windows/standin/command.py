# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that a controller asks the stand-in host to execute."""

from __future__ import annotations

import base64
import binascii
import shlex


class UnknownCommandError(Exception):
    """The stand-in cannot do what is asked; the message names it."""


def script(command: str) -> str:
    """Return the script of a command line ``powershell ... -EncodedCommand SCRIPT``; raise UnknownCommandError."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if words and words[0].lower() in ("powershell", "powershell.exe", "pwsh"):
        names = [word.lower() for word in words]
        if "-encodedcommand" in names[:-1] and "-encodedarguments" not in names:
            try:
                return base64.b64decode(words[names.index("-encodedcommand") + 1], validate=True).decode("utf-16-le")
            except (binascii.Error, UnicodeDecodeError):
                pass
    raise UnknownCommandError(f"the stand-in for PowerShell does not know the command: {command[:300]}")


def check_bootstrap(text: str) -> None:
    """Raise UnknownCommandError unless a script is ansible-core's bootstrap wrapper, which reads the payload."""
    if not all(part in text for part in ("`0`0`0`0", "$input", "Ansible requires PowerShell v")):
        raise UnknownCommandError(f"the stand-in for PowerShell does not know the script: {text[:300]}")
