#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: memory_scan_info
short_description: Find code that lives only in the memory of a host's processes
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads C(/proc), and the memory of processes that give a reason for it. It finds programs that were started from
    memory or have no file any more, code at unusual addresses, code that was changed after it was loaded, injected
    libraries, disguised processes, known attack tools, and rights that nobody gave.
  - The module stops, traces and changes no process, and brings nothing into memory. The content of memory never leaves
    the host. Findings have only addresses, sizes, entropy, digests, and the names of matches.
  - The module recognises what compilers at run time (of JavaScript, Java, .NET and others) and package upgrades leave
    in memory.
  - All processes of an executable with the same most severe class are one finding, with all their subtypes. The class
    is toolkit, technique of attackers, or behavior, which may be legitimate.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  pids:
    description:
      - Ids of processes to scan. A process that matches any of O(pids), O(users) and O(names) is scanned. Without these
        three, the module scans all processes, including those of containers.
      - Only a scan of all processes includes checks of the whole host, such as hidden processes.
    type: list
    elements: int
    default: []
  users:
    description:
      - Accounts whose processes to scan, by name or number. The real and the effective account count.
      - If the host has no account of a name, RV(coverage) says so.
    type: list
    elements: str
    default: []
  names:
    description:
      - Patterns with C(*), C(?) and C([]) for the names of processes to scan, or of their executables without the
        directory.
    type: list
    elements: str
    default: []
  exclude:
    description: Ids of processes to leave out. RV(coverage) names those that would be scanned otherwise.
    type: list
    elements: int
    default: []
  full:
    description:
      - Whether to search all memory that is present for signatures. Otherwise the module searches executable memory,
        other suspicious memory, and a part of the memory of programs that no package ships and of interpreters with a
        connection.
    type: bool
    default: false
  drift:
    description:
      - Whether to find new programs that listen on ports, and new set-uid programs that run, since the last scan of all
        processes. The first scan finds none.
      - In check mode the module stores nothing for the next scan.
    type: bool
    default: true
  time_budget:
    description: Seconds after which to stop. RV(coverage) has the processes that were not scanned.
    type: int
    default: 120
  read_budget:
    description: Maximum of memory to read, in MiB. RV(coverage) has the memory that was not read.
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
      - Allowed subtypes of your own programs. An entry applies to processes whose executable matches all its fields.
        Allowed subtypes are no finding; RV(coverage) names them with the reason.
      - A path alone is not enough, because any file may be there.
    type: list
    elements: dict
    default: []
    suboptions:
      sha256:
        description: SHA-256 of the executable. This or O(allowlist[].package) is required.
        type: str
      package:
        description:
          - Name of the package that ships the executable, or a pattern with C(*) and C(?). The executable must match
            the package.
        type: str
      path:
        description: Absolute path of the executable.
        type: str
      subtypes:
        description:
          - Allowed subtypes, by the names in C(subtype) of findings. If empty, the entry allows behaviors only. Name
            techniques and toolkits to allow them.
        type: list
        elements: str
        default: []
      reason:
        description: Why it is allowed, for reviewers.
        type: str
        required: true
      until:
        description:
          - The last day of the entry, such as V(2027-01-31). After that the module ignores it, and RV(coverage) says
            so.
        type: str
        required: true
  own_signatures:
    description: Whether to use the collection's signatures.
    type: bool
    default: true
  signature_paths:
    description: Files or directories on the controller with your own signatures.
    type: list
    elements: path
    default: []
  yara_rules:
    description:
      - Absolute paths on the host of files with YARA rules. The module uses them if the host has C(yara) or C(yr);
        otherwise RV(coverage) says so.
    type: list
    elements: path
    default: []
  max_findings:
    description: Maximum of findings to return, the most severe first.
    type: int
    default: 1000
  state_dir:
    description:
      - Absolute path of the directory on the host for the state of the last scan.
      - Defaults to C(/var/lib/bulwark).
    type: path
  lock_timeout:
    description: Seconds to wait for another scan of the same host.
    type: int
    default: 60
  _content:
    description: Subtypes, engines and signatures, packed. Only the action plugin sets it.
    type: str
notes:
  - Processes of other accounts need root. Without it they count as not checked.
  - A rootkit in the kernel can hide from everything that runs on the host, including this module.
seealso:
  - module: bulwark.servers.memory_response
  - module: bulwark.servers.findings_record
"""

EXAMPLES = r"""
- name: Look at all processes
  bulwark.servers.memory_scan_info:
  register: memory

- name: Show the findings
  ansible.builtin.debug:
    msg: "{{ item.finding_info.title }}: {{ item.message }}"
  loop: "{{ memory.findings }}"

- name: Scan the processes of the web server's account closely
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
    - OCSF events, one for all processes of an executable with the same most severe class, and one for each new listener
      or set-uid program.
    - The evidence has the process, its parents, connections and ports, and the C(subtype) and addresses of each
      observation. The module returns C(detections), and the action plugin converts them to findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - An entry for the scope V(processes), one for V(host) and, with O(drift), one for V(drift). C(examined) is the
      number of processes that were read. Processes that could not be read are listed with the reason.
    - If O(pids), O(users) or O(names) are set, the first entry lists this as skipped, with the numbers if they are
      known. The other scopes are not checked.
  type: list
  elements: dict
  returned: success
signature_problems:
  description:
    - Why signatures of O(signature_paths) can't be used, a sentence for each, at most 100. The first is also a note of
      the scope V(processes) in RV(coverage).
  type: list
  elements: str
  returned: success
memory_scan:
  description: Figures about the scan.
  type: dict
  returned: success
  contains:
    processes:
      description: Number of scanned processes.
      type: int
      returned: success
    ended:
      description: Number of processes that ended, or ran another program, before they were scanned.
      type: int
      returned: success
    bytes_read:
      description: Number of bytes of memory that were read.
      type: int
      returned: success
    allowed:
      description: Number of observations that the allowlist allows.
      type: int
      returned: success
    seconds:
      description: Duration of the scan.
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
