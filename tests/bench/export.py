# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The export of 100,000 findings of 2 to 3 kB by TLS into rsyslog, beside rsyslog that forwards the same lines.

ours_s: an export takes all changes from the outbox (SQLite), formats them, sends them to rsyslog and settles them, as
``findings_export`` does, until rsyslog has written the last. peer_s: another rsyslog reads the same messages from a
file (imfile) and forwards them (omfwd with TLS) to the same receiver, until that has written the last. Both are
seconds by the wall, from the start of the process, and the least of several rounds. peak_mb: the largest resident
memory of the exporter.
outbox: what ``make bench NAME=outbox`` measures: what the outbox adds to recording a scan.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

from tests.bench import outbox
from tests.support import commands, paths, waiting
from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_daemons import Rsyslog

FINDINGS = 100_000
ROUNDS = 2
OUTBOX: t.Mapping[str, int] = {"hosts": outbox.HOSTS, "findings": outbox.FINDINGS, "rounds": outbox.ROUNDS}
_HOSTS = 100
_NAME = "siem"
_SECONDS = 600


class _Receiver(Rsyslog):
    """Writes what it got as it came, for whoever forwards: the parsing of JSON is no part of what is compared."""

    TRANSPORTS = ("tls",)

    def configuration(self) -> str:
        return f"""
global(workDirectory="{self.directory}" defaultNetstreamDriverCAFile="{self.authority}"
       defaultNetstreamDriverCertFile="{self.issued.certificate}" defaultNetstreamDriverKeyFile="{self.issued.key}")
module(load="imtcp")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" address="127.0.0.1" port="{self.ports["tls"]}"
      streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
action(type="omfile" file="{self.written}" template="raw")
"""


def run() -> dict[str, t.Any]:
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    with tempfile.TemporaryDirectory() as directory:
        filled = pathlib.Path(directory) / "filled"
        _python(_fill, _url(filled), FINDINGS)
        rounds = [_round(pathlib.Path(directory) / str(number), filled) for number in range(ROUNDS)]
    ours, peer = (min(figures[name] for figures in rounds) for name in ("ours_s", "peer_s"))
    recording = outbox.measure(**OUTBOX)
    return {
        "ours_s": round(ours, 2),
        "peer_s": round(peer, 2),
        "ratio": round(ours / peer, 3),
        "peak_mb": max(figures["peak_mb"] for figures in rounds),
        "peer_mb": max(figures["peer_mb"] for figures in rounds),
        "message_bytes": rounds[0]["message_bytes"],
        "processor_s": min(figures["processor_s"] for figures in rounds),
        "outbox": {name: recording[name] for name in ("ratio", "ratios", "ours_s", "peer_s")},
    }


def _url(directory: pathlib.Path) -> str:
    return f"sqlite:///{directory}/state/findings.db"


def _round(directory: pathlib.Path, filled: pathlib.Path) -> dict[str, t.Any]:
    shutil.copytree(filled, directory)
    authority = Authority(directory)
    url = _url(directory)
    with _Receiver(directory, authority) as receiver:
        lines = pathlib.Path(receiver.written)
        started = time.monotonic()
        figures = _python(_export, url, receiver.ports["tls"], str(authority.file))
        _await(receiver)
        ours = time.monotonic() - started
        messages = lines.read_bytes().splitlines(keepends=True)
        uids = {json.loads(line[line.index(b"{") :])["metadata"]["uid"] for line in messages}
        if len(messages) != FINDINGS or len(uids) != FINDINGS:
            raise RuntimeError(f"{len(messages)} messages with {len(uids)} uids arrived, not {FINDINGS}")
        # imfile takes a line for a message, which gets a header of its own.
        same = directory / "same"
        same.write_bytes(b"".join(messages))
        lines.unlink()
        receiver.stop()
        receiver.start()
        started = time.monotonic()
        peer_mb = _forward(directory, same, receiver)
        peer = time.monotonic() - started
    size = round(same.stat().st_size / FINDINGS)
    del messages, uids
    return {"ours_s": ours, "peer_s": peer, "peer_mb": peer_mb, "message_bytes": size, **figures}


def _await(receiver: Rsyslog) -> None:
    """Wait until as many messages are written as there are findings."""
    count = _Lines(receiver.written)
    waiting.until(lambda: count() >= FINDINGS, lambda: f"{count()} of {FINDINGS} messages arrived", _SECONDS)


class _Lines:
    """Counts the lines of a file that grows, without reading any part twice."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path, self._offset, self._number = path, 0, 0

    def __call__(self) -> int:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._offset)
            while part := file.read(1 << 20):
                self._offset += len(part)
                self._number += part.count(b"\n")
        return self._number


def _forward(directory: pathlib.Path, same: pathlib.Path, receiver: Rsyslog) -> int:
    """Let rsyslog forward the lines of a file; return the largest resident memory of it in MB."""
    work = directory / "forwarder"
    work.mkdir()
    file = work / "rsyslog.conf"
    file.write_text(f"""
global(workDirectory="{work}" defaultNetstreamDriverCAFile="{receiver.authority}")
module(load="imfile")
template(name="same" type="string" string="%msg%")
ruleset(name="forward") {{
    action(type="omfwd" target="127.0.0.1" port="{receiver.ports["tls"]}" protocol="tcp" template="same"
           TCP_Framing="octet-counted" StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="anon")
}}
input(type="imfile" file="{same}" tag="same" ruleset="forward")
""")
    program = commands.find("rsyslogd")
    if program is None:
        raise RuntimeError("rsyslogd is missing")
    process = subprocess.Popen([program, "-n", "-i", str(work / "pid"), "-f", str(file)])
    try:
        _await(receiver)
        return _peak_mb(process.pid)
    finally:
        process.kill()
        process.wait()


def _peak_mb(pid: int) -> int:
    """Return the largest resident memory of a process in MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024)
    raise RuntimeError(f"the process {pid} has ended")


def _python(work: t.Callable[..., t.Any], *arguments: t.Any) -> dict[str, t.Any]:
    """Call a function of this file in a process of its own, and return what it returns."""
    command = [sys.executable, "-m", "tests.bench.export", work.__name__, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{paths.COLLECTIONS}:{paths.ROOT}"}
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    figures: dict[str, t.Any] = json.loads(done.stdout)
    return figures


def _fill(url: str, findings: int) -> dict[str, t.Any]:
    """Record findings while a destination is registered."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, Destination, Store

    from tests.bench import _scans

    now = time.time()
    hosts = min(_HOSTS, findings)
    names = [_scans.host_name(number) for number in range(hosts)]
    capability = "file_integrity"
    with contextlib.closing(Store.open(url)) as store:
        store.register_destination(Destination(_NAME, "syslog", "127.0.0.1", coverage=False), now=now)
        run_id = store.start_run(
            hosts=names, capabilities=[capability], now=now, playbook="scan", user="alice", controller="c", version="1"
        )
        for number, name in enumerate(names):
            found = [_scans.finding(number, item, now) for item in range(number, findings, hosts)]
            # Nobody looks again, so that it does not matter what was looked at.
            result = CapabilityResult(capability, found, [])
            if any(each.refused for each in store.record_host(run_id, name, [result], now)):
                raise RuntimeError(f"a result of {name} was refused")
    return {}


def _export(url: str, port: int, ca_file: str) -> dict[str, t.Any]:
    """Export as the action findings_export does."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
    from ansible_collections.bulwark.servers.plugins.plugin_utils.export import runner, settings
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    syslog = {"address": "localhost", "port": port, "ca_file": ca_file}
    given = {"destinations": [{"name": _NAME, "coverage": False, "syslog": syslog}]}
    validated = ArgumentSpecValidator({"destinations": settings.arguments()}).validate(given)
    parsed = settings.parse(validated.validated_parameters["destinations"], {}, time.time())
    done = runner.run(parsed, lambda: Store.open(url), _SECONDS)[_NAME]
    if done.error is not None or done.refused or done.shortened:
        raise RuntimeError(f"the export failed: {done}")
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss, which a process takes over from the one that started it: that has read all messages of a round.
    return {"peak_mb": _peak_mb(os.getpid()), "processor_s": round(used.ru_utime + used.ru_stime, 2)}


if __name__ == "__main__":
    print(json.dumps({"_fill": _fill, "_export": _export}[sys.argv[1]](*json.loads(sys.argv[2]))))
