# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that compile C# and run it, the .NET runtime for Windows, and Wine prefixes.

A Wine prefix is a Windows system disk with its registry. One prefix is made per machine and shared: a test that uses it
changes only keys and files of its own. A test that changes what others read makes a prefix of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import fcntl
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
import uuid
import zipfile

from tests.support import commands, paths
from tests.support._require import give_up

# What pytest.mark.requires takes, for tests that run C# by mono and for those that run it under Wine.
MONO = ("command:mcs", "command:mono")
WINE = ("command:mcs", "command:wine", "machine:x86_64")

# .NET Core for Windows: the wheel brings Microsoft's own build of it. Its licence allows to install it for testing.
_RUNTIME_VERSION = "3.1.23"
_RUNTIME = (
    f"dotnetcore2=={_RUNTIME_VERSION} --hash=sha256:e2528813677d7a080522336cb530442408d1e2aea76fa8657018fb532c03c252"
)
_DOWNLOAD_SECONDS = 300
# A new prefix takes 7 s of a processor; more only on a machine that is shared.
_PREFIX_SECONDS = 300
_STOP_SECONDS = 60
_REG_SECONDS = 60
_POLL_SECONDS = 0.05

# Part of the prefix's name in the cache; a change makes a new prefix.
_PREFIX_RECIPE = "2"
# Opens the store of root certificates.
ROOT_STORE = pathlib.Path(__file__).with_name("RootStore.cs")
# They hold 750 of the 770 MB of a prefix, and Wine only reads them.
_LINKED = ("windows/system32", "windows/winsxs", "windows/globalization", "windows/resources")
# No dialog asks for a debugger, a browser or another .NET, and no menu entry is made for this machine's desktop.
_OVERRIDES = "winedbg.exe=d;winemenubuilder.exe=d;mscoree,mshtml=d"


@dataclasses.dataclass(frozen=True)
class Runtime:
    """.NET Core for Windows, unpacked. ``program``: dotnet.exe. ``assemblies``: the directory of its class library."""

    program: pathlib.Path
    assemblies: pathlib.Path

    def references(self) -> list[pathlib.Path]:
        """Return the managed assemblies to compile against."""
        names = ("System.*.dll", "Microsoft.Win32.*.dll", "mscorlib.dll", "netstandard.dll")
        return sorted(file for name in names for file in self.assemblies.glob(name))


@functools.cache
def windows_runtime() -> Runtime:
    """Return the .NET runtime for Windows from the cache; download it once per machine, or skip the running test."""
    root = cached(f"dotnet-{_RUNTIME_VERSION}", _download_runtime) / "dotnetcore2" / "bin"
    return Runtime(root / "dotnet.exe", root / "shared" / "Microsoft.NETCore.App" / _RUNTIME_VERSION)


def _download_runtime(directory: pathlib.Path) -> None:
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{_RUNTIME}\n", encoding="utf-8")
    # The platform's tag is win_amd64, and the Python's is none of ours: pip then takes wheels only.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--platform", "win_amd64", "--python-version", "3.9", "--dest", str(directory), "-r", str(requirements)]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
    )
    if ended.returncode != 0:
        give_up(f"needs .NET Core for Windows, which cannot be fetched: pip says {ended.stderr.strip()[-300:]}")
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    wheel.unlink()


@functools.cache
def shared_prefix() -> pathlib.Path:
    """Return the Wine prefix that all tests of this machine share; make it once."""
    version = subprocess.run(_wine("--version"), env=_base(), capture_output=True, text=True, check=True).stdout
    name = "".join(character for character in version.split()[0] if character.isalnum() or character in ".-")
    return cached(f"prefix-{name}-{_PREFIX_RECIPE}", _make_prefix)


def _make_prefix(directory: pathlib.Path) -> None:
    # It imports this module, as it runs programs in prefixes.
    from tests.support.windows import compiler

    variables = environment(directory)
    # Processes that stay would hold a pipe open, so that none is given to them.
    silent: dict[str, t.Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.run(_wine("wineboot", "-i"), env=variables, check=True, timeout=_PREFIX_SECONDS, **silent)
    # Wine copies this machine's root certificates into the registry when a program first opens their store: while one
    # test looks at the registry, another's program would change it.
    program = compiler.compile_program([ROOT_STORE], compiler.Target.WINDOWS)
    subprocess.run(program.command(), env=variables, check=True, timeout=_PREFIX_SECONDS, **silent)
    # The registry is written when the last process of the prefix has ended.
    subprocess.run([_program("wineserver"), "-w"], env=variables, check=True, timeout=_PREFIX_SECONDS, **silent)


@functools.cache
def keep_running(prefix: pathlib.Path | None = None) -> None:
    """Start the prefix's services, and keep them running until this process ends, or ``private_prefix`` does.

    Otherwise they end with each Windows process, and the next one waits seconds for them.
    """
    directory = prefix or shared_prefix()
    # Debian's Wine makes a directory in /tmp for the services. Of two processes that do it at once, one fails.
    with open(f"{directory}.services.lock", "w", encoding="utf-8") as lock, tempfile.TemporaryFile() as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            _wine("cmd"),
            env=environment(directory),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        # cmd reads its standard input and ends with it, also when this process is killed.
        atexit.register(_end, process)
        end = time.monotonic() + _PREFIX_SECONDS
        # Once it prints, the services run.
        while not os.fstat(output.fileno()).st_size:
            assert process.poll() is None, f"cmd ended with {process.returncode} in {directory}"
            assert time.monotonic() < end, f"the services of {directory} did not start in {_PREFIX_SECONDS} s"
            time.sleep(_POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def private_prefix(directory: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Make a Wine prefix of a test's own in ``directory``, which must not exist, and end its processes afterwards.

    Files of Windows in system32 are hard links to those of the shared prefix: a test may replace or delete one, and
    must not write into it.
    """
    source = shared_prefix()
    linked = [source / "drive_c" / name for name in _LINKED]

    def copy(origin: str, copied: str) -> None:
        if any(folder in pathlib.Path(origin).parents for folder in linked):
            os.link(origin, copied)
        else:
            shutil.copy2(origin, copied)

    # A process of the shared prefix may be writing its registry; the files are replaced, so that one is always whole.
    shutil.copytree(source, directory, symlinks=True, copy_function=copy, ignore=shutil.ignore_patterns("wineserver"))
    try:
        yield directory
    finally:
        subprocess.run(
            [_program("wineserver"), "-k", "-w"],
            env=environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=_STOP_SECONDS,
        )
        # Debian's Wine leaves the directory of its services; this file has its name.
        with contextlib.suppress(FileNotFoundError):
            name = (directory / "wineserver").read_text(encoding="ascii").strip()
            if re.fullmatch(r"wine-\w+", name):
                shutil.rmtree(pathlib.Path("/tmp") / name, ignore_errors=True)


def environment(prefix: pathlib.Path | None = None) -> dict[str, str]:
    """Return the environment of a Windows process in this prefix, or in the shared one; nothing else is inherited."""
    return {
        **_base(),
        "WINEPREFIX": str(prefix or shared_prefix()),
        "WINEARCH": "win64",
        "WINEDLLOVERRIDES": _OVERRIDES,
        "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
    }


def wine_command(*words: str) -> list[str]:
    """Return the command that runs a Windows program, by its path on this machine or its name in the prefix."""
    return _wine(*words)


@contextlib.contextmanager
def own_directory(prefix: pathlib.Path | None = None) -> t.Iterator[pathlib.Path]:
    """Make a directory at the root of the C: drive of this prefix, or of the shared one, while the block runs.

    Nobody else can write in it: state is refused below a directory in which everybody can.
    """
    directory = (prefix or shared_prefix()) / "drive_c" / f"bulwark-{uuid.uuid4().hex[:12]}"
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def reg(*words: str, prefix: pathlib.Path | None = None, check: bool = True) -> str:
    """Run Windows' own reg.exe in this prefix, or in the shared one, and return what it prints.

    check: False to return also if it fails, which raises CalledProcessError otherwise.
    """
    if prefix is None:
        keep_running()
    # A file, not a pipe: Wine's own processes outlive the program.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        subprocess.run(
            _wine("reg", *words),
            env=environment(prefix),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            check=check,
            timeout=_REG_SECONDS,
        )
        output.seek(0)
        return output.read()


def windows_path(path: pathlib.Path) -> str:
    """Return how Windows names a file of this machine: drive Z is its root."""
    return "Z:" + str(path).replace("/", "\\")


def _base() -> dict[str, str]:
    # File names that are not ASCII need UTF-8. Without WINEDEBUG, Debian's wine says that 32-bit programs cannot run.
    inherited = {name: os.environ[name] for name in ("HOME", "PATH", "USER", "LOGNAME") if name in os.environ}
    return {"HOME": "/root", **inherited, "LC_ALL": "C.UTF-8", "WINEDEBUG": "-all"}


def _wine(*words: str) -> list[str]:
    return [_program("wine"), *words]


def _program(name: str) -> str:
    program = commands.find(name)
    if program is None:
        give_up(f"needs the command '{name}': apt-get install wine wine64")
    return program


def cached(name: str, make: t.Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Return a directory of this machine's cache; make it in an empty one first if it isn't there.

    One process makes it while others wait. An attempt that was stopped leaves none of that name.
    """
    directory = paths.cache() / "windows" / name
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{directory}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=directory.parent) as workspace:
                finished = pathlib.Path(workspace) / "finished"
                finished.mkdir()
                make(finished)
                finished.rename(directory)
    return directory
