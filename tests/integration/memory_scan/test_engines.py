# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real engines: each is recognised by what it is, all that it makes is searched, and nothing is wrong with it."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import textwrap
import threading
import time
import typing as t

import psycopg
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import code
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import engines, memory_code
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import (
    Budget,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.reader import (
    ProcessView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content

from tests.integration.memory_scan import _memory as scans
from tests.integration.memory_scan._techniques import innocents
from tests.integration.memory_scan._techniques.bench import Bench, Started, descendants, run, wait_for
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs
from tests.support import postgresql
from tests.unit.plugins.module_utils.memory_scan import _memory

__all__ = ["bench", "programs"]

pytestmark = [pytest.mark.requires(*NEEDS), pytest.mark.xdist_group("memory")]


def _php(bench: Bench) -> Started:
    settings = ("opcache.enable_cli=1", "opcache.jit_buffer_size=8M", "opcache.jit=tracing")
    options = [word for setting in settings for word in ("-d", setting)]
    work = """
        function add($a, $b) { return ($a + $b) % 1000003; }
        for ($i = $sum = 0; $i < 3000000; $i++) $sum = add($sum, $i);
        for ($i = 0; $i < 1000; $i++) preg_match('/^(a+)b[cd]*$/', 'aaaabcdcd' . $i);
        echo "ready\\n"; sleep(1000);
    """
    return bench.run(_program("php"), *options, "-r", work)


def _erlang(bench: Bench) -> Started:
    work = 'lists:sum([X rem 7 || X <- lists:seq(1, 100000)]), io:format("ready~n"), timer:sleep(infinity).'
    return bench.run(_program("erl"), "-noshell", "-eval", work)


def _guile(bench: Bench) -> Started:
    work = """
        (define (add a b) (modulo (+ a b) 1000003))
        (let loop ((i 0) (sum 0)) (when (< i 1000000) (loop (+ i 1) (add sum i))))
        (display "ready\n") (force-output) (sleep 1000)
    """
    environment = {"GUILE_AUTO_COMPILE": "0", "HOME": str(bench.scratch)}
    return bench.run(_program("guile"), "-c", work, environment=environment)


def _valgrind(bench: Bench) -> Started:
    # It starts nothing: a child would be looked at while it becomes another program.
    return bench.run(_program("valgrind"), "-q", "/bin/sh", "-c", "echo ready; read answer", stdin=subprocess.PIPE)


def _racket(bench: Bench) -> Started:
    work = '(define (f x) (* x 3)) (void (f 3)) (displayln "ready") (flush-output) (sleep 1000)'
    return bench.run(_program("racket"), "-e", work, environment={"HOME": str(bench.scratch)})


def _translated(bench: Bench) -> Started:
    return bench.run(_program("qemu-x86_64"), "/bin/sh", "-c", "echo ready; read answer", stdin=subprocess.PIPE)


def _compiled_at_once(bench: Bench) -> Started:
    source = bench.code(
        "once.c",
        b"int puts(const char *); int pause(void); int fflush(void *);\n"
        b'int main(void) { puts("ready"); fflush(0); pause(); return 0; }\n',
    )
    return bench.run(_program("tcc"), "-run", source)


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None
    return found


class _Look(t.NamedTuple):
    """signs: of all processes together. known: which engines explain the memory that holds code, in all of them.
    unknown: places that none explains. skipped: what was not looked at."""

    signs: list[Sign]
    known: set[str]
    unknown: int
    skipped: list[str]


def _look(*pids: int) -> _Look:
    collected = processes.collect(chosen=pids)
    host = _memory.FakeHost(engines=catalogue.read(content.DIRECTORY / "engines.yml"))
    looked = _Look([], set(), 0, [])
    try:
        for process in collected.processes.values():
            if process.pid not in pids:
                continue
            view = ProcessView(process, Budget(1 << 32), looked.skipped.append, collected.mounts)
            try:
                looked.signs.extend(code.check(view, host))
                regions = [one for one in memory_code.regions(view, host) if not memory_code.is_empty(view, one)]
                explained = engines.explain(view, host, regions)
            except GoneError:
                # What a program starts for a moment is over.
                continue
            finally:
                view.close()
            looked.known.update(engine.id for engine in explained.values())
            looked = looked._replace(unknown=looked.unknown + len(regions) - len(explained))
    finally:
        collected.mounts.close()
    return looked


@pytest.mark.parametrize(
    ("start", "engine"),
    [
        pytest.param(start, engine, id=engine, marks=[pytest.mark.requires(*needs)])
        for start, engine, needs in (
            (innocents.node, "v8", ("command:node",)),
            (innocents.node_with_webassembly, "v8", ("command:node",)),
            (innocents.java, "hotspot", ("command:java",)),
            (innocents.luajit, "luajit", ("command:luajit",)),
            (innocents.pypy, "pypy", ("command:pypy3",)),
            (innocents.mono, "mono", ("command:mono", "command:mcs")),
            (innocents.chromium, "v8", ("chromium",)),
            (innocents.callbacks_of_python, "libffi", ()),
            (innocents.regular_expression_of_git, "pcre2", ("command:git",)),
            (_php, "php", ("command:php",)),
            (_erlang, "beam", ("command:erl",)),
            (_guile, "guile", ("command:guile",)),
            (_valgrind, "valgrind", ("command:valgrind",)),
            (_racket, "chez", ("command:racket",)),
            (_translated, "qemu", ("command:qemu-x86_64",)),
            (_compiled_at_once, "tcc", ("command:tcc",)),
        )
    ],
)
def test_an_engine_is_recognised(start: t.Callable[[Bench], Started], engine: str, bench: Bench) -> None:
    started = start(bench)
    # What a browser starts comes one after the other.
    wait_for(lambda: engine in _look(started.pid, *descendants(started.pid)).known, f"code of {engine}")
    looked = _look(started.pid, *descendants(started.pid))
    assert looked.unknown == 0
    assert looked.signs == []
    assert looked.skipped == []


@pytest.mark.requires("postgresql")
def test_a_database_that_compiles_its_queries_is_recognised() -> None:
    with postgresql.running() as server, psycopg.connect(server.empty_database(), autocommit=True) as connection:
        for setting in ("jit_above_cost", "jit_optimize_above_cost", "jit_inline_above_cost"):
            connection.execute(f"SET {setting} = 0")
        pid = connection.info.backend_pid
        query = threading.Thread(target=_query, args=(connection,))
        query.start()
        try:
            wait_for(lambda: "llvm" in _look(pid).known, "the query to be compiled")
            looked = _look(pid)
            assert (looked.unknown, looked.signs, looked.skipped) == (0, [], [])
        finally:
            connection.cancel_safe()
            query.join()


def _query(connection: psycopg.Connection[t.Any]) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT sum(x * 2 + 1), pg_sleep(600) FROM generate_series(1, 1000) AS x")


@pytest.mark.requires("command:node")
def test_a_copy_of_an_engine_under_another_name_is_recognised(bench: Bench) -> None:
    copy = bench.scratch / "updater"
    shutil.copy(_program("node"), copy)
    work = 'for (let i = 0; i < 1e6; i++) Math.sin(i); console.log("ready"); setTimeout(() => {}, 120000);'
    looked = _look(*bench.run(str(copy), "-e", work).tree)
    assert (looked.known, looked.unknown, looked.signs) == ({"v8"}, 0, [])


# A program that runs code it has put into memory without a file. Each variant has what once explained that.
_IMPOSTOR = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
    %s
    int main(void) {
        void *library = 0;
        char *place;
        (void)library;
        %s
        place = mmap(0, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(place, "\\x55\\x48\\x89\\xe5\\x31\\xc0\\x5d\\xc3", 8);
        %s
        ((int (*)(void))place)();
        puts("ready");
        fflush(stdout);
        pause();
        return 0;
    }
"""
_PCRE2 = 'library = dlopen("libpcre2-8.so.0", RTLD_NOW); if (!library) abort();'
# Compile a pattern, so that PCRE2 has a place for code of its own, and leave room so that ours is not beside it.
_PCRE2_RUNNING = (
    _PCRE2
    + """
    void *(*compile)(const char *, size_t, unsigned, int *, size_t *, void *) = dlsym(library, "pcre2_compile_8");
    int (*jit)(void *, unsigned) = dlsym(library, "pcre2_jit_compile_8");
    int error;
    size_t offset;
    if (jit(compile("^(a+)b[cd]*$", 12, 0, &error, &offset, 0), 1)) abort();
    mmap(0, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    """
)
_FFI = 'library = dlopen("libffi.so.8", RTLD_NOW); if (!library) abort();'
_FFI_BEGINS = 'memcpy(place + 64, "\\x4c\\x8d\\x15\\xf5\\xff\\xff\\xff\\xff\\x25\\x07\\0\\0\\0", 13);'
# A whole closure, with the address of libffi that one has.
_FFI_CLOSURE = (
    _FFI_BEGINS.replace("+ 64", "+ 68")
    + """
    memcpy(place + 64, "\\xf3\\x0f\\x1e\\xfa", 4);
    memcpy(place + 81, "\\x0f\\x1f\\x80\\0\\0\\0\\0", 7);
    *(void **)(place + 88) = dlsym(library, "ffi_call");
    """
)
_V8_TEXTS = """
    const char one[] = "BytecodeBudgetInterruptFromBytecode", two[] = "TurboFan", room[300000] = {1};
    const char *const kept[] = {one, two, room};
"""
_LUAJIT_NAME = "void luaJIT_setmode(void) {}"


@pytest.mark.parametrize(
    ("declared", "before", "after", "known"),
    [
        pytest.param("", "", "", set(), id="named as an engine"),
        pytest.param("", _PCRE2, "", set(), id="PCRE2 mapped"),
        pytest.param("", _PCRE2_RUNNING, "", {"pcre2"}, id="PCRE2 running, and code beside"),
        pytest.param("", _FFI, _FFI_BEGINS, set(), id="libffi mapped, and code that begins like a closure"),
        pytest.param("", _FFI, _FFI_CLOSURE, set(), id="libffi mapped, and code beside a closure"),
        pytest.param(_V8_TEXTS, "", "", set(), id="texts of V8"),
        pytest.param(_LUAJIT_NAME, "", "", set(), id="a symbol of LuaJIT"),
    ],
)
def test_an_impostor_is_no_engine(declared: str, before: str, after: str, known: set[str], bench: Bench) -> None:
    source = bench.scratch / "impostor.c"
    source.write_text(textwrap.dedent(_IMPOSTOR % (declared, before, after)), encoding="utf-8")
    built = bench.scratch / "node"
    run("gcc", "-rdynamic", "-o", str(built), str(source))
    looked = _look(bench.run(str(built)).pid)
    assert (looked.known, looked.unknown) == (known, 1)
    assert [sign.subtype for sign in looked.signs] == ["anonymous_code"]


@pytest.mark.parametrize("name", ["updater", "node", "python3.13", "java"])
def test_a_loader_is_no_runtime_whatever_its_name_is(name: str, bench: Bench) -> None:
    program = shutil.copy(bench.programs / "loaded", bench.programs / name)
    library = shutil.copy(bench.programs / "library.so", bench.scratch / "plugin.so")
    (sign,) = scans.signs(scans.scan(bench.run(str(program), "deleted", str(library)).pid))
    assert (sign["subtype"], sign["severity"]) == ("library_removed", "high")


def test_a_library_named_as_a_runtime_makes_none(bench: Bench) -> None:
    """The library that is removed is called as Java's virtual machine is."""
    library = shutil.copy(bench.programs / "library.so", bench.scratch / "libjvm.so")
    (sign,) = scans.signs(scans.scan(bench.run(bench.programs / "loaded", "deleted", str(library)).pid))
    assert (sign["subtype"], sign["severity"]) == ("library_removed", "high")


@pytest.mark.requires("command:node")
def test_a_runtime_may_remove_what_it_has_unpacked(bench: Bench) -> None:
    """Node under another name, of no package, is one by what it is; a package's Python by its package.

    0x1000 is RTLD_NODELETE: Node unloads what is no add-on.
    """
    library = shutil.copy(bench.programs / "library.so", bench.scratch / "plugin.node")
    copy = shutil.copy(_program("node"), bench.programs / "updater")
    work = """
        const fs = require("fs"), os = require("os");
        try { process.dlopen({exports: {}}, "%s", os.constants.dlopen.RTLD_NOW | 0x1000); } catch (error) {}
        fs.unlinkSync("%s");
        for (let i = 0; i < 1e6; i++) Math.sin(i);
        console.log("ready");
        setTimeout(() => {}, 120000);
    """
    started = bench.run(str(copy), "-e", work % (library, library))
    again = shutil.copy(bench.programs / "library.so", bench.scratch / "plugin.so")
    work = "import ctypes, os, signal; ctypes.CDLL('%s'); os.unlink('%s'); print('ready', flush=True); signal.pause()"
    python = bench.run("/usr/bin/python3", "-c", work % (again, again))
    seen = scans.signs(scans.scan(started.pid, python.pid))
    assert {(sign["subtype"], sign["severity"]) for sign in seen} == {("library_without_file", "informational")}
    assert {sign["pid"] for sign in seen} == {started.pid, python.pid}


@pytest.mark.requires("command:upx-ucl")
@pytest.mark.parametrize("kind", ["wait", "wait-static"])
def test_a_program_that_unpacks_itself_is_told_from_one_that_is_loaded(kind: str, bench: Bench) -> None:
    packed = bench.programs / "packed"
    # UPX refuses files that are small.
    source = bench.scratch / "large.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\nstatic const char room[400000] = {1};\n"
        'int main(void) { printf("ready at=%p\\n", (void *)room); fflush(stdout); pause(); return 0; }\n'
    )
    run("gcc", *(("-static",) if kind == "wait-static" else ()), "-o", packed, str(source))
    run("upx-ucl", "-q", packed)
    try:
        seen = scans.signs(scans.scan(bench.run(packed).pid))
    finally:
        pathlib.Path(packed).unlink()
    severities = {sign["subtype"]: sign["severity"] for sign in seen}
    assert severities == {"image_in_memory": "low", "executable_not_mapped": "low"}


@pytest.mark.requires("command:node")
def test_a_browser_s_worth_of_code_is_searched_in_time(bench: Bench) -> None:
    work = """
        const functions = [];
        for (let i = 0; i < 3000; i++)
            functions.push(new Function("a", "b",
                `let t = 0; for (let j = 0; j < 30; j++) t = (t * ${i} + a ^ b) | 0; return t`));
        for (let k = 0; k < 300; k++) for (const one of functions) one(k, 7);
        console.log("ready");
        setTimeout(() => {}, 120000);
    """
    started = bench.run(_program("node"), "-e", work)
    began = time.process_time()
    looked = _look(*started.tree)
    assert looked.signs == []
    assert time.process_time() - began < 3
