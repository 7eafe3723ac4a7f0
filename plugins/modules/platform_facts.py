#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: platform_facts
short_description: Gather the facts that name a host's platform, and no others
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Runs M(ansible.builtin.setup) on the host, checks its facts, and returns only those listed below. On Windows it runs
    M(bulwark.servers.win_platform_facts), which needs no other collection.
  - Ansible makes a variable of every fact that a host sends, whatever its name, and this variable wins over the
    inventory. So a compromised host can choose where a playbook writes its report, or which database it uses. This
    module prevents that.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
attributes:
  platform:
    support: full
    platforms: posix, windows
seealso:
  - module: ansible.builtin.setup
  - module: bulwark.servers.win_platform_facts
"""

EXAMPLES = r"""
- name: Scan with a role of the collection in your own play
  hosts: all
  gather_facts: false
  tasks:
    - name: Learn the platform
      bulwark.servers.platform_facts:

    - name: Watch the files
      ansible.builtin.include_role:
        name: bulwark.servers.file_integrity
"""

RETURN = r"""
ansible_facts:
  description: The facts that the host has; texts of at most 256 characters.
  returned: always
  type: dict
  contains:
    ansible_system:
      description: The family of the operating system, by which a role decides what it can do.
      returned: if the host sends it
      type: str
      sample: Linux
    ansible_distribution:
      description: The operating system.
      returned: if the host sends it
      type: str
      sample: Debian
    ansible_distribution_version:
      description: Its version.
      returned: if the host sends it
      type: str
      sample: "13.2"
    ansible_kernel:
      description: The release of the kernel.
      returned: if the host sends it
      type: str
      sample: 6.12.48+deb13-amd64
    ansible_domain:
      description: The domain.
      returned: if the host sends it
      type: str
      sample: example.com
    ansible_virtualization_role:
      description: Whether the host is a V(guest) or a V(host).
      returned: if the host sends it
      type: str
      sample: guest
    ansible_default_ipv4:
      description: The address from which the host reaches others.
      returned: if the host has one
      type: dict
      contains:
        address:
          description: The address. If the host has only an IPv6 address, it is in C(ansible_default_ipv6).
          returned: always
          type: str
          sample: 192.0.2.7
windows:
  description: What only Windows has, as M(bulwark.servers.win_platform_facts) returns it.
  returned: on Windows
  type: dict
  sample:
    product_type: server
    installation_type: Server Core
    edition: ServerDatacenter
    build: "20348"
    update_revision: 2762
    architecture: 64-bit
    is_32bit_process: false
    powershell_edition: Desktop
    powershell_version: 5.1.20348.2582
    language_mode: FullLanguage
    is_container: false
    is_administrator: true
    privileges: [SeBackupPrivilege, SeDebugPrivilege, SeSecurityPrivilege]
"""
