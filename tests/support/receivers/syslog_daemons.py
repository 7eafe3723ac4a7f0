# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real syslog receivers, rsyslog and syslog-ng, and what they parsed of the messages that they were sent.

    with Rsyslog(tmp_path, authority) as daemon:
        send_to(daemon.ports["tls"])
        daemon.await_messages(1)

A test says ``pytest.mark.requires(*Rsyslog.NEEDS)``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import typing as t

from tests.support import commands, waiting
from tests.support.receivers import syslog_ng_program
from tests.support.receivers.certificates import Authority, Issued

_SECONDS = 60
# Below the ports that the kernel gives to clients, so that nobody takes one before the daemon has it. Each worker of
# the tests has ports of its own, for the same reason.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
_WORKERS = 16


class Message(t.NamedTuple):
    """What a receiver parsed. data: the parameters of the structured data, by the SD-ID."""

    priority: int
    time: str
    host: str
    app_name: str
    message_id: str
    data: dict[str, dict[str, str]]
    text: str


class Daemon:
    """A receiver's process; a context manager. ports: by transport. The ports stay the same after a restart."""

    NEEDS: t.ClassVar[tuple[str, ...]] = ()
    TRANSPORTS: t.ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        directory: pathlib.Path,
        authority: Authority,
        issued: Issued | None = None,
        *,
        asks_clients: bool = False,
        largest: int | None = None,
    ) -> None:
        """Prepare a receiver.

        issued: its certificate, without it one for ``localhost``. asks_clients: refuse those without a certificate of
        the authority. largest: bytes of a message that it takes, in place of its default.
        """
        self.directory = directory
        self.authority = authority.file
        self.issued = issued or authority.issue("localhost")
        self.asks_clients = asks_clients
        self.largest = largest
        self.ports = {transport: free_port(transport) for transport in self.TRANSPORTS}
        self.written = directory / "messages.json"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's id; AssertionError while it does not run."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._drop_half_line()
        (self.directory / "daemon.conf").write_text(self.configuration())
        with (self.directory / "daemon.out").open("ab") as output:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment()
            )
        waiting.until(self._accepts, self._problem, _SECONDS)

    def kill(self) -> None:
        """Kill it, without any chance to finish what it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it in order: it writes what it has."""
        self._end(signal.SIGTERM)

    def messages(self) -> list[Message]:
        """Return what it has written so far; a line that is not whole yet is none."""
        written = self.written.read_bytes() if self.written.exists() else b""
        lines = written[: written.rfind(b"\n") + 1].split(b"\n")[:-1]
        # What is no UTF-8 was not sent as a syslog message.
        return [self.parsed(json.loads(line.decode(errors="replace"))) for line in lines]

    def await_messages(self, number: int) -> list[Message]:
        """Return its messages once it has written so many; AssertionError if it does not."""
        self.await_lines(number)
        return self.messages()

    def await_lines(self, number: int) -> None:
        """Return once it has written so many lines; AssertionError if it does not."""
        waiting.until(lambda: self._count() >= number, lambda: f"{self._count()} of {number} arrived", _SECONDS)

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def configuration(self) -> str:
        raise NotImplementedError

    def parsed(self, fields: t.Mapping[str, t.Any]) -> Message:
        raise NotImplementedError

    def _drop_half_line(self) -> None:
        """Remove what a killed receiver did not write whole."""
        if self.written.exists():
            written = self.written.read_bytes()
            os.truncate(self.written, written.rfind(b"\n") + 1)

    def _count(self) -> int:
        return self.written.read_bytes().count(b"\n") if self.written.exists() else 0

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(_SECONDS)
            self._process = None

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._problem()
        sockets = _sockets(self._process.pid)
        return all(_listens(port, sockets) for transport, port in self.ports.items() if transport != "udp")

    def _problem(self) -> str:
        return f"the receiver did not start: {(self.directory / 'daemon.out').read_text(errors='replace')}"


class Rsyslog(Daemon):
    """rsyslog with its default limits. It leaves tabs as they are, which it would write as ``#011``."""

    NEEDS = ("command:rsyslogd", "rsyslog:gnutls", "rsyslog:relp")
    TRANSPORTS = ("tls", "tcp", "udp", "relp", "relp_tls")

    def command(self) -> list[str]:
        program = commands.find("rsyslogd")
        assert program is not None
        return [program, "-n", "-i", str(self.directory / "pid"), "-f", str(self.directory / "daemon.conf")]

    def configuration(self) -> str:
        mode = "x509/certvalid" if self.asks_clients else "anon"
        size = f'maxMessageSize="{self.largest}"' if self.largest else ""
        frame = f'(load="imtcp" maxFrameSize="{self.largest}")' if self.largest else '(load="imtcp")'
        # Once it has a certificate, imrelp asks every client for one.
        relp_tls = (
            f'tls="on" tls.caCert="{self.authority}" tls.myCert="{self.issued.certificate}" '
            f'tls.myPrivKey="{self.issued.key}" tls.authMode="certvalid"'
        )
        return f"""
global(workDirectory="{self.directory}" {size} parser.escapeControlCharacterTab="off"
       defaultNetstreamDriverCAFile="{self.authority}"
       defaultNetstreamDriverCertFile="{self.issued.certificate}"
       defaultNetstreamDriverKeyFile="{self.issued.key}")
module{frame}
module(load="imudp")
module(load="imrelp")
module(load="mmpstrucdata")
template(name="parsed" type="string" string="%jsonmesg%\\n")
ruleset(name="parse") {{
    action(type="mmpstrucdata" sd_name.lowercase="off")
    action(type="omfile" file="{self.written}" template="parsed")
}}
input(type="imtcp" address="127.0.0.1" port="{self.ports["tls"]}" ruleset="parse"
      streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{mode}")
input(type="imtcp" address="127.0.0.1" port="{self.ports["tcp"]}" ruleset="parse")
input(type="imudp" address="127.0.0.1" port="{self.ports["udp"]}" ruleset="parse")
input(type="imrelp" address="127.0.0.1" port="{self.ports["relp"]}" ruleset="parse")
input(type="imrelp" address="127.0.0.1" port="{self.ports["relp_tls"]}" ruleset="parse" {relp_tls})
"""

    def parsed(self, fields: t.Mapping[str, t.Any]) -> Message:
        return Message(
            int(fields["pri"]),
            fields["timereported"],
            fields["hostname"],
            fields["app-name"],
            fields["msgid"],
            (fields.get("$!") or {}).get("rfc5424-sd", {}),
            fields["msg"],
        )


class SyslogNg(Daemon):
    """syslog-ng, which does not need to be installed; its packages conflict with rsyslog's."""

    NEEDS = syslog_ng_program.NEEDS
    TRANSPORTS = ("tls", "tcp", "udp")

    def command(self) -> list[str]:
        files = {"-f": "daemon.conf", "-R": "persist", "-c": "control", "-p": "pid"}
        options = [part for option, name in files.items() for part in (option, str(self.directory / name))]
        return [*syslog_ng_program.command(), "-F", "--no-caps", *options]

    def environment(self) -> dict[str, str]:
        return syslog_ng_program.environment()

    def configuration(self) -> str:
        verify = "required-trusted" if self.asks_clients else "optional-untrusted"
        size = f"log-msg-size({self.largest});" if self.largest else ""
        tls = (
            f'key-file("{self.issued.key}") cert-file("{self.issued.certificate}") peer-verify({verify}) '
            f'ca-file("{self.authority}")'
        )
        keys = " ".join(f"--key {key}" for key in ("PRI", "ISODATE", "HOST", "PROGRAM", "MSGID", "MSG", "'.SDATA.*'"))
        return f"""
@version: 4.8
options {{ keep-hostname(yes); use-dns(no); dns-cache(no); stats(freq(0)); frac-digits(3); time-zone("UTC"); {size} }};
source all {{
    syslog(ip("127.0.0.1") port({self.ports["tls"]}) transport("tls") tls({tls}));
    syslog(ip("127.0.0.1") port({self.ports["tcp"]}) transport("tcp"));
    syslog(ip("127.0.0.1") port({self.ports["udp"]}) transport("udp"));
}};
destination parsed {{ file("{self.written}" template("$(format-json {keys})\\n")); }};
log {{ source(all); destination(parsed); flags(flow-control); }};
"""

    def parsed(self, fields: t.Mapping[str, t.Any]) -> Message:
        return Message(
            int(fields["PRI"]),
            fields["ISODATE"],
            fields["HOST"],
            fields["PROGRAM"],
            fields["MSGID"],
            fields.get("_SDATA", {}),
            fields.get("MSG", ""),
        )


def free_port(transport: str = "tcp") -> int:
    """Return a port of the loopback that nobody listens on, and that neither this worker nor another got lately."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    while True:
        port = next(_ports())
        with socket.socket(socket.AF_INET, kind) as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@functools.cache
def _ports() -> t.Iterator[int]:
    """Return this worker's ports, one after the other, from any of them on: another run of the tests has them too."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    ports = range(_FIRST_PORT + worker, _LAST_PORT, _WORKERS)
    first = random.randrange(len(ports))  # noqa: S311 - which port it is need not be secret
    return itertools.cycle([*ports[first:], *ports[:first]])


def _sockets(pid: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    links = []
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(descriptor.readlink()))
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def _listens(port: int, sockets: t.Container[str]) -> bool:
    """Return whether one of these sockets listens, without a connection that the receiver would log.

    Another process may have taken the port first; the daemon then goes on without it.
    """
    local = re.compile(rf"0100007F:{port:04X} \S+ 0A (?:\S+ +){{5}}(\d+) ")
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()
    return any(row[1] in sockets for row in map(local.search, rows) if row)
