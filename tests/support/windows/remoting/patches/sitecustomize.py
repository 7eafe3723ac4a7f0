# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loaded by the Python of the controller at its start: it has no connection to Windows hosts but to ``transport``."""

from __future__ import annotations

import sys

if any(word.endswith("/ansible-playbook") for word in sys.orig_argv):
    from tests.support.windows.remoting import transport

    transport.replace_winrm()
    transport.replace_psrp()
