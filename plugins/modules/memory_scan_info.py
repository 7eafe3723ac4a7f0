#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: memory_scan_info
short_description: Look for code that lives only in the memory of a host's processes
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads C(/proc), and of the memory of processes what there is reason to, and finds programs that were started from
    memory or have no file any more, code where none should be, code that was changed after it was loaded, libraries
    that were injected, processes that are disguised, known tools of attackers, and rights that nobody gave.
  - No process is stopped, traced or changed, and nothing is brought into memory that was not there. The content of
    memory never leaves the host, only where something was found, its size, entropy, digest, and the name of what
    matched.
  - What compilers at run time (of JavaScript, Java, .NET and others) and package upgrades leave in memory is recognised
    by what it is.
  - Each process of which anything speaks is one finding, with all that speaks of it. What it is called is the gravest
    of that, a toolkit, a technique of attackers, or a behaviour which may be legitimate.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  pids:
    description:
      - Ids of processes to look at. Of O(pids), O(users) and O(names), a process is looked at that any of them
        chooses; without them all processes are, those of containers too.
      - Only a scan of all processes looks for what only the whole host can tell, such as hidden processes.
    type: list
    elements: int
    default: []
  users:
    description:
      - Accounts whose processes to look at, by name or number; those that a process had first count, too.
      - Where a host has no account of a name, RV(coverage) says so.
    type: list
    elements: str
    default: []
  names:
    description: Names of processes to look at, as patterns with C(*), C(?) and C([]), held against their names and
      those of their executables.
    type: list
    elements: str
    default: []
  exclude:
    description: Ids of processes that are left out. RV(coverage) names those that would be looked at otherwise.
    type: list
    elements: int
    default: []
  full:
    description:
      - Whether to look for signatures in all memory that is present. Otherwise they are looked for in executable
        memory, in what else looks suspicious, and in a part of the memory of programs that no package ships, and of
        interpreters with a connection.
    type: bool
    default: false
  drift:
    description:
      - Whether to find what is new since the last scan of all processes, programs that listen on ports and set-uid
        programs that run. The first scan finds nothing of that kind.
      - In check mode what is there is not kept for the next scan.
    type: bool
    default: true
  time_budget:
    description: Seconds after which to stop. What was not looked at is in RV(coverage).
    type: int
    default: 120
  read_budget:
    description: How many MiB of memory to read at most. What was not looked at is in RV(coverage).
    type: int
    default: 4096
  priority:
    description:
      - V(idle) runs with the lowest CPU priority and idle I/O priority, so that everything else goes first. V(normal)
        changes neither.
    type: str
    choices: [idle, normal]
    default: idle
  allowlist:
    description:
      - Programs of yours of which some things may be seen. An entry applies to processes whose executable is all that
        it names. What it allows is no finding, and named in RV(coverage) with the reason.
      - A path alone is not enough, as anything may lie there.
    type: list
    elements: dict
    default: []
    suboptions:
      sha256:
        description: SHA-256 of the executable. This or O(allowlist[].package) is needed.
        type: str
      package:
        description:
          - Name of the package that ships the executable, also as a pattern with C(*) and C(?). The executable must be
            as the package has it.
        type: str
      path:
        description: Absolute path of the executable.
        type: str
      subtypes:
        description:
          - What is allowed, by the names that findings have as C(subtype). When empty, what may be legitimate, thus
            neither techniques of attackers nor known tools; those have to be named.
        type: list
        elements: str
        default: []
      reason:
        description: Why it is allowed, for those who review it.
        type: str
        required: true
      until:
        description:
          - The last day on which it is, such as V(2027-01-31). Later the entry is not used, and RV(coverage) says so.
        type: str
        required: true
  own_signatures:
    description: Whether to use the signatures that the collection has.
    type: bool
    default: true
  signature_paths:
    description: Signatures of yours on the controller, as files or directories of them.
    type: list
    elements: path
    default: []
  yara_rules:
    description:
      - Files with YARA rules on the host, as absolute paths. They are used where the host has C(yara) or C(yr); where
        it has neither, RV(coverage) says so.
    type: list
    elements: path
    default: []
  max_findings:
    description: How many findings to return at most, the gravest first.
    type: int
    default: 1000
  state_dir:
    description:
      - Directory on the host that holds what the last scan saw, as an absolute path; C(/var/lib/bulwark) when not
        given.
    type: path
  lock_timeout:
    description: Seconds to wait for another scan of the same host.
    type: int
    default: 60
  _content:
    description: Set by the action plugin. Subtypes, engines and signatures, packed.
    type: str
notes:
  - Root is needed for processes of others. What could not be read for want of it counts as not checked.
  - A rootkit in the kernel can hide from everything that runs on the host, so from this, too.
seealso:
  - module: bulwark.servers.memory_response
  - module: bulwark.servers.findings
"""

EXAMPLES = r"""
- name: Look at all processes
  bulwark.servers.memory_scan_info:
  register: memory

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ item.finding_info.title }}: {{ item.message }}"
  loop: "{{ memory.findings }}"

- name: Look closely at what the web server's account runs
  bulwark.servers.memory_scan_info:
    users: [www-data]
    full: true

- name: Allow a plugin host of ours to make code, until it is replaced
  bulwark.servers.memory_scan_info:
    allowlist:
      - package: acme-plugins
        subtypes: [anonymous_code]
        reason: Compiles filters when it starts, ticket 4711
        until: "2027-01-31"
"""

RETURN = r"""
findings:
  description:
    - OCSF events, one for each process that something speaks of, and for what is new since the last scan.
    - The evidence has the process, its parents, connections and ports, and for each thing that was seen its
      C(subtype) and where in memory it is. The module returns them as C(detections), which the action plugin turns into
      findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - An entry of the scope V(processes), of V(host) and, with O(drift), of V(drift). C(examined) is how many processes
      were read. What could not be is named with the reason.
    - When O(pids), O(users) or O(names) choose processes, the first says so as something that was skipped, with how
      many of how many where that is known, and the others are not checked.
  type: list
  elements: dict
  returned: success
signature_problems:
  description:
    - Why signatures of O(signature_paths) can't be used, a sentence for each, at most 100. The first is also in
      RV(coverage), as a note of the scope V(processes).
  type: list
  elements: str
  returned: success
memory_scan:
  description: What was looked at, in numbers.
  type: dict
  returned: success
  contains:
    processes:
      description: How many processes were looked at.
      type: int
      returned: success
    ended:
      description: How many ended, or ran another program, before that was done.
      type: int
      returned: success
    bytes_read:
      description: How many bytes of memory were read.
      type: int
      returned: success
    allowed:
      description: How many things were seen that the allowlist allows.
      type: int
      returned: success
    seconds:
      description: How long the scan took.
      type: float
      returned: success
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: I001
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.collect import collect


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
