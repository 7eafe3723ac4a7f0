# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load or remove the audit rules that ``bulwark.servers.protect`` deploys, on the paths of a host in a directory.

    python -m tests.integration.investigation._host_rules PID ROOT present

PID is a process of the host, and ROOT its directory. The kernel looks paths up in the root of who loads the rules.
"""

from __future__ import annotations

import ctypes
import os
import sys

from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply, options
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups

# linux/sched.h
_NEW_NAMESPACE_OF_MOUNTS = 0x00020000


def _main(pid: str, root: str, state: str) -> None:
    params = {name: fields.get("default") for name, fields in options.apply_spec().items()}
    params["_groups"] = rule_groups.chosen_groups(None, None, None)
    library = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    if library.setns(namespace, _NEW_NAMESPACE_OF_MOUNTS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.chroot(root)
    os.chdir("/")
    apply.apply({**params, "state": state, "state_dir": "/var/lib/bulwark", "require_daemon": False}, False)


if __name__ == "__main__":
    _main(*sys.argv[1:])
