#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_access
short_description: Lock ports of a host until somebody is let in for a while
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Puts a policy in force on a Linux host, which ports are locked, who may ask for them from where, and for how long at
    most. M(bulwark.servers.jit_grant) opens them, M(bulwark.servers.jit_access_info) shows what is open and who tried.
  - The rules are in a table of nftables of their own, C(inet bulwark_jit). Rules of others are never changed. What ours
    let pass, another firewall can still deny.
  - Connections that are established when a port is locked live on.
  - Nobody is locked out. The new rules are on trial first. The action plugin then opens a new connection to the host,
    and only when that gets in are they confirmed. Otherwise the kernel goes back to the rules before, within
    O(confirm_within) seconds, by itself, also when the controller is gone.
  - In check mode it only looks; in diff mode it shows the policy and the rules that it becomes.
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
      - V(absent) removes the lock, the policy and everything that is open; the history stays. It also removes chains of
        iptables and sets of ipset that an earlier version has locked ports with. As long as they are there, V(present)
        warns, and names the commands that remove them.
      - A damaged state keeps it from V(present), but not from V(absent), which keeps each damaged file beside, with
        C(.damaged) after its name.
    type: str
    choices: [present, absent]
    default: present
  ports:
    description:
      - What is locked, and what may be asked for. It replaces the policy before as a whole.
      - Needed with O(state=present). No port may be named twice for the same protocol.
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
          - Addresses and prefixes of IPv4 and IPv6 that the ports may be opened for. All when not given, but not for
            as many at once as a C(/7) of IPv4 or a C(/15) of IPv6 has. To allow that, name C(0.0.0.0/0) or C(::/0).
        type: list
        elements: str
      max_duration:
        description: The longest time in seconds that the ports may be opened for, 300 to 86400.
        type: int
        default: 10800
      close_connections:
        description:
          - Whether connections end together with the time that they were opened in. Without it they live on, and only
            new ones are refused.
        type: bool
        default: false
  always_allow:
    description:
      - Addresses and prefixes that are never locked out, such as that of the controller.
      - Where they cover C(sources) of a lock, or some of them, the task warns, as these need no grant.
    type: list
    elements: str
    default: []
  confirm_within:
    description:
      - Seconds within which a new connection must have come in, 10 to 3600. When none has, the task fails, and the
        former rules are in force.
      - During the trial nobody gets in through a port that is open for a while, and flows of UDP to the ports are
        paused, as what ends by itself proves nothing.
    type: int
    default: 60
  state_dir:
    description:
      - Directory on the host that holds policy, grants and history, as an absolute path; C(/var/lib/bulwark) when not
        given.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
      - It is also refused when others than root can write in it, or in the directories above it, unless these are
        sticky as C(/tmp) is, where nobody else can exchange it.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that changes the same host's policy or grants.
    type: int
    default: 60
  _confirm:
    description:
      - Which trial is to be confirmed. For the action plugin only, which fills it in.
    type: str
  _withdraw:
    description:
      - Which trial that nobody has confirmed is to be removed. For the action plugin only, which fills it in.
    type: str
  _through_network:
    description:
      - Whether the connection that confirms leads through the network. For the action plugin only, which fills it in.
    type: bool
    default: false
notes:
  - Needs C(nft) on the host, and sets of prefixes, protocols and ranges of ports in it and in the kernel, as nftables
    0.9.4 and Linux 5.6 have them. That is tried, whatever the versions say, and a host without them is refused.
  - Grants that are open stay open, with the time that is left, as far as the new policy allows them. What it does not
    allow is closed.
  - The times are the kernel's. They do not follow the clock of the host, and stand still while it is suspended. When
    it is booted, everything is closed.
  - A port that leads to a container, as those that Docker and Podman publish, is locked, too. Containers and virtual
    machines that have addresses of their own are not.
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

- name: See what would change
  bulwark.servers.jit_access:
    ports:
      - port: 22
  check_mode: true
  diff: true

- name: Take the lock away
  bulwark.servers.jit_access:
    state: absent
"""

RETURN = r"""
policy:
  description: The policy as it is in force now, each prefix in its shortest form.
  type: dict
  returned: success
  sample:
    ports:
      - {port: '22', protocol: tcp, sources: [10.0.0.0/8], max_duration: 7200, close_connections: false}
    always_allow: [10.0.0.5]
confirmed:
  description: Whether the policy is in force for good, as a new connection has come in.
  type: bool
  returned: success
proven:
  description:
    - Whether a new connection from another host has come in by what is in force for good. A port that is open for a
      while lets nobody in during the trial.
    - It is V(false) where the connection does not lead through the network, as with C(local), or comes from the host
      itself.
  type: bool
  returned: when a trial was confirmed
problem:
  description: How the kernel differed from the policy, where the policy itself has not changed.
  type: str
  returned: success
survives_reboot:
  description:
    - Whether the ports are locked after the host was booted, which systemd sees to. None where nothing was changed.
  type: bool
  returned: success
closed:
  description: The ids of grants that were closed, because the new policy does not allow them.
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
