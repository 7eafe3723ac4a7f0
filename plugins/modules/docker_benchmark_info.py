#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: docker_benchmark_info
short_description: Judge a host's Docker engines by the CIS Docker Benchmark
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Finds the Docker engines of a host by their processes, sockets, units and files, including several at once and
    rootless ones. Judges each control of the benchmark for each engine.
  - It executes nothing in a container, and changes neither an engine nor a container. It reads engines over their
    sockets, with C(GET) requests only. It needs neither the C(docker) command nor a Python package.
  - Configured and active values are compared. A setting that is written and not in force does not pass.
  - An installed engine that does not run is judged by its files. If an engine of an earlier scan does not run any more,
    the coverage names it, and its findings stay open until the engine is removed.
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
    description: Whether a swarm is wanted. Without this option, a person decides about an engine in a swarm.
    type: bool
  trusted_users:
    description:
      - Names of accounts that may control engines. The control fails for any other account with access.
      - Without this option, a person decides. The same holds for each option from O(registries) to O(authorization).
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
    description: The oldest wanted version of the engine in quotes, such as V(28.5.2).
    type: str
  ulimits:
    description: Names of the ulimits that containers may set, such as V(nofile).
    type: list
    elements: str
  certificate_days:
    description: The longest validity of a swarm's node certificates, in days. Docker's default is 90.
    type: int
  seccomp:
    description: Names or paths of the seccomp profiles that are wanted.
    type: list
    elements: str
  log_drivers:
    description: Wanted log drivers, which send logs to another host.
    type: list
    elements: str
  authorization:
    description: Authorization plugins that are wanted.
    type: list
    elements: str
  exceptions:
    description:
      - Controls that some containers, images, services or engines need not meet. Excepted items never count as passed.
        After the end of the exception the control fails again.
      - At least one of O(exceptions[].container), O(exceptions[].image), O(exceptions[].service) and
        O(exceptions[].engine) is required. All given ones must match.
      - No container can except itself, such as by a label.
      - An account that may start containers chooses their names and labels, and the names of images. An exception by
        these trusts all such accounts. Name the id or the digest of the image, too, which no other image can have.
    type: list
    elements: dict
    default: []
    suboptions:
      control:
        description: Number of the control in the edition, such as V("5.10"), or its id.
        type: str
        required: true
      container:
        description: Pattern for names of containers, with C(*), C(?) and C([]).
        type: str
      image:
        description: Pattern for names of images, their ids, or names with digests, such as V(sha256:4f1c*).
        type: str
      service:
        description: Pattern for services, as C(PROJECT/SERVICE) of a compose project, or the name in a swarm.
        type: str
      engine:
        description:
          - Pattern for addresses of engines as the report names them, such as V(unix:///run/docker.sock). Alone, it
            covers everything that fails the control on these engines.
        type: str
      reason:
        description: The reason for the exception.
        type: str
        required: true
      until:
        description: The last day of the exception, such as V("2027-01-31"). Without it, the exception has no end.
        type: str
  time_budget:
    description:
      - Seconds that the module may take on a host, or V(0) for no limit. Anything not examined counts as not checked.
    type: int
    default: 60
  priority:
    description:
      - V(idle) uses the lowest CPU priority and idle I/O priority, so that everything else goes first. V(normal)
        changes neither.
    type: str
    choices: [idle, normal]
    default: idle
  store:
    description:
      - URL of the findings store, as in M(bulwark.servers.findings). It has the judgements of people.
    type: str
  _known_engines:
    description: Set by the action plugin. The names of the engines that an earlier scan found on this host.
    type: list
    elements: str
notes:
  - It needs root. Without root, engines of other accounts are not seen or cannot be read, and count as not checked.
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
        - V(passed), V(failed), V(excepted), V(manual) if a person must decide, V(not_applicable), or V(not_checked).
      type: str
      returned: success
    reason:
      description: The reason in one sentence.
      type: str
      returned: success
    examined:
      description: The number of containers, images or files that were examined.
      type: int
      returned: success
    count:
      description: The number of items that fail the control or wait for a person.
      type: int
      returned: success
    evidences:
      description: The first 100 of these items, each with C(kind), C(name), C(detail) and C(note).
      type: list
      elements: dict
      returned: success
    excepted_count:
      description: The number of items that an exception covers.
      type: int
      returned: success
    excepted:
      description:
        - The first 100 excepted items, with the reason as C(exception), and the last day as C(until), empty without an
          end.
      type: list
      elements: dict
      returned: success
    digest:
      description: SHA-256 of the evidence. A judgement holds as long as this stays the same.
      type: str
      returned: success
containers:
  description:
    - Each container with its image, ports, mounts, user, privileges, manager, and the names of its environment
      variables. Their values are never returned.
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
      description: The state by the engine, such as V(running).
      type: str
      returned: success
    created:
      description: When it was created, in seconds since the epoch.
      type: float
      returned: success
    started:
      description: When it was started, in seconds since the epoch. Null if it does not run.
      type: float
      returned: success
    image:
      description: The name of the image when the container was created.
      type: str
      returned: success
    image_id:
      description: The id of the image.
      type: str
      returned: success
    image_digest:
      description: The digest of the image in its registry. Null for an image without a registry.
      type: str
      returned: success
    image_age_days:
      description: The age of the image in days.
      type: int
      returned: success
    user:
      description: The configured user of its first process.
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
      description: Its additional privileges, such as V(privileged) or V(pid host).
      type: list
      elements: str
      returned: success
    environment:
      description: The names of its environment variables.
      type: list
      elements: str
      returned: success
    managed_by:
      description: Its manager by its labels, such as V(compose shop). Null without a manager.
      type: str
      returned: success
    started_by:
      description:
        - The signed-in account whose C(docker) command created it, by the audit log. Null if unknown. This needs audit
          rules that record executions, such as those of the role C(audit).
      type: str
      returned: success
    problem:
      description: The reason why nothing else is known of it.
      type: str
      returned: success
engines:
  description: The engines that were found, with state, version, listeners and counts.
  type: list
  elements: dict
  returned: success
findings:
  description:
    - OCSF events, one for each engine and failed control, and one for each other problem. The module returns
      C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - An entry of the scope V(engines). C(examined) is the number of engines that were read. It names engines that could
      not be read, engines of earlier scans that are missing, and containers that no engine lists, with the reason.
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
