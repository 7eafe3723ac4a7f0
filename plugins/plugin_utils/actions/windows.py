# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action does differently on a Windows host: privilege, and PowerShell that runs no code of ours."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleActionFail

# The one become method that Windows has (https://docs.ansible.com/ansible/latest/collections/ansible/builtin/runas_become.html).
_RUNAS = "runas"

CONSTRAINED = (
    "PowerShell runs in constrained language mode on this host (App Control or AppLocker), which runs no C# of this"
    " collection: sign the PowerShell content of ansible-core and of the collection"
    " (meta/powershell_signatures.psd1; ansible-core 2.19 or later), or let the policy allow it"
)

# Windows PowerShell 5.1 shows this id with each error in every display language, and may wrap it in the middle.
_ERROR_ID = re.compile(r"FullyQualifiedErrorId:(.{0,200})")
# about_Language_Modes; the ids are those of PowerShell's source (ConstrainedLanguage: of invoked methods, property
# setters and created types), the last three those of ansible-core's exec_wrapper.ps1 and module_wrapper.ps1.
_CONSTRAINED_IDS = re.compile(
    r"\w*ConstrainedLanguage\b|CannotDefineNewType\b|ConversionSupportedOnlyToCoreTypes\b"
    r"|Script(NotTrusted|Unsupported)\b|.{0,150}(inConstrainedLanguagemode|isnottrustedandcannotbeloaded)"
)
# PowerShell 7 shows no id, but has only English messages; ansible-core's own are in English, too. PowerShell 7 wraps
# lines, and begins each with a bar.
_CONSTRAINED_WORDS = re.compile(
    r"\bin this language mode\b|\bin ConstrainedLanguage mode\b|\bis not trusted (to run|and cannot be loaded)\b"
    r"|\bis marked as unsupported in CLM mode\b".replace(" ", r"[\s|]+")
)
_LONGEST = 100_000
# A shell of Linux gives 128 more than the number of the signal, and Ansible its negative number.
_FIRST_SIGNAL = 129
# An attribute of a connection.
_RAN_MODULE = "_bulwark_ran_module"
_COLLECTION = "bulwark.servers."
_FOR_WINDOWS = f"{_COLLECTION}win_"


def is_windows(shell: t.Any) -> bool:
    """Return whether a connection leads to a Windows host. shell: the shell plugin of the connection."""
    return bool(getattr(shell, "_IS_WINDOWS", False))


def leave_out_become(connection: t.Any) -> None:
    """Let the account of a connection to Windows do the work itself, also where a play becomes root on all its hosts.

    Windows has no sudo, and ansible-core refuses every become plugin but runas there, which whoever set it keeps.
    """
    become = getattr(connection, "become", None)
    if become is None or not is_windows(getattr(connection, "_shell", None)):
        return
    if str(getattr(become, "name", "")).rpartition(".")[2] != _RUNAS:
        connection.set_become_plugin(None)


def separate_modules(connection: t.Any) -> None:
    """Give the next module a process of its own, by psrp too; call it before each module.

    psrp runs all modules of a connection in one process. PowerShell keeps the first Ansible.Basic.AnsibleModule there,
    so that the C# of a second module, compiled with its own, refuses the object that its PowerShell makes.
    """
    if str(getattr(connection, "transport", "")).rpartition(".")[2] != "psrp":
        return
    if getattr(connection, _RAN_MODULE, False):
        connection.reset()
    setattr(connection, _RAN_MODULE, True)


def refuse_linux_modules(connection: t.Any, module: str) -> None:
    """Raise AnsibleActionFail for a module of this collection that would be Python code for a Windows host."""
    if not is_windows(getattr(connection, "_shell", None)):
        return
    if module.startswith(_COLLECTION) and not module.startswith(_FOR_WINDOWS):
        raise AnsibleActionFail(
            f"{module} does not run on Windows: it knows only Linux; leave Windows hosts out with --limit"
        )


def without_signals(output: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a module's result without an exit code that means a signal on Linux: on Windows it is an NTSTATUS."""
    code = output.get("rc")
    # Ansible adds module_stdout to output that is no result.
    if "module_stdout" not in output or not isinstance(code, int) or 0 <= code < _FIRST_SIGNAL:
        return output
    result = {name: value for name, value in output.items() if name != "rc"}
    if is_constrained(output):
        return result
    message = (
        f"PowerShell ended with exit code {code & 0xFFFFFFFF:#x} before the module returned a result: see the log"
        " Application of the host's event viewer, and run it again"
    )
    return {**result, "msg": message}


def is_constrained(output: t.Mapping[str, t.Any]) -> bool:
    """Return whether a module's failed result says that PowerShell's language mode kept its code from running."""
    if output.get("failed") is not True:
        return False
    event = getattr(output.get("exception"), "event", None)
    texts = [
        *(output.get(name) for name in ("msg", "module_stderr", "module_stdout", "exception")),
        *(getattr(event, name, None) for name in ("msg", "formatted_traceback")),
    ]
    return any(_is_constrained(text[:_LONGEST]) for text in texts if isinstance(text, str))


def _is_constrained(text: str) -> bool:
    ids = _ERROR_ID.findall("".join(text.split()))
    return any(_CONSTRAINED_IDS.match(error_id) for error_id in ids) or bool(_CONSTRAINED_WORDS.search(text))
