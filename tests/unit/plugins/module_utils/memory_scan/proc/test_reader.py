# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look into processes that were started here, while they change."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import mmap
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import maps, page_scan, pagemap, reader
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import (
    Budget,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.page_scan import (
    PAGE_SIZE,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.reader import (
    ProcessView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError

from tests.support import require
from tests.support.waiting import until
from tests.unit.plugins.module_utils.memory_scan._started import WAITING, known, python

_PAGES = textwrap.dedent(
    """
    import ctypes, mmap, os, sys
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    page = mmap.PAGESIZE
    def make(count, flags=0x22, descriptor=-1):
        place = libc.mmap(None, count * page, 3, flags, descriptor, 0)
        assert place not in (None, 2 ** 64 - 1), os.strerror(ctypes.get_errno())
        return place
    def write(place, text):
        ctypes.memmove(place, text, len(text))
    def say(*numbers):
        print(*("%x" % number for number in numbers), flush=True)
    """
)


@contextlib.contextmanager
def _view(process: Process, budget: int = 1 << 30, **options: t.Any) -> t.Iterator[tuple[ProcessView, list[str]]]:
    skipped: list[str] = []
    view = ProcessView(process, Budget(budget), skipped.append, **options)
    try:
        yield view, skipped
    finally:
        view.close()


def _at(view: ProcessView, place: int) -> Mapping:
    return next(one for one in view.maps if one.start <= place < one.end)


def _bytes(view: ProcessView, mapping: Mapping) -> bytes:
    return b"".join(view.read(run.start, run.end - run.start) for run in view.pages(mapping).present)


@pytest.fixture(params=["ioctl", "entries"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to learn what is in memory: the new one, if this kernel has it, and that of older kernels."""
    if request.param == "entries":
        monkeypatch.setattr(page_scan, "can_scan", lambda _descriptor: False)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_only_pages_that_are_there_are_read() -> None:
    code = _PAGES + textwrap.dedent(
        """
        place = make(6)
        write(place + page, b"second")
        write(place + 4 * page, b"fifth")
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            pages = view.pages(_at(view, place)._replace(start=place, end=place + 6 * PAGE_SIZE))
            runs = [((run.start - place) // PAGE_SIZE, (run.end - place) // PAGE_SIZE) for run in pages.present]
            assert runs == [(1, 2), (4, 5)]
            assert pages.private == pages.present
            assert view.read(place + PAGE_SIZE, 6) == b"second"
            assert view.read(place + 4 * PAGE_SIZE, PAGE_SIZE) == b"fifth".ljust(PAGE_SIZE, b"\0")
            assert skipped == []


@pytest.mark.usefixtures("way")
def test_a_page_of_a_file_that_was_changed(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "library"
    target.write_bytes(b"a" * 4 * PAGE_SIZE)
    code = _PAGES + textwrap.dedent(
        """
        descriptor = os.open(sys.argv[1], os.O_RDONLY)
        place = make(4, 0x2, descriptor)
        ctypes.string_at(place, 4 * page)
        write(place + 2 * page, b"patched")
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code, str(target)) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            mapping = _at(view, place)
            pages = view.pages(mapping)
            assert [(run.start, run.end) for run in pages.present] == [(mapping.start, mapping.end)]
            assert [(run.start - place) // PAGE_SIZE for run in pages.private] == [2]
            assert _bytes(view, mapping)[2 * PAGE_SIZE :][:8] == b"patcheda"
            assert skipped == []


@pytest.mark.usefixtures("way")
def test_a_terabyte_that_is_reserved_costs_nothing() -> None:
    code = _PAGES + textwrap.dedent(
        """
        place = make(1 << 28, 0x4022)  # MAP_NORESERVE
        write(place + 100 * page, b"found")
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            before = time.process_time()
            found = view.pages(_at(view, place)).present
            assert any(run.start <= place + 100 * PAGE_SIZE < run.end for run in found)
            assert time.process_time() - before < 5
            assert all("too many addresses" in reason for reason in skipped)


def test_memory_that_nobody_may_read_is_read() -> None:
    """As programs that sleep with their code hidden away have it."""
    code = _PAGES + textwrap.dedent(
        """
        place = make(1)
        write(place, b"asleep")
        libc.mprotect(place, page, 0)
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, _skipped):
            assert _at(view, place).permissions == "---p"
            assert view.read(place, 6) == b"asleep"


def test_memory_that_is_shared() -> None:
    code = _PAGES + textwrap.dedent(
        """
        place = make(1, 0x21)
        write(place, b"shared")
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            pages = view.pages(_at(view, place))
            assert (len(pages.present), pages.private) == (1, [])
            assert _bytes(view, _at(view, place)).startswith(b"shared")
            assert skipped == []


def test_what_the_kernel_shows_everywhere_is_not_read() -> None:
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        special = [one for one in view.maps if one.path.startswith((b"[vvar", b"[vsyscall]"))]
        assert all(view.pages(one).present == [] for one in special)
        assert view.read(0xFFFFFFFFFF600000, 4096) == b""
        assert skipped == []


def test_memory_of_a_device_is_not_read() -> None:
    require("root")
    code = _PAGES + textwrap.dedent(
        """
        import socket
        # A ring of a packet socket: pages that belong to the kernel's socket.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        import struct
        sock.setsockopt(263, 5, struct.pack("IIII", page, 2, page, 2))
        place = make(2, 0x1, sock.fileno())
        write(place + 64, b"ring")
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, _skipped):
            mapping = _at(view, place)
            assert not mapping.anonymous
            assert view.pages(mapping).present == []


@pytest.mark.parametrize("name", ["/dev/zero", "a name of its own"])
def test_what_a_process_has_of_a_device_for_itself_is_memory(name: str, tmp_path: pathlib.Path) -> None:
    require("root")
    if name != "/dev/zero":
        name = str(tmp_path / "libz.so.1")
        os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    code = _PAGES + textwrap.dedent(
        """
        place = make(3, 0x2, os.open(sys.argv[1], os.O_RDONLY))
        write(place + page, b"written")
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code, name) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            mapping = _at(view, place)
            assert (mapping.path, mapping.special, mapping.anonymous) == (os.fsencode(name), True, True)
            assert _bytes(view, mapping) == b"written".ljust(PAGE_SIZE, b"\0")
            assert skipped == []


def test_a_device_is_not_read_whatever_its_name(tmp_path: pathlib.Path) -> None:
    """What is shared of it may do something when it is read, on whichever file system its node is."""
    require("root")
    node = tmp_path / "data"
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    view = ProcessView(known(os.getpid()), Budget(1 << 20), lambda _reason: None)
    try:
        with node.open("rb") as stream, mmap.mmap(stream.fileno(), PAGE_SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ) as own:
            assert own[0] == 0
            mapping = next(one for one in view.maps if one.path == os.fsencode(node))
            assert not view._is_local(mapping._replace(shared=True))
    finally:
        view.close()


def test_where_a_program_was_started() -> None:
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        (lowest, *_others) = [one for one in view.maps if one.path == view.process.executable]
        with open(f"/proc/{started.pid}/exe", "rb") as stream:
            header = stream.read(64)
        begins = int.from_bytes(header[24:32], "little")
        is_moved = int.from_bytes(header[16:18], "little") == 3
        assert view.entry(64) == begins + (lowest.start if is_moved else 0)
        assert skipped == []


def test_a_budget_that_is_used_up() -> None:
    with python(WAITING) as started, _view(known(started.pid), budget=PAGE_SIZE) as (view, skipped):
        stack = next(one for one in view.maps if one.path == b"[stack]")
        run = view.pages(stack).present[-1]
        assert len(view.read(run.end - PAGE_SIZE, PAGE_SIZE)) == PAGE_SIZE
        assert view.read(run.end - PAGE_SIZE, PAGE_SIZE) == b""
        assert skipped == ["the read budget of 0 MB was used up"]


def test_a_budget_is_shared_with_those_that_come_later() -> None:
    budget = Budget(4 << 30)
    left = []
    for others in range(99, -1, -1):
        budget.begin(others)
        left.append(budget.left)
        budget.used += budget.left
    assert left[0] == (4 << 30) - 99 * (8 << 20)
    assert min(left) == 8 << 20
    assert budget.used == budget.most
    budget.begin(5)
    assert budget.left == 0
    alone = Budget(1 << 20)
    alone.begin(0)
    assert alone.left == 1 << 20


def test_a_budget_of_addresses_that_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_scan, "can_scan", lambda _descriptor: False)
    with python(WAITING) as started:
        skipped: list[str] = []
        view = ProcessView(known(started.pid), Budget(1 << 20, most_entries=3), skipped.append)
        for one in view.maps:
            view.pages(one)
        view.close()
    assert skipped == ["it has too many addresses to ask for each page whether it is in memory"]


def test_memory_that_is_not_there_is_short() -> None:
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        assert view.read(PAGE_SIZE, 100) == b""
        last = view.maps[-1] if view.maps[-1].start < 1 << 63 else view.maps[-2]
        assert len(view.read(last.end - 10, 100)) in (0, 10)
        assert skipped == []


def test_the_files_behind_mappings(tmp_path: pathlib.Path) -> None:
    require("root")
    target = tmp_path / "library"
    target.write_bytes(b"b" * PAGE_SIZE)
    code = _PAGES + textwrap.dedent(
        """
        place = make(1, 0x2, os.open(sys.argv[1], os.O_RDONLY))
        os.unlink(sys.argv[1])
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code, str(target)) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            mapping = _at(view, place)
            assert (mapping.path, mapping.deleted) == (os.fsencode(target), True)
            descriptor = view.open_mapped(mapping)
            assert descriptor is not None
            with open(descriptor, "rb") as stream:
                assert stream.read(10) == b"b" * 10
            heap = next(one for one in view.maps if one.path == b"[heap]")
            assert view.open_mapped(heap) is None
            assert view.open_mapped(mapping._replace(start=PAGE_SIZE, end=2 * PAGE_SIZE)) is None
            assert skipped == []


def test_the_executable() -> None:
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        descriptor = view.open_executable()
        assert descriptor is not None
        assert os.fstat(descriptor).st_ino == os.stat(sys.executable).st_ino
        os.close(descriptor)
        assert skipped == []


@pytest.mark.parametrize("when", ["before", "after the mappings", "after the memory"])
def test_a_process_that_ended(when: str) -> None:
    with python(WAITING) as started:
        process = known(started.pid)
        with _view(process) as (view, _skipped):
            stack = next(one for one in view.maps if one.path == b"[stack]") if when != "before" else None
            if stack and when == "after the memory":
                assert _bytes(view, stack)
            started.end()
            with pytest.raises(GoneError):
                assert view.maps if stack is None else _bytes(view, stack)
            with pytest.raises(GoneError):
                view.pages(stack) if stack else view.read(0, 1)


@pytest.mark.parametrize("program", ["/bin/sleep", "the same"])
@pytest.mark.parametrize("when", ["before", "after the mappings", "after the memory"])
def test_a_process_that_runs_another_program_by_now(when: str, program: str) -> None:
    code = textwrap.dedent(
        """
        import os, sys
        print("ready", flush=True)
        arguments = sys.stdin.readline().split("\\t")
        os.execv(arguments[0], [*arguments[:-1]])
        """
    )
    other = [program, "60"] if program == "/bin/sleep" else [sys.executable, "-S", "-c", "input()"]
    with python(code) as started:
        process = known(started.pid)
        with _view(process) as (view, _skipped):
            stack = next(one for one in view.maps if one.path == b"[stack]") if when != "before" else None
            if stack and when == "after the memory":
                assert _bytes(view, stack)
            started.tell("\t".join([*other, ""]))
            until(lambda: known(started.pid).arguments != process.arguments)
            if stack is None and program == "the same":
                # Nothing tells it from the one that was collected, and all that is read is of the new one.
                assert _bytes(view, next(one for one in view.maps if one.path == b"[stack]"))
                return
            # Each check asks, also after another one was told.
            for _check in range(2):
                with pytest.raises(GoneError):
                    assert view.maps if stack is None else _bytes(view, stack)


def test_no_descriptor_stays_open_for_a_process_that_is_another_or_was_not_waited_for() -> None:
    with python(WAITING) as started, contextlib.closing(Mounts()) as mounts:
        process = known(started.pid)
        before = len(os.listdir("/proc/self/fd"))

        def look(one: Process) -> None:
            with _view(one, mounts=mounts) as (view, _skipped):
                for _check in range(3):
                    with pytest.raises(GoneError):
                        assert view.maps
            assert len(os.listdir("/proc/self/fd")) == before

        look(dataclasses.replace(process, executable=b"/other", status=None))
        os.kill(started.pid, signal.SIGKILL)
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        look(process)


def test_another_process_of_the_same_number() -> None:
    with python(WAITING) as started:
        process = known(started.pid)
        other = dataclasses.replace(process, started=process.started - 1)
        with _view(other) as (view, _skipped), pytest.raises(GoneError):
            assert view.maps


def test_an_executable_that_was_moved_or_deleted_is_the_same(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copy("/bin/sleep", first)
    with subprocess.Popen([first, "60"]) as program:
        try:
            until(lambda: known(program.pid).executable == os.fsencode(first))
            process = known(program.pid)
            first.rename(second)
            with _view(process) as (view, _skipped):
                assert view.maps
            second.unlink()
            with _view(process) as (view, _skipped):
                assert view.maps
                descriptor = view.open_executable()
                assert descriptor is not None
                os.close(descriptor)
        finally:
            program.kill()


def test_a_process_without_its_first_thread() -> None:
    code = textwrap.dedent(
        """
        import ctypes, os, sys, threading
        def go_on():
            print("ready", flush=True)
            sys.stdin.read()
            os._exit(0)
        threading.Thread(target=go_on).start()
        ctypes.CDLL(None).pthread_exit(None)
        """
    )
    with python(code) as started:
        until(lambda: b") Z " in pathlib.Path(f"/proc/{started.pid}/stat").read_bytes())
        with _view(known(started.pid)) as (view, skipped):
            heap = next(one for one in view.maps if one.path == b"[heap]")
            assert _bytes(view, heap)
            descriptor = view.open_executable()
            assert descriptor is not None
            os.close(descriptor)
            if os.geteuid() == 0:
                library = next(one for one in view.maps if one.path.startswith(b"/"))
                mapped = view.open_mapped(library)
                assert mapped is not None
                os.close(mapped)
            assert skipped == []


def test_a_process_that_maps_and_unmaps_all_the_time() -> None:
    code = textwrap.dedent(
        """
        import mmap, random, threading
        def change():
            kept = []
            while True:
                kept.append(mmap.mmap(-1, mmap.PAGESIZE * random.randrange(1, 50), flags=0x22))
                kept[-1][0] = 1
                if len(kept) > 200:
                    kept.pop(random.randrange(200)).close()
        threading.Thread(target=change).start()
        print("ready", flush=True)
        """
    )
    with python(code) as started:
        process = known(started.pid)
        for _time in range(20):
            with _view(process) as (view, skipped):
                for mapping in view.maps:
                    _bytes(view, mapping)
                assert any(one.path == b"[stack]" for one in view.maps)
                assert [reason for reason in skipped if "changed again and again" not in reason] == []


def test_more_mappings_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = maps.parse
    monkeypatch.setattr(maps, "parse", lambda text: parse(text, 5))
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        assert len(view.maps) == 5
        assert skipped == ["it has more than 5 mappings, and the others are not examined"]


def test_maps_that_are_longer_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MOST_MAPS", 500)
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        assert view.maps
        assert skipped == [f"it has more than {len(view.maps)} mappings, and the others are not examined"]


def test_memory_in_too_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagemap, "Gathered", functools.partial(pagemap.Gathered, most=1))
    with python(WAITING) as started, _view(known(started.pid)) as (view, skipped):
        for mapping in view.maps:
            view.pages(mapping)
        assert any("too many pieces" in reason for reason in skipped)


def test_without_rights_nothing_is_read_and_that_is_said() -> None:
    require("root")
    with python(WAITING) as started:
        process = known(started.pid)
        os.seteuid(65534)
        try:
            with _view(dataclasses.replace(process, executable=None, status=None)) as (view, skipped):
                assert view.maps == []
                assert view.read(0, 100) == b""
                assert view.open_executable() is None
        finally:
            os.seteuid(0)
    assert {reason.split(":")[0] for reason in skipped} == {"its mem", "its maps", "its executable"}
    assert all("run as root" in reason for reason in skipped)


def test_a_process_of_another_mount_namespace(tmp_path: pathlib.Path) -> None:
    require("root", "command:unshare")
    code = _PAGES + textwrap.dedent(
        """
        import subprocess
        subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
        with open(sys.argv[1] + "/mapped", "wb") as stream:
            stream.write(b"inside" * 1000)
        place = make(1, 0x2, os.open(sys.argv[1] + "/mapped", os.O_RDONLY))
        ctypes.string_at(place, 1)
        print("ready", flush=True)
        say(place)
        sys.stdin.read()
        """
    )
    with python(code, str(tmp_path), wrapper=["unshare", "--mount", "--"]) as started:
        place = int(started.hear(), 16)
        with _view(known(started.pid)) as (view, skipped):
            mapping = _at(view, place)
            assert _bytes(view, mapping).startswith(b"inside")
            descriptor = view.open_mapped(mapping)
            assert descriptor is not None
            os.close(descriptor)
            assert skipped == []


def test_a_process_that_sees_no_mount_of_its_program() -> None:
    require("root", "command:unshare")
    code = "import os, sys; os.chroot('/proc/self/fdinfo'); print('ready', flush=True); sys.stdin.read()"
    with python(code, wrapper=["unshare", "--mount", "--"]) as started:
        process = known(started.pid)
        assert process.status is not None
        with _view(process) as (view, skipped):
            descriptor = view.open_executable()
            assert descriptor is not None
            os.close(descriptor)
            assert skipped == []


def test_threads_are_where_they_wait_and_those_that_run_are_nowhere() -> None:
    program = """
        import sys, threading, time
        def run():
            while True:
                pass
        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        if sys.argv[1:]:
            threading.Thread(target=run, daemon=True).start()
        print("ready", flush=True)
        time.sleep(100)
    """
    for arguments, most in (((), 2), (("run",), 3)):
        with python(textwrap.dedent(program), *arguments) as process:
            time.sleep(0.2)
            with _view(known(process.pid)) as (view, skipped):
                waiting = view.threads()
                assert process.pid in [thread.number for thread in waiting]
                assert 2 <= len(waiting) <= most
                for thread in waiting:
                    (stack,) = [one for one in view.maps if one.start <= thread.stack < one.end]
                    (code,) = [one for one in view.maps if one.start <= thread.instruction < one.end]
                    assert (stack.permissions, code.permissions) == ("rw-p", "r-xp")
                assert skipped == []
                assert view.maps_again() == view.maps
                process.end()
                with pytest.raises(GoneError):
                    view.threads()
