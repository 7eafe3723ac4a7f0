# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies for pywinrm and pypsrp in place of a host's; the controller's process replaces their transport by these."""

from __future__ import annotations

import base64
import dataclasses
import fcntl
import json
import os
import typing as t
import xml.etree.ElementTree as ET

from tests.support.windows.standin import command, payload

_RESULT = json.dumps({"changed": False, "received": True})
_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_REPLY = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:r="{shell}">
<s:Header><a:RelatesTo>{message}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"""


def replace_winrm() -> None:
    """Let pywinrm's transport reply by itself."""
    from winrm.transport import Transport

    def send_message(self: t.Any, message: str | bytes) -> bytes:
        if not hasattr(self, "bulwark_commands"):
            self.bulwark_commands = _Shell(self.endpoint, self.auth_method)
        shell: _Shell = self.bulwark_commands
        return shell.reply(ET.fromstring(message))  # noqa: S314 - pywinrm wrote it in this process

    Transport.send_message = send_message


def replace_psrp() -> None:
    """Let pypsrp's runspace pools open, and its pipelines end with the result of a module."""
    from pypsrp.complex_objects import RunspacePoolState
    from pypsrp.powershell import PowerShell, RunspacePool

    def open_pool(self: t.Any, _application_arguments: t.Any = None) -> None:
        self.state = RunspacePoolState.OPENED
        # Windows PowerShell 5.1 answers so (MS-PSRP, SESSION_CAPABILITY).
        self.protocol_version, self.ps_version, self.serialization_version = "2.3", "2.0", "1.1.0.1"

    def close_pool(self: t.Any) -> None:
        self.state = RunspacePoolState.CLOSED

    def invoke(self: t.Any, *arguments: t.Any, **options: t.Any) -> list[str]:
        text = arguments[0] if arguments else options.get("input")
        transport = self.runspace_pool.connection.transport
        script = self.commands[-1].cmd
        lines = [text] if isinstance(text, str) else text or []
        _record(transport.endpoint, transport.auth, script, "\n".join(lines).encode())
        self.output = [_RESULT]
        return [_RESULT]

    RunspacePool.open = open_pool
    RunspacePool.close = close_pool
    PowerShell.invoke = invoke
    PowerShell.stop = lambda _self: None


@dataclasses.dataclass
class _Shell:
    """A shell of WinRM's (MS-WSMV), with one command at a time."""

    endpoint: str
    authentication: str
    line: str = ""
    input: bytes = b""

    def reply(self, message: ET.Element) -> bytes:
        action = _text(message, "Action").rpartition("/")[2]
        return _REPLY.format(
            shell=_SHELL, message=_text(message, "MessageID"), body=getattr(self, f"_{action.lower()}")(message)
        ).encode()

    def _create(self, _message: ET.Element) -> str:
        return '<r:Selector Name="ShellId">1</r:Selector>'

    def _command(self, message: ET.Element) -> str:
        # The arguments have an element of their own.
        arguments = [node.text or "" for node in message.iter() if node.tag.endswith("}Arguments")]
        self.line, self.input = " ".join([_text(message, "}Command"), *arguments]), b""
        return "<r:CommandId>1</r:CommandId>"

    def _send(self, message: ET.Element) -> str:
        self.input += base64.b64decode(_text(message, "Stream"))
        return ""

    def _receive(self, _message: ET.Element) -> str:
        script = command.script(self.line)
        # Until ansible-core 2.20, winrm starts a PowerShell for the one that a command line starts.
        if script.startswith("PowerShell "):
            script = command.script(script)
        _record(self.endpoint, self.authentication, script, self.input)
        stream = base64.b64encode(_RESULT.encode()).decode()
        state = f'<r:CommandState State="{_SHELL}/CommandState/Done"><r:ExitCode>0</r:ExitCode></r:CommandState>'
        return f'<r:Stream Name="stdout">{stream}</r:Stream>{state}'

    def _signal(self, _message: ET.Element) -> str:
        return ""

    def _delete(self, _message: ET.Element) -> str:
        return ""


def _text(message: ET.Element, end: str) -> str:
    return next((node.text or "" for node in message.iter() if node.tag.endswith(end)), "")


def _record(endpoint: str, authentication: str, script: str, content: bytes) -> None:
    command.check_bootstrap(script)
    task = payload.read(content)
    request = {
        "endpoint": endpoint,
        "authentication": authentication,
        "module": task.module,
        "utilities": dict(task.utilities),
        "arguments": {name: value for name, value in task.arguments.items() if not name.startswith("_")},
    }
    with open(os.environ["BULWARK_REMOTING_LOG"], "a", encoding="utf-8") as log:
        # Forks write at the same time.
        fcntl.flock(log, fcntl.LOCK_EX)
        log.write(json.dumps(request) + "\n")
