#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: host_scan
short_description: Scan a host with several capabilities in one round trip
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Runs what the capabilities look at on a host, one after the other, each in a process of its own, and returns their
    findings and coverage. What goes wrong with one of them leaves the others alone.
  - The code and the rules stay on the host, in its state directory, so that the next scan sends only options. The
    controller keeps their digests, and nothing is run that does not match.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  capabilities:
    description:
      - The capabilities to look at the host with. Their options are the variables of their roles.
      - By default all that the collection has.
    type: list
    elements: str
  run:
    description:
      - Id of the run that the results are recorded in, as M(bulwark.servers.findings_run) returns it. Without it,
        nothing is recorded.
    type: str
  store:
    description:
      - The findings store, as a URL of SQLAlchemy. By default the one that all modules of the collection use.
    type: str
seealso:
  - module: bulwark.servers.findings_run
"""

EXAMPLES = r"""
- name: Scan the hosts with two capabilities
  bulwark.servers.host_scan:
    capabilities: [file_integrity, memory_scan]
    run: "{{ opened.run.id }}"
"""

RETURN = r"""
"""

import os
import sys

# Nothing is imported from the current directory, nor from that of this file: these may be anybody's.
for _path in ("", ".", os.path.dirname(os.path.realpath(globals().get("__file__") or "/-/-"))):
    while _path in sys.path:
        sys.path.remove(_path)

import base64
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import json
import select
import signal
import time
import traceback
import typing as t
import zlib

# JSON, in which no three quotation marks stand beside each other unescaped, so that nothing gets out of this literal.
_ARGUMENTS = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""
_PACKAGE = "ansible_collections.bulwark.servers.plugins.module_utils"
_OLDEST = (3, 8)
_LARGEST = 256 << 20
# Seconds that the process which runs the looks has beyond their time limit.
_GRACE = 30.0


class Code(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the collection's modules from memory. modules: their code, by name, None for an empty package."""

    def __init__(self, modules: "t.Mapping[str, t.Any]", packages: "t.Collection[str]") -> None:
        self._modules = modules
        self._packages = packages

    @classmethod
    def from_sources(cls, sources: "t.Mapping[str, str]") -> "Code":
        """sources: by path below module_utils."""
        parts = _PACKAGE.split(".")
        modules: dict[str, t.Any] = {".".join(parts[:length]): "" for length in range(1, len(parts) + 1)}
        packages = set(modules)
        for path, source in sources.items():
            name = ".".join([_PACKAGE, *path[: -len(".py")].split("/")])
            if name.endswith(".__init__"):
                name = name[: -len(".__init__")]
                packages.add(name)
            modules[name] = compile(source, "plugins/module_utils/" + path, "exec", dont_inherit=True)
        return cls(modules, packages)

    def find_spec(self, fullname: str, path: "t.Any" = None, target: "t.Any" = None) -> "t.Any":
        if fullname not in self._modules:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname in self._packages)

    def create_module(self, spec: "t.Any") -> None:
        return None

    def get_code(self, fullname: str) -> "t.Any":
        return self._modules[fullname]

    def get_source(self, fullname: str) -> None:
        return None

    def is_package(self, fullname: str) -> bool:
        return fullname in self._packages

    def exec_module(self, module: "t.Any") -> None:
        code = self._modules[module.__name__]
        if code:
            exec(code, module.__dict__)  # noqa: S102 - it came from the controller, or is what it had sent


def run(request: "dict[str, t.Any]", write: int) -> None:
    """Run the looks and write a line of JSON about each. Runs in a process of its own."""
    sys.meta_path.insert(0, Code.from_sources(json.loads(request["sources"])))
    scan = importlib.import_module(_PACKAGE + ".scan.looks")

    def say(line: "dict[str, t.Any]") -> None:
        rest = memoryview(json.dumps(line).encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(write, rest) :]

    looks = [scan.Look(**look) for look in request["looks"]]
    scan.serve(looks, request["texts"], request["seconds"], request["memory"], say)
    say({"done": True})


def start(request: "dict[str, t.Any]") -> "tuple[bytes, str]":
    """Run the looks in another process; return the lines that came from it, and how it ended, "" for well."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(nowhere, standard)
            run(request, write)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, it is said
            os.write(write, json.dumps({"error": traceback.format_exc(chain=False)[-4000:]}).encode("ascii") + b"\n")
        finally:
            os._exit(status)
    os.close(write)
    end = time.monotonic() + request["seconds"] + _GRACE if request["seconds"] else None
    lines = _received(read, end)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and not lines.endswith(b'{"done": true}\n'):
        return lines, "signal %d" % os.WTERMSIG(status)
    return lines, ""


def _received(descriptor: int, end: "float | None") -> bytes:
    """Return what comes from a pipe until it is closed, at most until a time."""
    lines = bytearray()
    while len(lines) < _LARGEST:
        wait = None if end is None else max(0.0, end - time.monotonic())
        if not select.select([descriptor], [], [], wait)[0]:
            break
        piece = os.read(descriptor, 1 << 18)
        if not piece:
            break
        lines += piece
    return bytes(lines)


def main() -> None:
    if _ARGUMENTS.startswith("<<"):
        # Not on a host: ansible-test compares the options with their documentation.
        options = importlib.import_module(_PACKAGE + ".scan.options").scan_spec()
        importlib.import_module("ansible.module_utils.basic").AnsibleModule(options, supports_check_mode=True)
        return
    request = json.loads(zlib.decompress(base64.b64decode(json.loads(_ARGUMENTS)["_request"])))
    lines, problem = start(request)
    answer = base64.b64encode(zlib.compress(lines, 6)).decode("ascii")
    sys.stdout.write(json.dumps({"changed": False, "lines": answer, "problem": problem}) + "\n")


if __name__ == "__main__":
    main()
