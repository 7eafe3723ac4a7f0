#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_access
short_description: Lock ports of a host until a person gets access for a limited time
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Applies a policy to a Linux host. The policy says which ports are locked, for which sources people may ask, and for
    how long at most. M(bulwark.servers.jit_grant) opens the ports; M(bulwark.servers.jit_access_info) shows openings
    and attempts.
  - The rules are in their own table of nftables, C(inet bulwark_jit). The module never changes other rules. Another
    firewall can still deny a connection that these rules allow.
  - Established connections survive when a port is locked.
  - Nobody is locked out. The new rules are on trial first. The action plugin opens a new connection to the host, and
    confirms the rules only if it gets in. Otherwise the kernel restores the former rules within O(confirm_within)
    seconds, by itself, even if the controller is gone.
  - Check mode changes nothing; diff mode shows the policy and its rules.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) locks the ports.
      - V(absent) removes the lock, the policy and all openings; the history stays. It also removes the chains of
        iptables and sets of ipset with which an earlier version locked ports. While these exist, V(present) warns, and
        names the commands that remove them.
      - A damaged state prevents V(present), but not V(absent), which renames each damaged file to end in C(.damaged).
    type: str
    choices: [present, absent]
    default: present
  ports:
    description:
      - The locked ports, and what people may ask for. The list replaces the former policy as a whole.
      - Required with O(state=present). Each port may appear once for a protocol.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: A port such as V(22), or a range such as V(8000-8100).
        type: str
        required: true
      protocol:
        description: The protocol of the ports.
        type: str
        choices: [tcp, udp, both]
        default: tcp
      sources:
        description:
          - Addresses and prefixes of IPv4 and IPv6 that the ports may be opened for. All by default, but not for as
            many at once as a C(/7) of IPv4 or a C(/15) of IPv6 has. To allow that, name C(0.0.0.0/0) or C(::/0).
        type: list
        elements: str
      max_duration:
        description: The longest time in seconds for which the ports may be opened, 300 to 86400.
        type: int
        default: 10800
      close_connections:
        description:
          - Whether connections end together with their opening. Without it established connections stay, and the kernel
            refuses only new ones.
        type: bool
        default: false
  always_allow:
    description:
      - Addresses and prefixes that the lock never applies to, such as that of the controller.
      - If they cover C(sources) of a lock, or some of them, the task warns, because these need no grant.
    type: list
    elements: str
    default: []
  confirm_within:
    description:
      - Seconds within which a new connection must get in, 10 to 3600. If none does, the task fails, and the former
        rules apply.
      - During the trial nobody gets in through an opening, and UDP flows to the ports pause, because an opening ends
        and proves nothing.
    type: int
    default: 60
  state_dir:
    description:
      - Absolute path of the directory on the host for policy, grants and history.
      - Defaults to C(/var/lib/bulwark).
      - The module creates it with mode C(0700). An existing directory keeps its mode, and is refused unless that is
        C(0700).
      - The module also refuses it if accounts other than root can write in it or in a directory above it. A sticky
        directory above, such as C(/tmp), is allowed, because nobody else can replace an entry there.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that changes the same host's policy or grants.
    type: int
    default: 60
  _confirm:
    description:
      - The trial to confirm. Only the action plugin sets it.
    type: str
  _withdraw:
    description:
      - The unconfirmed trial to remove. Only the action plugin sets it.
    type: str
  _through_network:
    description:
      - Whether the confirming connection uses the network. Only the action plugin sets it.
    type: bool
    default: false
notes:
  - Needs C(nft) on the host, and support in C(nft) and the kernel for sets of prefixes, protocols and port ranges, as
    nftables 0.9.4 and Linux 5.6 have it. The module tests this whatever the versions are, and refuses a host without
    them.
  - Open grants stay open with their remaining time, as far as the new policy allows them. The module closes the others.
  - The kernel measures the times. They do not follow the clock of the host, and stand still while it is suspended. A
    boot closes everything.
  - A published port of a container (Docker, Podman) is locked, too. Containers and virtual machines with their own
    addresses are not.
seealso:
  - module: bulwark.servers.jit_grant
  - module: bulwark.servers.jit_access_info
"""

EXAMPLES = r"""
- name: Lock SSH and a range of management ports
  bulwark.servers.jit_access:
    ports:
      - port: 22
        sources: [10.0.0.0/8, 2001:db8::/32]
        max_duration: 7200
      - port: 8000-8100
        protocol: both
        close_connections: true
    always_allow: [10.0.0.5]

- name: Preview the changes
  bulwark.servers.jit_access:
    ports:
      - port: 22
  check_mode: true
  diff: true

- name: Remove the lock
  bulwark.servers.jit_access:
    state: absent
"""

RETURN = r"""
policy:
  description: The policy in force, with each prefix in its shortest form.
  type: dict
  returned: success
  sample:
    ports:
      - {port: '22', protocol: tcp, sources: [10.0.0.0/8], max_duration: 7200, close_connections: false}
    always_allow: [10.0.0.5]
confirmed:
  description: Whether the policy is permanent because a new connection got in.
  type: bool
  returned: success
proven:
  description:
    - Whether a new connection from another host got in by permanent rules. During the trial, an opening lets nobody in.
    - It is V(false) if the connection does not use the network, as with C(local), or comes from the host itself.
  type: bool
  returned: when a trial was confirmed
problem:
  description: How the kernel differed from the policy, if the policy itself has not changed.
  type: str
  returned: success
survives_reboot:
  description:
    - Whether systemd locks the ports again after a boot. None if nothing was changed.
  type: bool
  returned: success
closed:
  description: The ids of grants that were closed because the new policy does not allow them.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.options import apply_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
