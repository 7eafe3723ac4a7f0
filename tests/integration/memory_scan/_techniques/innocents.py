# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ordinary hosts run, and what does some of what attackers do for reasons of its own."""

from __future__ import annotations

import os
import pathlib
import pty
import shutil
import subprocess

from tests.integration.memory_scan._techniques.bench import PYTHON, Bench, Started, descendants, wait_for

_NOBODY = "65534"


# Nothing to wonder about


def sleep(bench: Bench) -> Started:
    return bench.sleep()


def python(bench: Bench) -> Started:
    return bench.run(PYTHON, "-c", "import signal; print('ready', flush=True); signal.pause()")


def shell_on_a_terminal(bench: Bench) -> Started:
    ours, theirs = pty.openpty()
    bench.resources.callback(os.close, ours)
    try:
        return bench.run("/bin/bash", "--norc", "-i", stdin=theirs, stderr=theirs, speaks=False)
    finally:
        os.close(theirs)


def shell_script(bench: Bench) -> Started:
    script = bench.code("job.sh", b"echo ready\nsleep 1000 | cat\n")
    return _settled(bench.run("/bin/sh", script), "/usr/bin/cat")


def pipeline(bench: Bench) -> Started:
    """Read data from a pipe, as filters do."""
    script = "echo ready; sleep 1000 | /usr/bin/python3 -c 'import sys; sys.stdin.read()' | perl -ne 'print' >/dev/null"
    return _settled(bench.run("/bin/bash", "-c", script), "/usr/bin/perl")


# Programs that generate code


def node(bench: Bench) -> Started:
    script = """
        const add = (a, b) => a + b;
        let sum = 0;
        for (let i = 0; i < 3e6; i++) sum = add(sum, i) % 1000003;
        console.log("ready");
        setTimeout(() => {}, 120000);
    """
    return bench.run(_program("node"), "-e", script)


def java(bench: Bench) -> Started:
    source = bench.scratch / "Busy.java"
    source.write_text(
        """
        public class Busy {
            static int add(int a, int b) { return (a + b) % 1000003; }
            public static void main(String[] arguments) throws Exception {
                int sum = 0;
                for (int i = 0; i < 30000000; i++) sum = add(sum, i);
                System.out.println("ready");
                Thread.sleep(120000);
            }
        }
        """,
        encoding="utf-8",
    )
    return bench.run(_program("java"), "-Xmx128m", str(source))


def luajit(bench: Bench) -> Started:
    script = """
        local function add(a, b) return (a + b) % 1000003 end
        local sum = 0
        for i = 1, 1e7 do sum = add(sum, i) end
        print("ready")
        io.stdout:flush()
        io.read()
    """
    reading, writing = os.pipe()
    bench.resources.callback(os.close, writing)
    try:
        return bench.run(_program("luajit"), "-e", script, stdin=reading)
    finally:
        os.close(reading)


def node_with_webassembly(bench: Bench) -> Started:
    # (module (func (export "f") (param i32) (result i32) local.get 0 i32.const 1 i32.add))
    script = """
        const module = "0061736d0100000001060160017f017f03020100070501016600000a09010700200041016a0b";
        const bytes = Buffer.from(module, "hex");
        WebAssembly.instantiate(bytes).then(({instance}) => {
            let sum = 0;
            for (let i = 0; i < 3e6; i++) sum = instance.exports.f(sum) % 1000003;
            for (let i = 0; i < 1e4; i++) /^(a+)b[cd]*$/.test("aaaabcdcd" + i);
            console.log("ready");
            setTimeout(() => {}, 120000);
        });
    """
    return bench.run(_program("node"), "-e", script)


def node_with_workers(bench: Bench) -> Started:
    """Compile in threads that have a heap of their own each."""
    script = """
        const {Worker, isMainThread, parentPort} = require("worker_threads");
        const add = (a, b) => a + b;
        let sum = 0;
        for (let i = 0; i < 3e6; i++) sum = add(sum, i) % 1000003;
        // One that is too large for an ordinary page of code.
        const words = Array.from({length: 400}, (_, i) => `a${i}[b-z]+c${i * 7919}`);
        const large = new RegExp(`^(?:${words.join("|")})$`);
        for (let i = 0; i < 20; i++) large.test(`a${i}zzc1`);
        if (isMainThread) {
            let left = 3;
            for (let i = 0; i < 3; i++)
                new Worker(process.argv[1]).on("message", () => --left || console.log("ready"));
        } else parentPort.postMessage(sum);
        setInterval(() => large.test("q"), 60000);
    """
    file = bench.code("workers.js", script.encode())
    return bench.run(_program("node"), file)


def pypy(bench: Bench) -> Started:
    script = """
import signal
total = 0
for number in range(3000000):
    total = (total + number) % 1000003
print("ready", flush=True)
signal.pause()
"""
    return bench.run(_program("pypy3"), "-c", script)


def mono(bench: Bench) -> Started:
    source = bench.scratch / "busy.cs"
    source.write_text(
        """
        using System;
        class Busy {
            static int Add(int a, int b) { return (a + b) % 1000003; }
            static void Main() {
                int sum = 0;
                for (int i = 0; i < 3000000; i++) sum = Add(sum, i);
                Func<int, int> lambda = x => x + sum;
                Console.WriteLine("ready");
                System.Threading.Thread.Sleep(lambda(0) * 0 + 120000);
            }
        }
        """,
        encoding="utf-8",
    )
    program = bench.programs.directory / "busy.exe"
    subprocess.run([_program("mcs"), f"-out:{program}", str(source)], check=True, capture_output=True)
    return bench.run(_program("mono"), str(program))


def php(bench: Bench) -> Started:
    script = """
        function add($a, $b) { return ($a + $b) % 1000003; }
        $sum = 0;
        for ($i = 0; $i < 5000000; $i++) $sum = add($sum, $i);
        echo "ready\\n";
        sleep(120);
    """
    compiled = ("opcache.enable_cli=1", "opcache.jit_buffer_size=64M", "opcache.jit=tracing")
    settings = [word for setting in compiled for word in ("-d", setting)]
    return bench.run(_program("php"), *settings, "-r", script)


def erlang(bench: Bench) -> Started:
    script = 'lists:foldl(fun(X, A) -> (X + A) rem 1000003 end, 0, lists:seq(1, 1000000)), io:format("ready~n").'
    environment = {"HOME": str(bench.scratch), "ERL_CRASH_DUMP": "/dev/null"}
    return _grown(bench.run("/usr/bin/erl", "-noshell", "-eval", script, environment=environment))


def lisp(bench: Bench) -> Started:
    """Compile a function into the image of SBCL, which is a file of data that is mapped to be written and run."""
    script = '(progn (defun f (x) (* x 3)) (compile (quote f)) (f 3) (format t "ready~%") (finish-output) (sleep 120))'
    environment = {"HOME": str(bench.scratch)}
    return bench.run("/usr/bin/sbcl", "--noinform", "--non-interactive", "--eval", script, environment=environment)


def chromium(bench: Bench) -> Started:
    """Show a page that computes, in the processes of a browser without a window."""
    page = bench.scratch / "page.html"
    page.write_text(
        """<script>
        let sum = 0;
        const add = (a, b) => a + b;
        for (let i = 0; i < 3e6; i++) sum = add(sum, i) % 1000003;
        document.title = "done";
        </script><canvas id="c"></canvas>""",
        encoding="utf-8",
    )
    profile = bench.scratch / "profile"
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--remote-debugging-port=0")
    started = bench.run("/usr/bin/chromium", *options, f"file://{page}", speaks=False, stderr=subprocess.DEVNULL)
    wait_for((profile / "DevToolsActivePort").exists, "the browser", 60)
    wait_for(lambda: any(b"--type=renderer" in _command(pid) for pid in descendants(started.pid)), "its renderer", 60)
    return _grown(started)


def callbacks_of_python(bench: Bench) -> Started:
    return bench.run(PYTHON, bench.programs / "callbacks.py")


def regular_expression(bench: Bench) -> Started:
    """Search with grep -P, whose expressions become code, in a pipe that doesn't end."""
    return _settled(bench.run("/bin/sh", "-c", "echo ready; (echo ab; sleep 1000) | grep -P '^(a+)b'"), "/usr/bin/grep")


def regular_expression_of_git(bench: Bench) -> Started:
    """Search with git grep -P, and read nothing of what it finds."""
    repository = bench.scratch / "repository"
    repository.mkdir()
    (repository / "text").write_text("aaaab\n" * 100000, encoding="utf-8")
    git = ("git", "-C", str(repository))
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "text"], check=True)
    command = f"echo ready; git -C {repository} grep -P '^(a+)b' | sleep 1000"
    return _settled(bench.run("/bin/sh", "-c", command), _program("git"))


# Ordinary administration


def debugger(bench: Bench) -> Started:
    victim = bench.sleep()
    command = ("/usr/bin/gdb", "--quiet", "--nx", "-p", str(victim.pid))
    # It waits for what to do.
    started = bench.run(*command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, speaks=False)
    return _tracing(victim, started)


def system_call_trace(bench: Bench) -> Started:
    victim = bench.sleep()
    started = bench.run("/usr/bin/strace", "-qfo", "/dev/null", "-p", str(victim.pid), speaks=False)
    return _tracing(victim, started)


def busybox(bench: Bench) -> Started:
    return bench.run("/bin/busybox", "1000", name="sleep", speaks=False)


def busybox_shell(bench: Bench) -> Started:
    started = bench.run("/bin/busybox", "-c", "echo ready; busybox sleep 1000; true", name="sh")
    return _grown(started)


def other_user(bench: Bench) -> Started:
    command = ("-s", "/bin/sh", "nobody", "-c", "echo ready; sleep 1000; true")
    return _settled(bench.run("/usr/bin/su", *command), "/usr/bin/sleep")


def sudo_to_nobody(bench: Bench) -> Started:
    return _settled(bench.run("/usr/bin/sudo", "-u", "nobody", "/bin/sleep", "1000", speaks=False), "/usr/bin/sleep")


def sudo_to_root(bench: Bench) -> Started:
    """Become root as nobody, whom a sudoers file of this mount namespace's own lets."""
    rules = bench.scratch / "sudoers"
    rules.write_text("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults !lecture\n", encoding="utf-8")
    rules.chmod(0o440)
    nobody = f"setpriv --reuid={_NOBODY} --regid={_NOBODY} --clear-groups"
    script = f"mount --bind {rules} /etc/sudoers && {nobody} sh -c 'echo ready; sudo -n sleep 1000; true'"
    return _settled(bench.run("/usr/bin/unshare", "--mount", "/bin/sh", "-c", script), "/usr/bin/sleep")


def rootless_namespaces(bench: Bench) -> Started:
    """Be root of a user namespace, as in a container without root."""
    unshare = ("/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")
    return _settled(bench.run("/bin/sh", "-c", f"echo ready; {' '.join(unshare)} sleep 1000; true"), "/usr/bin/sleep")


def service_manager_style(bench: Bench) -> Started:
    """Start a service as another user with one capability, as systemd does with AmbientCapabilities."""
    rights = ("--inh-caps=-all,+net_bind_service", "--ambient-caps=+net_bind_service", "--no-new-privs")
    user = (f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    started = bench.run("/usr/bin/setpriv", *user, *rights, "/usr/bin/sleep", "1000", speaks=False)
    return _settled(started, "/usr/bin/sleep")


def sandbox(bench: Bench) -> Started:
    """Run a program as flatpak does, with a file system that is put together in memory."""
    places = ("--ro-bind", "/", "/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev")
    command = ("/bin/sh", "-c", "echo ready; sleep 1000; true")
    started = bench.run("/usr/bin/bwrap", *places, "--unshare-pid", "--die-with-parent", *command)
    return _settled(started, "/usr/bin/sleep")


def web_server(bench: Bench) -> Started:
    """Run nginx, whose processes tell at their command lines what they do."""
    settings = bench.scratch / "nginx.conf"
    settings.write_text(
        f"daemon off; pcre_jit on; pid {bench.scratch}/pid; error_log {bench.scratch}/log; events {{}}"
        f" http {{ access_log off; server {{ listen unix:{bench.scratch}/socket;"
        " location ~ ^/(a+)b { return 200; } } }",
        encoding="utf-8",
    )
    command = ("/usr/sbin/nginx", "-c", str(settings))
    started = bench.run(*command, speaks=False, stderr=subprocess.DEVNULL)
    wait_for(lambda: any(b"worker process" in _command(pid) for pid in descendants(started.pid)), "nginx")
    return _grown(started)


def container_created(bench: Bench) -> Started:
    """Have a container that runc has made and not started yet: its first process runs from a copy in memory."""
    bundle = bench.scratch / "bundle"
    (bundle / "rootfs" / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", bundle / "rootfs" / "bin" / "sh")
    runc = ("runc", "--root", str(bench.scratch / "runc"))
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    settings = (bundle / "config.json").read_text(encoding="utf-8")
    (bundle / "config.json").write_text(settings.replace('"terminal": true', '"terminal": false'), encoding="utf-8")
    name = f"bulwark-techniques-{os.getpid()}"
    bench.resources.callback(subprocess.run, [*runc, "delete", "--force", name], check=False, capture_output=True)
    pid_file = bench.scratch / "pid"
    create = [*runc, "create", "--bundle", str(bundle), "--pid-file", str(pid_file), name]
    subprocess.run(create, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = int(pid_file.read_text(encoding="ascii"))
    return Started(pid, {}, (pid,))


# What the starters share


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, name
    return os.path.realpath(found)


def _command(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _grown(started: Started) -> Started:
    """Return it with all processes that it has started by now."""
    return Started(started.pid, started.facts, tuple(sorted({*started.tree, *descendants(started.pid)})))


def _settled(started: Started, program: str) -> Started:
    """Return it once one of its processes runs a program."""
    wanted = os.path.realpath(program)
    wait_for(lambda: any(_executable(pid) == wanted for pid in _grown(started).tree), program)
    return _grown(started)


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _tracing(victim: Started, tracer: Started) -> Started:
    wait_for(lambda: f"TracerPid:\t{tracer.pid}\n" in _status(victim.pid), "the tracer to attach")
    return Started(victim.pid, {"tracer": str(tracer.pid)}, (*victim.tree, *tracer.tree))


def _status(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
