# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running one of the host's own programs for its output: within a time, within a size, in an environment of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import signal
import subprocess
import threading
import time
import typing as t

# Nothing of the caller's environment: a HOME with a .rpmmacros, a LD_PRELOAD or a locale changes what programs say.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
_CHUNK = 1 << 18


class CommandError(OSError):
    """The program could not be run, took too long or wrote too much; the message is one sentence that names it."""


@dataclasses.dataclass(frozen=True)
class Completed:
    """A program that ended by itself."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(
    argv: t.Sequence[str],
    timeout: float,
    max_output: int,
    given: bytes | None = None,
    environment: t.Mapping[str, str] | None = None,
) -> Completed:
    """Run a program and return what it wrote.

    timeout: seconds. max_output: bytes of standard output and standard error together. given: what it reads from
    standard input, nothing without. environment: variables beside the ones that every program gets, or instead of
    them. Raises CommandError; the program and what it started are killed then.
    """
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    process = _start(argv, stdin, subprocess.PIPE, environment or {})
    try:
        stdout, stderr = _collect(process, time.monotonic() + timeout, max_output, given or b"")
    except CommandError:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    return Completed(process.returncode, stdout, stderr)


@contextlib.contextmanager
def piped(argv: t.Sequence[str], timeout: float, given: t.Iterator[bytes]) -> t.Iterator[t.IO[bytes]]:
    """Run a program that reads ``given`` from standard input; yield what it writes as a stream.

    All of ``given`` is taken from its iterator, also what the program doesn't read. timeout: seconds, after which the
    program is killed. Raises CommandError when it can't be run, is killed or fails.
    """
    process = _start(argv, subprocess.PIPE, subprocess.DEVNULL, {})
    feeder = threading.Thread(target=_feed, args=(process.stdin, given), daemon=True)
    timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    feeder.start()
    timer.start()
    try:
        yield t.cast("t.IO[bytes]", process.stdout)
        feeder.join()
        # An ended process that nobody has waited for keeps its id, so that the timer kills nobody else.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        timer.cancel()
        timer.join()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        feeder.join()
        t.cast("t.IO[bytes]", process.stdout).close()
    if process.returncode:
        raise CommandError("%s ended with status %d" % (argv[0], process.returncode))


def _start(argv: t.Sequence[str], stdin: int, stderr: int, environment: t.Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; raise CommandError when it can't be run."""
    try:
        # AnsibleModule.run_command bounds neither time nor output, and passes the caller's environment on.
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(argv),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**_ENVIRONMENT, **environment},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError("%s can't be run: %s" % (argv[0], error.strerror)) from error


def _feed(stream: t.IO[bytes], given: t.Iterator[bytes]) -> None:
    is_read = True
    # Whoever gave the iterator knows what it has come to; without its end the program would wait for more.
    with contextlib.suppress(OSError), stream:
        for chunk in given:
            if is_read:
                try:
                    stream.write(chunk)
                except OSError:
                    is_read = False


def _collect(process: subprocess.Popen[bytes], deadline: float, max_output: int, given: bytes) -> tuple[bytes, bytes]:
    name = t.cast("list[str]", process.args)[0]
    buffers = {process.stdout: bytearray(), process.stderr: bytearray()}
    rest = memoryview(given)
    with selectors.DefaultSelector() as selector:
        for stream in buffers:
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise CommandError("%s did not end in time" % name)
            for key, _events in ready:
                if key.fileobj is process.stdin:
                    rest = _written(key.fd, rest)
                    if not rest:
                        selector.unregister(key.fileobj)
                        process.stdin.close()
                    continue
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                buffers[t.cast("t.IO[bytes]", key.fileobj)] += chunk
            if sum(map(len, buffers.values())) > max_output:
                raise CommandError("%s wrote more than %d bytes" % (name, max_output))
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise CommandError("%s did not end in time" % name) from None
    return bytes(buffers[process.stdout]), bytes(buffers[process.stderr])


def _written(descriptor: int, rest: memoryview) -> memoryview:
    """Write what a pipe takes now; return what is left, nothing where nobody reads any more."""
    try:
        return rest[os.write(descriptor, rest[:_CHUNK]) :] if rest else rest
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]
