# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sshd of a stand-in host runs for each command: ``python -m tests.support.windows.standin HOST``.

HOST is the file that ``host`` wrote. The command is in SSH_ORIGINAL_COMMAND, as sshd gives it to a ForceCommand.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time
import typing as t

from tests.support.windows import literal_module
from tests.support.windows.compiler import CompileError
from tests.support.windows.standin import command, execution, payload

_REFUSED = 1


def main(arguments: list[str]) -> int:
    host = json.loads(pathlib.Path(arguments[0]).read_text(encoding="utf-8"))
    original = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    begin = time.monotonic()
    request: dict[str, t.Any] = {"command": original[:200]}
    try:
        command.check_bootstrap(command.script(original))
        content = sys.stdin.buffer.read()
        task = payload.read(content)
        request["module"] = task.arguments.get("_ansible_module_name", "")
        request["bytes"] = len(content)
        ended = execution.run(task, pathlib.Path(host["prefix"]))
        sys.stdout.buffer.write(ended.stdout.encode())
        sys.stderr.buffer.write(ended.stderr.encode())
        status = ended.returncode
    except (command.UnknownCommandError, payload.UnknownPayloadError) as error:
        sys.stderr.write(f"{error}\n")
        status = _REFUSED
    except (literal_module.LiteralModuleError, CompileError) as error:
        # As a module that PowerShell cannot parse, or C# that Add-Type refuses.
        sys.stdout.write(json.dumps({"failed": True, "msg": str(error)}))
        status = _REFUSED
    request |= {"seconds": round(time.monotonic() - begin, 3), "status": status}
    with open(host["requests"], "a", encoding="utf-8") as log:
        log.write(json.dumps(request) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
