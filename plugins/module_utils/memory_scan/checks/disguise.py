# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are made to mislead: of kernel threads, of the system's programs, and names that can't be read.

A process chooses both of its names, the short one (PR_SET_NAME of prctl(2)) and its command line, and ordinary programs
do so all the time. So what counts is who uses whose name. ATT&CK T1036.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

from ansible_collections.bulwark.servers.plugins.module_utils import _secrets
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    places,
    programs,
    standing,
    surroundings,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import Surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# TASK_COMM_LEN of linux/sched.h, without the null character at its end.
NAME_LENGTH = 15

# Names that the kernel gives to threads of its own, and nobody to programs.
_KERNEL = re.compile(
    rb"""
    (?:kworker|ksoftirqd|migration|cpuhp|rcu[a-z]{1,3}|irq|idle_inject|jbd2|xfsaild|xfs-[a-z]+|dm-?crypt_\w+|stopper
      |watchdog|card\d+-crtc\d+|scsi_(?:eh|tmf)_\d+)/.{0,40}
    |kthreadd|pool_workqueue\w*|kauditd|khungtaskd|oom_reaper|kcompactd\d+|ksmd|khugepaged|kswapd\d+|kdevtmpfs
    |kintegrityd|kblockd|kthrotld|khelper|kpsmoused|kjournald2?|kondemand|khubd|kacpid|kacpi_notify|kstriped
    |ksuspend_usbd|kdmflush|kcryptd|krfcommd|kmpathd|kmpath_rdacd|kconservative|knfsd|kslowd\d*|kerneloops-kthread
    |kgssd|kmemstick|kvm-irqfd-clean|ecryptfs-kthread|ecryptfs-kthrea|scsi_(?:eh|tmf)_\d+|rcu_(?:sched|bh|preempt|gp|par_gp)
    |rcu_(?:tasks|exp)\w*|inet_frag_wq|slub_flushwq|mm_percpu_wq|irq/\d+.*|edac-poller|devfreq_wq|blkcg_punt_bio|zswap-shrink
    |(?:kworker|kthreadd|kdevtmpfs|khugepaged|ksoftirqd|kswapd|kcompactd|kauditd)[a-z]{0,3} # imitations, too
    |ipv6_addrconf|acpi_thermal_pm|ext4-rsv-conver|btrfs-(?:worker|transaction|cleaner|endio|delalloc|flush_delal)\S*
    """,
    re.VERBOSE | re.DOTALL,
)
# Names of kernel threads, too, that a program may have: only in brackets, as ps(1) shows kernel threads.
_KERNEL_IN_BRACKETS = re.compile(
    rb"netns|writeback|crypto|cryptd|bioset|watchdogd|md|mld|ata_sff|nfsd\d*|lockd|rpciod|xprtiod|cifsd|pdflush|deferwq"
    rb"|events(?:_\w+)?|aio|nfsiod|loop\d+|md\d+_\w+|nvme[\w-]+|vhost-\d+|charger_manager|tpm_dev_wq|perf|sync_supers"
)
_BRACKETS = re.compile(rb"\s*\[([^\[\]\s]{1,100})\]\s*")
_TITLE = re.compile(rb"[\s:]")
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad\u115f\u1160\u3164]"
)
# Letters of other scripts that look like Latin ones in most fonts (confusables, Unicode Technical Standard 39).
_LIKENESS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u03bf\u03c1\u03b9\u03bd\u03b1\u0261\u0131\u217c",
    "aeopcyxijshdqwopivagil",
)

_CLAIMED_ELSEWHERE = frozenset((standing.MEMORY, standing.TEMPORARY, standing.GONE, standing.RESTORED))
_CLAIMED_UNPACKAGED = frozenset((standing.LOCAL, standing.REPLACED, standing.REMOVED, standing.UNKNOWN))


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what misleads in a process's names."""
    process = view.process
    if process.is_kernel_thread or process.state in ("Z", "X"):
        return
    kernel = kernel_name(process)
    if kernel is not None:
        runs = "a program" if process.executable is None else shown(process.executable)
        yield Sign(
            "kernel_thread_name", "it calls itself %s and is no kernel thread: it runs %s" % (shown(kernel), runs)
        )
        return
    if process.executable is None:
        return
    yield from _titles(process)
    yield from claims(process, host, surroundings.of(host))


def kernel_name(process: Process) -> bytes | None:
    """Return the name of a kernel thread that a process, which is none, goes by."""
    title = process.arguments[0].strip() if process.arguments else b""
    within = _BRACKETS.match(title)
    if within and (_KERNEL.fullmatch(within.group(1)) or _KERNEL_IN_BRACKETS.fullmatch(within.group(1))):
        return title
    if _KERNEL.fullmatch(title.partition(b" ")[0].strip(b"[]")):
        return title
    name = process.name.strip()
    within = _BRACKETS.fullmatch(name)
    if _KERNEL.fullmatch(within.group(1) if within else name):
        return process.name
    return None


def claims(process: Process, host: Host, around: Surroundings) -> t.Iterator[Sign]:
    """Yield the sign of a process that goes by the name of a well-known program, and is another one."""
    claim = _claim(process)
    if claim is not None:
        yield from _judged(process, claim, host, around)


def is_disguised(process: Process) -> bool:
    """Say whether a process's names alone mislead, whatever it runs."""
    return kernel_name(process) is not None or any(_titles(process))


def _titles(process: Process) -> t.Iterator[Sign]:
    if not any(one.strip() for one in process.arguments) and not process.unreadable.get("arguments"):
        what = "it has no command line" if not process.arguments else "its command line was overwritten with nothing"
        yield Sign("command_line_erased", "%s, and runs %s" % (what, shown(process.executable or b"")))
    elif process.arguments and not any(process.arguments[1:]) and _BRACKETS.fullmatch(process.arguments[0]):
        # ps(1) shows what has no command line in brackets.
        yield Sign("bracketed_name", "its command line is %s, as if it had none" % shown(process.arguments[0]))
    title = process.arguments[0].decode("utf-8", "surrogateescape") if process.arguments else ""
    if _CONTROL.search(title.replace("\n", "").replace("\t", "")):
        yield Sign(
            "deceptive_name", "its command line '%s' has characters that can't be seen" % shown(process.arguments[0])
        )
        return
    for what, name in (("name", process.name), ("executable", programs.base(process.executable))):
        reason = _deceptive(name, len(name) >= NAME_LENGTH and what == "name")
        if reason is not None:
            yield Sign("deceptive_name", "its %s '%s' %s" % (what, shown(name), reason))
            return


def _deceptive(name: bytes, cut: bool) -> str | None:
    """Return how a name misleads. cut: there may have been more of it, its last character may be a part of one."""
    text = name.decode("utf-8", "ignore" if cut else "surrogateescape")
    if not text.strip(". \t"):
        return "is hard to see" if text else "is empty"
    if _CONTROL.search(text):
        return "has characters that can't be seen"
    if text != text.lstrip() or (not cut and text != text.rstrip()):
        return "begins or ends with a space"
    if not text.isascii():
        likeness = unicodedata.normalize("NFKC", text).translate(_LIKENESS)
        if likeness != text and likeness.isascii() and not _is_of_one_script(text):
            return "has letters that look like others"
    return None


def _is_of_one_script(text: str) -> bool:
    """Say whether the letters are of one script only, so that the name is a word of a language."""
    letters = [char for char in text if char.isalpha()]
    return all(not char.isascii() for char in letters) and not programs.is_daemon(
        unicodedata.normalize("NFKC", text).translate(_LIKENESS).encode("utf-8", "replace")
    )


class _Claim(t.NamedTuple):
    """A name that a process goes by. path: where it says to be from, b"" where it doesn't."""

    name: bytes
    path: bytes
    said: bytes


def _claim(process: Process) -> _Claim | None:
    """Return the name of a well-known program that a process goes by while it runs another."""
    real = programs.base(process.executable)
    title = process.arguments[0].strip() if process.arguments else b""
    first = _TITLE.split(title.lstrip(b"-"), 1)[0]
    path = first if first.startswith(b"/") else b""
    name = programs.base(first)
    if path and path != process.executable and (places.is_packaged(path) or programs.is_daemon(name)):
        return _Claim(name, path, title)
    if programs.is_daemon(name) and not programs.go_together(name, real):
        return _Claim(name, b"", title)
    if programs.is_daemon(process.name) and not programs.go_together(process.name, real):
        return _Claim(process.name, b"", process.name)
    return None


def _judged(process: Process, claim: _Claim, host: Host, around: Surroundings) -> t.Iterator[Sign]:
    alike = programs.go_together(claim.name, programs.base(process.executable))
    if claim.path and _is_same(process, claim, around):
        return
    if not programs.is_daemon(claim.name) and not _is_another(process, claim, around):
        return
    if _is_own_script(process, claim.name):
        return
    found = standing.of(process, host, around)
    detail = "it calls itself %s, but runs %s" % (shown(claim.said), shown(process.executable or b""))
    if found.kind in _CLAIMED_ELSEWHERE:
        yield Sign("system_program_name", detail)
    elif alike:
        return
    elif found.kind in _CLAIMED_UNPACKAGED:
        yield Sign("system_program_name", "%s, which no package owns" % detail)
    elif found.kind == standing.SYSTEM and programs.is_daemon(claim.name):
        yield Sign("contradicting_name", "%s, which no package owns" % detail)
    elif programs.is_versatile(process) and found.kind != standing.SYSTEM:
        yield Sign("system_program_name", "%s, which runs any commands" % detail)


def _is_another(process: Process, claim: _Claim, around: Surroundings) -> bool:
    """Say whether a path that is no well-known one leads to another program of the host, and not a script for it.

    The executable may be gone after an upgrade, and the path be a link to its successor.
    """
    real = None if standing.elsewhere(process, around) else around.program(claim.path)
    return real is not None and not programs.go_together(programs.base(real), programs.base(process.executable))


def _is_same(process: Process, claim: _Claim, around: Surroundings) -> bool:
    """Say whether the path is another name of the executable, such as a link."""
    status = process.status
    return status is not None and around.same_file(claim.path, status.device, status.inode)


def _is_own_script(process: Process, name: bytes) -> bool:
    """Say whether an interpreter is known by the name of the script that it runs, which the kernel gives it."""
    spoken = programs.language(process)
    if spoken is None:
        return False
    script = programs.task(spoken, process.arguments).script
    return bool(script) and programs.base(script)[:NAME_LENGTH] == name[:NAME_LENGTH]


def shown(name: bytes) -> str:
    """Return a name or title for people, cut, without secrets."""
    return _secrets.masked(printable(name[:120]))
