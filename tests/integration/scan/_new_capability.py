# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a capability with one alert, which can be copied for one of your own."""

from __future__ import annotations

import pathlib

NAME = "login_banner"
TITLE = "Banners at sign-in"
ALERT = "login_banner_missing"
ALERT_TITLE = "Nobody is warned before signing in"

FILES = {
    f"plugins/plugin_utils/content/{NAME}/capability.yml": f"""\
title: {TITLE}
defender: Secure configuration
platforms: [linux]
playbooks: [protect, simulate, remove]
state: [login_banner]
looks:
  - module: {NAME}_info
    scope: banner
    subject: The banner
    options: {{path: {NAME}_path}}
""",
    f"plugins/plugin_utils/content/{NAME}/alerts.yml": f"""\
{ALERT}:
  title: {ALERT_TITLE}
  kind: recommendation
  severity: low
  platforms: [linux]
  lifecycle: state
  description: The file that is shown before a sign-in is empty.
  remediation: Write into the file who may sign in.
""",
    f"plugins/plugin_utils/content/{NAME}/simulations/banner.yml": f"""\
- alert: {ALERT}
  none: It takes a file of the host that is emptied, and a simulation changes none.
""",
    f"plugins/module_utils/{NAME}/__init__.py": "",
    f"plugins/module_utils/{NAME}/options.py": """\
def collect_spec():
    return {"path": {"type": "path", "default": "/etc/issue.net"}}
""",
    f"plugins/module_utils/{NAME}/collect.py": f"""\
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils.{NAME} import detect


def collect(params, check_mode):
    coverage = ScopeCoverage("banner")
    detections = []
    try:
        with open(params["path"], "rb") as stream:
            detections = detect.detect(printable(params["path"]), stream.read(1 << 16))
        coverage.examined = 1
    except OSError as error:
        coverage.fail("%s: %s" % (printable(params["path"]), error.strerror))
    return {{"changed": False, "detections": detections, "coverage": [coverage.entry()]}}
""",
    f"plugins/module_utils/{NAME}/detect.py": f"""\
from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection


def detect(path, text):
    if text.strip():
        return []
    return [detection("{ALERT}", path, "banner", [{{"file": {{"name": path, "type_id": 1}}}}])]
""",
    f"plugins/modules/{NAME}_info.py": f"""\
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.{NAME}.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.{NAME}.options import collect_spec


def main():
    run_module(AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
""",
    f"plugins/action/{NAME}_info.py": f"""\
from ansible_collections.bulwark.servers.plugins.module_utils.{NAME}.options import collect_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import CapabilityActionBase, Entry


class ActionModule(CapabilityActionBase):
    capability = "{NAME}"
    ARGUMENTS = {{"argument_spec": collect_spec()}}
    ENTRY = Entry("{NAME}.collect:collect", collect_spec)
""",
    f"roles/{NAME}/defaults/main.yml": f"{NAME}_path: /etc/issue.net\n{NAME}_state_dir: ''\n",
    f"roles/{NAME}/meta/argument_specs.yml": f"""\
argument_specs:
  main:
    options:
      {NAME}_path: {{type: path, default: /etc/issue.net}}
      {NAME}_state_dir: {{type: path, default: ""}}
""",
    f"roles/{NAME}/tasks/main.yml": f"""\
- name: Look
  bulwark.servers.host_scan:
    capabilities: [{NAME}]
    run: "{{{{ bulwark_run_id | default(omit) }}}}"
""",
    f"roles/{NAME}/tasks/protect.yml": f"""\
- name: Write a banner
  ansible.builtin.copy:
    dest: "{{{{ {NAME}_path }}}}"
    content: Authorised people only.
    mode: "0644"

- name: Note the deployment
  ansible.builtin.set_fact:
    bulwark_protected: "{{{{ bulwark_protected | default([]) + ['The banner is in ' ~ {NAME}_path ~ '.'] }}}}"
""",
    f"roles/{NAME}/tasks/remove.yml": f"""\
- name: Remove the banner
  ansible.builtin.file:
    path: "{{{{ {NAME}_path }}}}"
    state: absent
  register: {NAME}_gone

- name: Note removed parts
  ansible.builtin.set_fact:
    bulwark_removed: "{{{{ bulwark_removed | default([]) + ['the banner'] }}}}"
  when: {NAME}_gone is changed
""",
    f"roles/{NAME}/tasks/simulate.yml": """\
- name: Look for nothing
  ansible.builtin.meta: noop
""",
}


def add(collection: pathlib.Path) -> None:
    """Write the files into a copy of the collection, which has none of them."""
    for name, text in FILES.items():
        path = collection / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
