# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit: see on a real Windows host that the edges of the Windows API are as our C# takes them.

    make windows-conformance INVENTORY=hosts.yml

``catalogue`` has edges and checks, ``record`` the record of a host, ``page`` the page of the documentation that is made
from the records in Git, and ``__main__`` the commands. README.md is for people with a Windows host.
"""
