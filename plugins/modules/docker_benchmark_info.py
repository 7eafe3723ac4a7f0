#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: docker_benchmark_info
short_description: Judge a host's Docker engines by the CIS Docker Benchmark
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Finds the Docker engines of a host by their processes, sockets, units and files, several at once and rootless ones
    too, and judges each control of the benchmark from what they show.
  - Nothing is executed in a container, and neither an engine nor a container is changed. Engines are asked over their
    sockets, with C(GET) only. Neither the C(docker) command nor a Python package is needed.
  - Configured and active values are two facts. A setting that is written and not in force has not passed.
  - An engine that is installed and does not run is judged by its files. Another one that an earlier scan found, and
    that does not run now, is named in the coverage, and its findings stay open until it was removed.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  edition:
    description: The edition of the benchmark whose numbers and controls are used.
    type: str
    choices: ["1.8.0", "1.6.0"]
    default: "1.8.0"
  level:
    description: V(1) judges only controls of level 1, V(2) all.
    type: int
    choices: [1, 2]
    default: 2
  swarm:
    description: Whether a swarm is wanted. When not given, a person decides about an engine that is in one.
    type: bool
  trusted_users:
    description:
      - Accounts that may control engines, by name. An account with access that is not one of them fails.
      - For this and each option below, a person decides where it is not given.
    type: list
    elements: str
  registries:
    description:
      - Registries, or beginnings of image names, that images may come from, such as V(registry.example.com) or
        V(docker.io/library).
    type: list
    elements: str
  ports:
    description: Published ports that are wanted, such as V(443) or V(127.0.0.1:8080/tcp).
    type: list
    elements: str
  image_age:
    description: Days after which an image should have been built again.
    type: int
  sprawl:
    description: The number of images, and of containers, that may be unused.
    type: int
  minimum_version:
    description: The oldest version of the engine that is wanted, as V(28.5.2), in quotes.
    type: str
  ulimits:
    description: Names of the ulimits that containers may have of their own, such as V(nofile).
    type: list
    elements: str
  certificate_days:
    description: The longest validity of node certificates of a swarm, in days. Docker's default is 90.
    type: int
  seccomp:
    description: Names or paths of the seccomp profiles that are wanted.
    type: list
    elements: str
  log_drivers:
    description: Log drivers that send logs to another host in the way that you want.
    type: list
    elements: str
  authorization:
    description: Authorization plugins that are wanted.
    type: list
    elements: str
  exceptions:
    description:
      - Controls that some containers, images, services or engines need not meet. What an exception covers is listed as
        excepted, never as passed. After its end the control fails again.
      - One of O(exceptions[].container), O(exceptions[].image), O(exceptions[].service) and O(exceptions[].engine) is
        needed, and all that are given must match.
      - No container can except itself, such as by a label.
      - Whoever may start containers chooses their names and labels, and how an image is called. An exception by these
        trusts everybody who may. Name the id or the digest of the image, too, which no other image can have.
    type: list
    elements: dict
    default: []
    suboptions:
      control:
        description: Number of the control in the edition, such as V("5.10"), or its id.
        type: str
        required: true
      container:
        description: Pattern of names of containers, with C(*), C(?) and C([]).
        type: str
      image:
        description: Pattern of names of images, of their ids, or of names with digests, as V(sha256:4f1c*).
        type: str
      service:
        description: Pattern of services, as C(PROJECT/SERVICE) of a compose project, or the name in a swarm.
        type: str
      engine:
        description:
          - Pattern of engines by the address that the report names, as V(unix:///run/docker.sock). Alone, it covers all
            that fails the control on the engines that match.
        type: str
      reason:
        description: Why it is excepted, for those who review it.
        type: str
        required: true
      until:
        description: The last day on which it is, such as V("2027-01-31"). Without it there is no end.
        type: str
  time_budget:
    description: Stop after this many seconds. Anything not examined counts as not checked. V(0) is no limit.
    type: int
    default: 60
  priority:
    description:
      - V(idle) runs with the lowest CPU priority and idle I/O priority, so that everything else goes first. V(normal)
        changes neither.
    type: str
    choices: [idle, normal]
    default: idle
  store:
    description:
      - URL of the findings store, as in M(bulwark.servers.findings), which has what people decided about controls.
    type: str
  _known_engines:
    description: Set by the action plugin. The names of the engines that an earlier scan found on this host.
    type: list
    elements: str
notes:
  - Root is needed. Without it, engines of other accounts are not seen or cannot be asked, and what could not be read
    counts as not checked.
seealso:
  - module: bulwark.servers.findings
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Judge the Docker engines of a host
  bulwark.servers.docker_benchmark_info:
  register: docker

- name: Show which controls failed
  ansible.builtin.debug:
    msg: "{{ item.number }} {{ item.title }}: {{ item.reason }}"
  loop: "{{ docker.controls | selectattr('status', 'equalto', 'failed') }}"

- name: Say who may control Docker, and let the monitoring have the host's processes
  bulwark.servers.docker_benchmark_info:
    trusted_users: [root, deploy]
    exceptions:
      - control: "5.16"
        container: node-exporter
        reason: It measures the host, ticket 4711
        until: "2027-01-31"
"""

RETURN = r"""
controls:
  description: The result of each control about each engine.
  type: list
  elements: dict
  returned: success
  contains:
    benchmark:
      description: The benchmark, C(cis_docker).
      type: str
      returned: success
    control:
      description: The id of the control, which survives editions.
      type: str
      returned: success
    subject:
      description: The engine, by the address of its socket.
      type: str
      returned: success
    status:
      description:
        - V(passed), V(failed), V(excepted), V(manual) for a person to decide, V(not_applicable), or V(not_checked).
      type: str
      returned: success
    reason:
      description: One sentence that says why.
      type: str
      returned: success
    examined:
      description: The number of containers, images or files that were examined.
      type: int
      returned: success
    count:
      description: The number of items that fail it, or wait for a person.
      type: int
      returned: success
    evidences:
      description: The first 100 of them, each with C(kind), C(name), C(detail) and C(note).
      type: list
      elements: dict
      returned: success
    excepted_count:
      description: The number of items that an exception covers.
      type: int
      returned: success
    excepted:
      description:
        - The first 100 of them, with the reason as C(exception), and its last day as C(until), empty without an end.
      type: list
      elements: dict
      returned: success
    digest:
      description: SHA-256 of the evidence. A judgement holds as long as this stays the same.
      type: str
      returned: success
containers:
  description:
    - Each container with its image, ports, mounts, user, privileges, the names of its variables, and what manages it.
      No value of a variable is returned.
  type: list
  elements: dict
  returned: success
  contains:
    engine:
      description: The engine, by the address of its socket.
      type: str
      returned: success
    id:
      description: Its id.
      type: str
      returned: success
    name:
      description: Its name.
      type: str
      returned: success
    state:
      description: The state that the engine gives, such as V(running).
      type: str
      returned: success
    created:
      description: When it was created, in seconds since the epoch.
      type: float
      returned: success
    started:
      description: When it was started, in seconds since the epoch, null when it does not run.
      type: float
      returned: success
    image:
      description: The image as it was named when the container was made.
      type: str
      returned: success
    image_id:
      description: The id of the image.
      type: str
      returned: success
    image_digest:
      description: The digest that a registry has the image by, null for an image of no registry.
      type: str
      returned: success
    image_age_days:
      description: The age of the image in days.
      type: int
      returned: success
    user:
      description: The user of its first process, as it is configured.
      type: str
      returned: success
    ports:
      description: Its ports, such as V(0.0.0.0:8080->80/tcp).
      type: list
      elements: str
      returned: success
    mounts:
      description: Its mounts.
      type: list
      elements: dict
      returned: success
    network:
      description: Its network mode.
      type: str
      returned: success
    privileges:
      description: Its privileges beyond those that every container has, such as V(privileged) or V(pid host).
      type: list
      elements: str
      returned: success
    environment:
      description: The names of its variables.
      type: list
      elements: str
      returned: success
    managed_by:
      description: Its manager by its labels, such as V(compose shop), null without one.
      type: str
      returned: success
    started_by:
      description:
        - The account that had signed in when a C(docker) command made it, as the audit log has it; null where that is
          not known. It takes audit rules that record what is executed, such as those of the role C(audit).
      type: str
      returned: success
    problem:
      description: Why nothing else is known of it.
      type: str
      returned: success
engines:
  description: The engines that were found, with state, version, listeners and counts.
  type: list
  elements: dict
  returned: success
findings:
  description:
    - OCSF events, one for each control that failed and each engine, and for what is wrong beside the controls. The
      module returns C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - An entry of the scope V(engines). C(examined) is how many engines were read. One that could not be asked is named
      with the reason, and so is one that was there before, and containers that no engine lists.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import collect_spec


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
