#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: host_scan
short_description: Scan a host with several capabilities in one round trip
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Runs the scans of several capabilities on a host, one after the other, each in its own process, and returns their
    findings and coverage. An error in one of them does not affect the others.
  - On a Windows host, each capability that knows Windows runs in a module of its own, one after the other.
  - The code and the rules stay on the host, in its state directory, so that the next scan sends only options. The
    controller keeps their digests, and the host runs no code with another digest.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
attributes:
  platform:
    support: full
    platforms: linux, windows
options:
  capabilities:
    description:
      - The capabilities to scan the host with. Their options are the variables of their roles, with the defaults of the
        roles.
      - By default all capabilities of the collection.
    type: list
    elements: str
  run:
    description:
      - Id of the run in which to record the results, as M(bulwark.servers.findings_run) returns it. Without it, the
        results are returned and not recorded, the task fails if anything could not be checked, and the host keeps no
        code.
    type: str
  store:
    description:
      - The findings store, as a URL of SQLAlchemy. By default the one that all modules of the collection use.
    type: str
  state_dir:
    description:
      - Absolute path of the directory on the host for the code and the rules.
      - Defaults to C(/var/lib/bulwark), and to C(~/.local/state/bulwark) for other accounts than root.
    type: str
  time_limit:
    description:
      - Seconds for all capabilities together, V(0) for no limit. After that, the module ends those that still run, and
        returns the results of the others. Each capability also has its own limits, such as
        C(file_integrity_time_budget).
    type: int
    default: 14400
  memory_limit:
    description:
      - Mebibytes of private memory that each capability may use. Without effect on Windows.
    type: int
    default: 1024
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
findings:
  description: The findings as OCSF events.
  type: list
  elements: dict
  returned: without O(run)
coverage:
  description: The coverage of each scope, with reasons.
  type: list
  elements: dict
  returned: without O(run)
controls:
  description: The results of the controls of benchmarks, as their modules return them.
  type: list
  elements: dict
  returned: without O(run)
containers:
  description: The inventory of containers, as their modules return it.
  type: list
  elements: dict
  returned: without O(run)
investigations:
  description:
    - Investigations, each with its C(subject) and the sentences of its C(summary), if a variable of the role
      C(investigation) asks for one. With O(run), each has its C(id) in the store, which has the data. Without O(run),
      C(result) is the data, as M(bulwark.servers.investigation_info) returns it.
  type: list
  elements: dict
  returned: without O(run), and with O(run) if there was an investigation
capabilities:
  description:
    - The coverage of each capability, and the number of its findings by severity. The store has the findings.
  type: dict
  returned: with O(run)
  sample:
    jit_access:
      coverage: [{scope: policy, status: checked}]
      not_checked: []
      severities: {informational: 0, low: 0, medium: 1, high: 0, critical: 0}
misconfigured:
  description: Errors in the variables of roles, because of which a capability was not checked.
  type: list
  elements: str
  returned: always
changes:
  description:
    - New, returned and resolved findings, as M(bulwark.servers.findings_record) returns them; at most 100.
  type: list
  elements: dict
  returned: with O(run)
changes_count:
  description: The number of these findings.
  type: int
  returned: with O(run)
"""

import os
import sys

# Nothing is imported from the current directory, nor from that of this file: these may be anybody's. That goes for
# __future__, too, so that there are no annotations that older versions of Python can't evaluate.
for _path in ("", ".", os.path.dirname(os.path.realpath(globals().get("__file__") or "/-/-"))):
    while _path in sys.path:
        sys.path.remove(_path)

import base64
import contextlib
import errno
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import marshal
import select
import signal
import stat
import time
import traceback
import typing as t
import zlib

# JSON, in which no three quotation marks stand beside each other unescaped, so that nothing gets out of this literal.
_ARGUMENTS = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""
_PACKAGE = "ansible_collections.bulwark.servers.plugins.module_utils"
_OLDEST = (3, 8)
_CAPABILITY = "scan"
_LARGEST_FILE = 256 << 20
_LARGEST_ANSWER = 256 << 20
# Seconds that the process which runs the looks has beyond their time limit.
_GRACE = 30.0
_DONE = b'{"done": true}\n'


class RefusedError(Exception):
    """Something on the host must not be believed. subject: its path."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject = subject
        self.reason = reason


def interpreter() -> str:
    """Return what compiled code depends on."""
    return "%s-%x-%s-%d" % (
        sys.implementation.cache_tag or sys.implementation.name,
        sys.hexversion,
        importlib.util.MAGIC_NUMBER.hex(),
        sys.flags.optimize,
    )


def state_root(environment: "t.Mapping[str, str]", uid: int) -> str:
    """Return where state is kept by default; ``_state.default_root`` says the same."""
    if uid == 0:
        return "/var/lib/bulwark"
    base = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(environment.get("HOME", "/"), ".local", "state")
    return os.path.join(base, "bulwark")


class Shelf:
    """The directory of what this account keeps, which nobody else can change."""

    def __init__(self, descriptor: int, path: str) -> None:
        self.descriptor = descriptor
        self.path = path

    @classmethod
    def open(cls, root: str) -> "Shelf | None":
        """Return it, None when it is not there. Raises OSError; RefusedError if somebody could have exchanged it."""
        current, path = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), "/"
        try:
            for name in [*(part for part in root.split("/") if part), _CAPABILITY]:
                _check_directory(os.fstat(current), path)
                path = os.path.join(path, name)
                try:
                    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    following = os.open(name, flags, dir_fd=current)
                except FileNotFoundError:
                    return None
                except OSError as error:
                    if error.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise RefusedError(path, "is a symbolic link or no directory") from error
                    raise
                os.close(current)
                current = following
            status = os.fstat(current)
            _check_directory(status, path)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise RefusedError(path, "belongs to another account, or others can write in it")
            return cls(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=current), path)
        finally:
            os.close(current)

    def read(self, name: str, digest: str) -> "bytes | None":
        """Return a file's bytes, None when there is none. Raises RefusedError if they are not those of the digest."""
        path = os.path.join(self.path, name)
        try:
            _check_file(os.stat(name, dir_fd=self.descriptor, follow_symlinks=False), path)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RefusedError(path, "cannot be read: %s" % error.strerror) from error
        with os.fdopen(descriptor, "rb") as stream:
            _check_file(os.fstat(descriptor), path)
            data = stream.read(_LARGEST_FILE)
        if hashlib.sha256(data).hexdigest() != digest:
            raise RefusedError(path, "has another content than the controller expects")
        return data


def _check_directory(status: "os.stat_result", path: str) -> None:
    """Raise RefusedError where others than root and this account can exchange what is in a directory."""
    if status.st_uid not in (0, os.geteuid()):
        raise RefusedError(path, "belongs to user %d" % status.st_uid)
    # In a sticky directory only the owners of what is in it can exchange that.
    if status.st_mode & stat.S_ISVTX:
        return
    if status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid not in (0, os.getegid())):
        raise RefusedError(path, "can be written by others")


def _check_file(status: "os.stat_result", path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(path, "is not a regular file")
    if status.st_uid != os.geteuid():
        raise RefusedError(path, "belongs to user %d" % status.st_uid)
    if status.st_mode & 0o022:
        raise RefusedError(path, "can be written by others")
    if status.st_nlink != 1:
        raise RefusedError(path, "has another name, too")


class Code(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the collection's modules from memory. modules: whether each is a package, and its code."""

    def __init__(self, modules: "t.Mapping[str, tuple[bool, t.Any]]") -> None:
        self._modules = modules

    @classmethod
    def from_sources(cls, sources: "t.Mapping[str, str]") -> "Code":
        """sources: by path below module_utils."""
        parts = _PACKAGE.split(".")
        modules: dict[str, t.Any] = {}
        for length in range(1, len(parts) + 1):
            modules[".".join(parts[:length])] = True, compile("", "", "exec")
        for path, source in sources.items():
            name = ".".join([_PACKAGE, *path[: -len(".py")].split("/")])
            is_package = name.endswith(".__init__")
            code = compile(source, "plugins/module_utils/" + path, "exec", dont_inherit=True)
            modules[name[: -len(".__init__")] if is_package else name] = is_package, code
        return cls(modules)

    @classmethod
    def from_compiled(cls, compiled: bytes) -> "Code":
        return cls(marshal.loads(compiled))  # noqa: S302 - its digest is the controller's

    def compiled(self) -> bytes:
        """Return all code for ``from_compiled``, each module by itself, so that only what is imported is read."""
        return marshal.dumps(
            {name: (is_package, marshal.dumps(code)) for name, (is_package, code) in self._modules.items()}
        )

    def find_spec(self, fullname: str, path: "t.Any" = None, target: "t.Any" = None) -> "t.Any":
        if fullname not in self._modules:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=self.is_package(fullname))

    def is_package(self, fullname: str) -> bool:
        return self._modules[fullname][0]

    def get_code(self, fullname: str) -> "t.Any":
        code = self._modules[fullname][1]
        return marshal.loads(code) if isinstance(code, bytes) else code  # noqa: S302

    def get_source(self, fullname: str) -> None:
        return None


class Question:
    """What the controller asks, and what of it the host has."""

    def __init__(self, request: "dict[str, t.Any]", sources: "str | None") -> None:
        self.request = request
        self.sources = sources
        self.parent = os.getpid()
        self.root: str = request["state_dir"] or state_root(os.environ, os.geteuid())
        # Who keeps it and where, and what runs it.
        self.account = "%d-%s" % (os.geteuid(), hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8])
        self.pin = "%s/%s" % (self.account, interpreter())
        self.compiled = t.cast("bytes | None", None)
        self.texts: dict[str, str] = {}
        self.missing: list[str] = []
        self.tampered: list[tuple[str, str]] = []
        self.refused = t.cast("tuple[str, str] | None", None)
        self.shelf = self._open() if request["keep"] else None

    def _open(self) -> "Shelf | None":
        try:
            return Shelf.open(self.root)
        except RefusedError as error:
            self.refused = error.subject, error.reason
        except OSError:
            # Whoever wants to write there will say why that is not possible.
            pass
        return None

    def collect(self) -> None:
        """Take what was sent, and read what is kept; what is ``missing`` is neither."""
        if self.sources is None:
            self.compiled = self._read("code-%s", self.request["code"].get(self.pin))
            if self.compiled is None:
                self.missing.append("code")
        for digest, text in self.request["texts"].items():
            data = self._read("text-%s", digest) if text is None else b""
            if data is None:
                self.missing.append(digest)
            else:
                self.texts[digest] = data.decode("utf-8", "surrogatepass") if text is None else text

    def _read(self, name: str, digest: "str | None") -> "bytes | None":
        if self.shelf is None or digest is None:
            return None
        try:
            return self.shelf.read(name % digest, digest)
        except RefusedError as error:
            self.tampered.append((error.subject, error.reason))
            return None

    def run(self, write: int) -> None:
        """Run the looks and write a line of JSON about each. Runs in a process of its own."""

        def say(line: "dict[str, t.Any]") -> None:
            rest = memoryview(json.dumps(line).encode("ascii") + b"\n")
            # Nobody may listen any more; what the looks say is kept as well.
            with contextlib.suppress(BrokenPipeError):
                while rest:
                    rest = rest[os.write(write, rest) :]

        if self.compiled is not None:
            code = Code.from_compiled(self.compiled)
        else:
            code = Code.from_sources(json.loads(self.sources or "{}"))
        sys.meta_path.insert(0, code)
        importlib.import_module(_PACKAGE + ".scan.host").serve(self, code, Shelf.open, say)
        say({"done": True})


def start(question: Question) -> "tuple[bytes, str]":
    """Answer in another process; return the lines that came from it, and how it ended if it did not finish."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            # Tracebacks look for source files there, which may be anybody's.
            os.chdir("/")
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(nowhere, standard)
            question.run(write)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, it is said
            os.write(write, json.dumps({"error": traceback.format_exc(chain=False)[-4000:]}).encode("ascii") + b"\n")
        finally:
            os._exit(status)
    os.close(write)
    seconds = question.request["seconds"]
    end = time.monotonic() + seconds + _GRACE if seconds else None
    lines = _received(read, end)
    is_late = end is not None and time.monotonic() >= end
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    _pid, status = os.waitpid(pid, 0)
    if lines.endswith(_DONE):
        return lines, ""
    if is_late:
        return lines, "it did not end %d s after its time limit" % _GRACE
    return lines, "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "status %d" % os.WEXITSTATUS(status)


def _received(descriptor: int, end: "float | None") -> bytes:
    """Return what comes from a pipe until everything was said, at most until a time."""
    lines = bytearray()
    while len(lines) < _LARGEST_ANSWER and not lines.endswith(_DONE):
        wait = None if end is None else max(0.0, end - time.monotonic())
        if not select.select([descriptor], [], [], wait)[0]:
            break
        piece = os.read(descriptor, 1 << 18)
        if not piece:
            break
        lines += piece
    return bytes(lines)


def answer(arguments: "t.Mapping[str, t.Any]") -> "dict[str, t.Any]":
    """Return the module's result."""
    if sys.version_info[:2] < _OLDEST:
        version = "%d.%d" % sys.version_info[:2]
        return {
            "failed": True,
            "msg": "the host's Python is %s; set ansible_python_interpreter to 3.8 or later" % version,
        }
    request = json.loads(zlib.decompress(base64.b64decode(arguments["_request"])))
    code = arguments.get("_code")
    question = Question(request, zlib.decompress(base64.b64decode(code)).decode("ascii") if code else None)
    question.collect()
    result: dict[str, t.Any] = {"changed": False, "account": question.account, "pin": question.pin}
    if not question.missing:
        # The end of a connection is not that of a scan.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        lines, problem = start(question)
        if problem and question.compiled is not None and b'{"ready": true}' not in lines:
            question.missing.append("code")
        result["problem"] = problem
        result["lines"] = base64.b64encode(zlib.compress(lines, 6)).decode("ascii")
    result.update(missing=question.missing, tampered=question.tampered, refused=question.refused)
    return result


def main() -> None:
    if _ARGUMENTS.startswith("<<"):
        # Not on a host: ansible-test compares the options with their documentation.
        options = importlib.import_module(_PACKAGE + ".scan.options").scan_spec()
        importlib.import_module("ansible.module_utils.basic").AnsibleModule(options, supports_check_mode=True)
        return
    try:
        result = answer(json.loads(_ARGUMENTS))
    except Exception as error:  # noqa: BLE001 - a module says what is wrong in its result
        shown = traceback.format_exc()[-4000:]
        result = {"failed": True, "msg": "the scan cannot be started: %s" % error, "traceback": shown.splitlines()}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
