# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules get to see of things that really happened, as a real kernel and a real auditd recorded them."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import views
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes

from tests.support import audit

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]

_FILES = """
import os, shutil
os.chdir(DIRECTORY)
open("made", "w").close()
open("made", "a").close()
open("made").close()
os.rename("made", "moved")
os.link("moved", "hard")
os.symlink("moved", "soft")
os.chmod("moved", 0o4755)
os.chown("moved", 1, 1)
os.truncate("moved", 0)
os.setxattr("moved", "user.note", b"x")
os.unlink("soft")
os.mkdir("folder")
descriptor = os.open("folder", os.O_RDONLY)
os.close(os.open("inner file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
os.rename("folder/inner file", "folder/in\\nner")
os.unlink(os.path.join(DIRECTORY, "folder/in\\nner"))
os.rmdir("folder")
"""
_NETWORK = """
import os, socket
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
client = socket.create_connection(server.getsockname())
server.accept()
six = socket.socket(socket.AF_INET6)
six.connect_ex(("::1", 9))
both = socket.socket(socket.AF_INET6)
both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
both.connect_ex(("::ffff:127.0.0.1", 9))
local = socket.socket(socket.AF_UNIX)
local.connect_ex("/nowhere/socket")
print(os.getpid(), server.getsockname()[1])
"""


_LONG = "import os; os.execv('/bin/true', ['true', *map(str, range(20_000))])"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    directory = tmp_path_factory.mktemp("views")
    work = directory / "work"
    work.mkdir()
    (work / "script").write_text("#!/bin/sh\n/bin/echo 'a b' \"$1\"\ntouch beside\n")
    (work / "script").chmod(0o755)
    with audit.locked() as kernel, audit.daemon(directory, kernel) as daemon:
        names = "open,openat,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir"
        more = "mkdir,mkdirat,chmod,fchmodat,chown,fchownat,truncate,setxattr"
        kernel.add(
            "-a always,exit -F arch=b64 -S execve,execveat -F key=exec",
            f"-a always,exit -F arch=b64 -S {names},{more} -F dir={work} -F key=files",
            "-a always,exit -F arch=b64 -S connect,bind,accept,accept4 -F key=net",
        )
        files = _FILES.replace("DIRECTORY", repr(str(work)))
        subprocess.run([sys.executable, "-c", files], check=True)
        said = subprocess.run([sys.executable, "-c", _NETWORK], check=True, capture_output=True, text=True).stdout
        subprocess.run(["./script", "\x1b[1m\u202e\n"], check=True, cwd=work, stdout=subprocess.DEVNULL)
        subprocess.run(
            [sys.executable, "-c", "import os; os.execv('/bin/true', ['true', *map(str, range(20_000))])"], check=True
        )
        daemon.settle()
        text = daemon.log.read_bytes()
    pid, port = said.split()
    return {"work": str(work), "pid": pid, "port": port, "views": seen(text)}


def seen(text: bytes) -> list[dict[str, t.Any]]:
    """Return all views of the calls in a log, each with its source."""
    joiner, processes = Joiner(), Processes()
    found = []
    for event in [*joiner.events(text), *joiner.rest(1e12)]:
        match = activity.SYSCALL.search(event.raw)
        if match is None:
            continue
        parts = match.groups()
        pid, ppid = parts[activity.PID], parts[activity.PPID]
        subject = activity.Activity(event, parts, processes.get(pid), processes.get(ppid))
        found += [{"source": view.source, **view} for view in views.views(subject)]
        if subject.syscall in views.EXECUTES and subject.success == "yes":
            body = activity.EXECVE.search(event.raw)
            name = activity.PATH.search(event.raw)
            assert body is not None
            assert name is not None
            parent = processes.starter(pid, ppid)
            processes.executed(pid, parent, parts[activity.EXE], body.group(1), name.group(2), parts[activity.SES])
    assert joiner.damaged == 0
    return found


def test_each_change_of_a_file_is_what_it_was(recorded: dict[str, t.Any]) -> None:
    work = recorded["work"]
    changes = [
        (view["Action"], view["TargetFilename"].removeprefix(work), view.get("SourceFilename", "").removeprefix(work))
        for view in recorded["views"]
        if view["source"] == "file_event" and "beside" not in view["TargetFilename"]
    ]
    assert changes == [
        ("create", "/made", ""),
        ("write", "/made", ""),
        ("rename", "/moved", "/made"),
        ("link", "/hard", "/moved"),
        ("symlink", "/soft", "moved"),
        ("chmod", "/moved", ""),
        ("chown", "/moved", ""),
        ("truncate", "/moved", ""),
        ("setxattr", "/moved", ""),
        ("delete", "/soft", ""),
        ("create", "/folder", ""),
        # Relative to a descriptor: the kernel says the working directory instead of that directory.
        ("create", "/inner file", ""),
        ("rename", "/folder/in\nner", "/folder/inner file"),
        ("delete", "/folder/in\nner", ""),
        ("delete", "/folder", ""),
    ]
    (mode,) = [view["Mode"] for view in recorded["views"] if view.get("Action") == "chmod"]
    assert mode == "4755"


def test_a_script_is_the_script_and_its_interpreter(recorded: dict[str, t.Any]) -> None:
    script = f"{recorded['work']}/script"
    (run,) = [
        view
        for view in recorded["views"]
        if view.get("OriginalImage") == script and "Argv" in view and view["source"] == "process_creation"
    ]
    assert run["Image"].endswith(("/dash", "/bash", "/sh", "/busybox"))
    assert run["Argv"][-2:] == ("./script", "\x1b[1m\u202e\n")
    assert run["CurrentDirectory"] == recorded["work"]
    assert run["User"] == "root"
    (echo,) = [view for view in recorded["views"] if view["source"] == "process_creation" and "a b" in view["Argv"]]
    assert echo["ParentImage"] == run["Image"]
    assert echo["ParentCommandLine"] == run["CommandLine"]
    touched = next(view for view in recorded["views"] if view.get("TargetFilename", "").endswith("/beside"))
    assert touched["CommandLine"] == "touch beside"
    assert run["Image"] in touched["AncestorImages"]


def test_arguments_that_are_in_many_records_are_whole(recorded: dict[str, t.Any]) -> None:
    (long,) = [
        view for view in recorded["views"] if view["source"] == "process_creation" and len(view["Argv"]) > 15_000
    ]
    assert long["Argv"] == ("true", *map(str, range(20_000)))


def test_connections_have_their_other_end(recorded: dict[str, t.Any]) -> None:
    port = recorded["port"]
    # Other programs of this machine connect too, and accept without asking for the address.
    own = [view for view in recorded["views"] if view.get("ProcessId") == recorded["pid"]]
    ends = [
        (
            view["source"],
            view.get("DestinationIp") or view.get("SourceIp"),
            view.get("DestinationPort") or view.get("SourcePort"),
        )
        for view in own
        if view["source"] in ("network_connection", "network_listen") and view["Protocol"] in ("inet", "inet6")
    ]
    assert ("network_listen", "127.0.0.1", "0") in ends
    assert ("network_connection", "127.0.0.1", port) in ends
    assert ("network_connection", "::1", "9") in ends
    assert ("network_connection", "127.0.0.1", "9") in ends
    accepted = [view for view in own if view["source"] == "network_connection" and view["Initiated"] == "false"]
    assert [view["DestinationIp"] for view in accepted] == ["127.0.0.1"]
    assert "/nowhere/socket" in [view.get("DestinationPath") for view in own]


def test_a_program_that_is_not_there_failed(recorded: dict[str, t.Any]) -> None:
    failed = [view for view in recorded["views"] if view["source"] == "process_failed"]
    assert all(view["Success"] == "no" and view["Exit"].startswith("E") for view in failed)
