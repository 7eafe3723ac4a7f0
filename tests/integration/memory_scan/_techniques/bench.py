# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building the programs of the bench, starting processes until they say that they are set up, and ending them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

from tests.support import waiting

_SOURCES = pathlib.Path(__file__).parent
_FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1")
# What is built of which source, with which flags beside those of all.
_PROGRAMS: t.Mapping[str, tuple[str, tuple[str, ...]]] = {
    # Its table of addresses stays writable, as in programs that are built without hardening.
    "changed": ("changed.c", ("-Wl,-z,lazy,-z,norelro",)),
    "inject": ("inject.c", ()),
    "leash": ("leash.c", ()),
    "leave": ("leave.c", ()),
    "leave-static": ("leave.c", ("-static",)),
    "library.so": ("library.c", ("-shared", "-nostdlib", "-fPIC", "-Wl,-Bsymbolic")),
    "loaded": ("loaded.c", ()),
    "mapped": ("mapped.c", ()),
    "memory_file": ("memory_file.c", ()),
    "memory_file-static": ("memory_file.c", ("-static",)),
    "moves": ("moves.c", ("-pthread",)),
    "place": ("place.c", ()),
    "place-execstack": ("place.c", ("-z", "execstack")),
    "privilege": ("privilege.c", ()),
    "reflective": ("reflective.c", ()),
    "thread": ("thread.c", ("-pthread",)),
    "unlisting.so": ("wiping.c", ("-shared", "-nostdlib", "-fPIC", "-DUNLISTING")),
    "wait": ("wait.c", ()),
    "wait-static": ("wait.c", ("-static",)),
    "wiping.so": ("wiping.c", ("-shared", "-nostdlib", "-fPIC")),
}
_CODE = ("wait", "sleep", "reverse", "bind", "decoder", "hunter", "egg", "leave")
# What the host has, and not what whoever runs the tests has put before it.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = "/usr/bin/python3"


class BenchError(AssertionError):
    """A technique could not be set up: the test says nothing of what finds it."""


@dataclasses.dataclass
class Started:
    """A technique that is set up. pid: of the process that is to be found. facts: what it says of itself.

    tree: all processes that were started for it, which are looked at, too. prefix: a command to look at them with.
    """

    pid: int
    facts: dict[str, str]
    tree: tuple[int, ...]
    prefix: tuple[str, ...] = ()

    def address(self, name: str) -> int:
        return int(self.facts[name], 16)


class Programs:
    """What is built, in a directory that no check has a reason to wonder about: software of the administrator's own."""

    def __init__(self) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bulwark-techniques-", dir="/usr/local/lib"))
        self.directory.chmod(0o755)

    def build(self) -> None:
        for name, (source, flags) in _PROGRAMS.items():
            target = self.directory / name
            run("gcc", *_FLAGS, *flags, "-o", str(target), str(_SOURCES / "programs" / source))
        compiled = self.directory / "code.o"
        run("gcc", "-c", "-o", str(compiled), str(_SOURCES / "programs" / "code.S"))
        for name in _CODE:
            section = f"--only-section=.code.{name}"
            run("objcopy", "-O", "binary", section, str(compiled), str(self.directory / f"{name}.bin"))
        for script in (_SOURCES / "scripts").glob("*.py"):
            shutil.copy(script, self.directory / script.name)

    def remove(self) -> None:
        shutil.rmtree(self.directory)

    def __truediv__(self, name: str) -> str:
        return str(self.directory / name)


class Bench:
    """Starts processes, and ends them with all that they started. scratch: where an attacker would put a file."""

    def __init__(self, programs: Programs, scratch: pathlib.Path) -> None:
        self.programs = programs
        self.scratch = scratch
        self.resources = contextlib.ExitStack()

    def close(self) -> None:
        self.resources.close()

    def run(
        self,
        *command: str,
        name: str | None = None,
        environment: t.Mapping[str, str] | None = None,
        speaks: bool = True,
        **options: t.Any,
    ) -> Started:
        """Start a program and return when it is set up.

        name: its argv[0], where that isn't its path. speaks: whether it says when it is set up; otherwise it is when
        the leash runs the program. options: of Popen.
        """
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("cwd", "/")
        program = command[0]
        process = subprocess.Popen(
            [self.programs / "leash", name if name is not None else program, *command],
            stdout=subprocess.PIPE if speaks else subprocess.DEVNULL,
            env={"PATH": _PATH, "LANG": "C.UTF-8", **(environment or {})},
            start_new_session=True,
            **options,
        )
        self.resources.callback(_end, process)
        facts = _said(process) if speaks else {}
        if not speaks:
            wait_for(lambda: _is_over(process, self.programs / "leash"), f"{program} to run")
        pid = int(facts.get("pid", process.pid))
        return Started(pid, facts, tuple(sorted({process.pid, pid, *descendants(process.pid)})))

    def sleep(self) -> Started:
        """Start a packaged program that does nothing, to be somebody's victim."""
        return self.run("/usr/bin/sleep", "1000", speaks=False)

    def code(self, name: str, content: bytes) -> str:
        """Keep code in a file, which a program then reads as it would read it from a connection."""
        file = self.programs.directory / name
        file.write_bytes(content)
        return str(file)


def run(*command: str) -> None:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BenchError(f"{' '.join(command)}\n{answer.stdout}{answer.stderr}")


def _said(process: subprocess.Popen[bytes]) -> dict[str, str]:
    """Return what a process says when it is set up: the words of a line "ready NAME=VALUE ..."."""
    assert process.stdout is not None
    deadline = time.monotonic() + waiting.SECONDS
    said = b""
    while not said.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left < 0 or not select.select([process.stdout], [], [], left)[0]:
            raise BenchError(f"{process.args!r} did not say that it is ready, but {said!r}")
        byte = os.read(process.stdout.fileno(), 1)
        if not byte:
            raise BenchError(f"{process.args!r} ended with {process.wait()}, after {said!r}")
        said = said + byte if not said.endswith(b"\n") else byte
    first, *words = said.decode().split()
    if first != "ready":
        raise BenchError(f"{process.args!r} said {said!r}")
    return dict(word.split("=", 1) for word in words)


def _is_over(process: subprocess.Popen[bytes], leash: str) -> bool:
    """Say whether a process has become another program than the leash, and that one waits, or works, by now."""
    if process.poll() is not None:
        raise BenchError(f"{process.args!r} ended with {process.returncode}")
    with contextlib.suppress(FileNotFoundError):
        return not os.path.samefile(f"/proc/{process.pid}/exe", leash) and _is_asleep(process.pid)
    return False


def _is_asleep(pid: int) -> bool:
    return _state(pid) == "S"


def _state(pid: int) -> str:
    """Return the state of a process as proc_pid_stat(5) has it."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2][1]


def _end(process: subprocess.Popen[bytes]) -> None:
    for pid in [*descendants(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=30)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs, whichever of its threads started them."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text(encoding="ascii").split():
                found += [int(child), *descendants(int(child))]
    return found


def wait_for_sleep(pid: int, program: str) -> None:
    """Return when a process runs a program that waits, after all that its loader and its libraries do first."""
    wait_for(lambda: os.path.samefile(f"/proc/{pid}/exe", program) and _is_asleep(pid), f"{program} to wait")


def wait_for_quiet(pid: int) -> list[int]:
    """Return a process and its descendants when they have been the same, and none has worked, for half a second."""
    tree: list[int] = []
    since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal tree, since
        before, tree = tree, [pid, *descendants(pid)]
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if before == tree and not any(_state(each) in "RD" for each in tree):
                return time.monotonic() - since > 0.5
        since = time.monotonic()
        return False

    wait_for(is_quiet, f"process {pid} and its descendants to wait")
    return tree


def wait_for(condition: t.Callable[[], t.Any], what: str, seconds: float = waiting.SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"waited for {what} for {seconds} s")
        time.sleep(0.02)
