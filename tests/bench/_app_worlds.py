# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ninety days of programs on two hundred hosts, the same for the same seed.

It shares no code and no numbers with what judges it. What is assumed, and what figures that come of it are worth:

- Hosts: two distributions, ten in a hundred of another architecture, which has other digests. Half of the hosts are
  seen for 60 days, the others for 3 to 60. Then follow 30 days that are only judged on.
- Base: some 110 packages for each distribution, half of them under the same name, with one to four files each: shells
  and tools that run all day, services, daily, weekly and monthly jobs, and tools that people start now and then. Some
  packages are on a part of the hosts whatever their role is (hardware, a choice of the installer), each on its own.
  Three scripts of the configuration management in /usr/local/sbin are on all hosts.
- Five roles of very different size; the smallest has some 15 hosts. One host in eight has a second role. A role has 6
  to 14 packages of its own, at least three of which run each day, up to three optional ones, one or two products of own
  software, and shares some of 14 further packages with one or two other roles. Its share of each distribution varies,
  and it is the same role on both: two in five packages have the same name there, and six in seven programs have. One in
  ten packages exists on one distribution only.
- Upgrades: a package gets a new version every 50 days or so, which hosts install in waves of up to 12 days. As soon as
  it is released, no signed index of a dpkg repository has the version before it.
- Own software: builds every 4 to 14 days, deployed within two days, in directories of a version or in place, below /opt
  or /srv, which only root can write. New builds have new digests, and now and then a new program. Every host of a role
  has its products. What a product's own account can write is none of it.
- Odd: half of the hosts have one to three programs that people tried: tools from packages, scripts in their homes and
  in /root, installers in /tmp and /opt. Automation and maintainer scripts leave programs that are gone.
- Three packages of the base have a file without a recorded digest.
- Malware, in each world: unpackaged on one host (two of them); on a third of a role, some of it with another digest on
  each host; in place of a packaged file, changed, with edited md5sums, and as a package of the same name; edited on a
  third of a role, each until the next version is installed (an RPM that was edited has no valid signature any more);
  packaged tools that were installed on 2 hosts to a third of a role within five days, the same day on each, and ran on
  up to five days; and on one host, on some hosts, and on a third of a role before learning began. The attacker uses no
  packaged tool before learning began, and none that the host's roles have. Four in ten intrusions have a finding at
  that time. One file lies in a directory of own software (``inside``).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import random
import typing as t
from array import array

from tests.support import paths

paths.link_collection()

DAYS, LATER = 60, 30
START = 20_454  # days since the epoch: the first of January 2026
HOSTS = 200
SECONDS = 86_400
_DISTRIBUTIONS = ("debian 12", "rocky 9")
_KEY = "6d745a60"
_SYLLABLES = (
    "ba", "ce", "di", "fo", "gu", "ha", "jo", "ke", "li", "mo", "nu", "pa", "qui", "ro",
    "sa", "te", "vo", "wy", "xe", "zi", "dra", "flo", "gri", "ple", "stra", "tri",
)  # fmt: skip
# name, files that run all day
_KNOWN = {
    "bash": "bash", "coreutils": "cat", "grep": "grep", "sed": "sed", "gawk": "gawk", "findutils": "find",
    "tar": "tar", "curl": "curl", "python3": "python3", "perl": "perl", "openssh-server": "sshd", "sudo": "sudo",
    "systemd": "systemd", "cron": "cron", "util-linux": "mount", "procps": "ps", "openssl": "openssl", "gzip": "gzip",
}  # fmt: skip
_USED_BY_PEOPLE = ("vim", "wget", "git", "rsync", "lsof")
_ADMIN_TOOLS = ("strace", "tcpdump", "nmap", "gdb", "socat", "screen")
_ATTACK_TOOLS = (
    "nmap", "socat", "ncat", "hydra", "tor", "proxychains4", "sshpass", "autossh", "masscan", "tcpdump", "gdb",
    "tshark", "rclone", "john",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class File:
    """A file of software. use: how often it runs; rate: executions on a day on which it does; phase: on which days."""

    name: str
    use: str
    rate: float
    phase: int
    chance: float = 0.0
    kind: str = "program"
    place: str = "/usr/bin"
    recorded: bool = True


@dataclasses.dataclass(frozen=True)
class Software:
    """name: by distribution; "" where it does not exist. releases: days on which a new version is out.

    root: of own software, "" for a package. added: a file that comes with a later build.
    """

    names: tuple[str, str]
    files: tuple[tuple[File, ...], tuple[File, ...]]
    releases: tuple[int, ...]
    chance: float = 1.0
    root: str = ""
    versioned: bool = False


@dataclasses.dataclass
class Host:
    name: str
    distribution: int
    architecture: str
    roles: frozenset[int]
    since: int
    lag: int
    software: list[Software] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class World:
    """fleet: what was learned from. later: by host, programs and their executions afterwards, all legitimate.

    roles: of each host. malware, inside: programs of the fleet by host. findings: host, time and title.
    """

    fleet: t.Any
    later: list[list[tuple[t.Any, int]]]
    roles: dict[str, frozenset[int]]
    malware: list[tuple[str, t.Any, str]]
    inside: list[tuple[str, t.Any, str]]
    findings: list[tuple[str, float, str]]


def world(seed: int, hosts: int = HOSTS, roles: int = 5) -> World:
    return _World(seed, hosts, roles).made()


@functools.lru_cache(maxsize=400_000)
def _digest(*parts: t.Any) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _unrecorded(files: tuple[File, ...]) -> tuple[File, ...]:
    """Return files without a recorded digest of the last, unless it runs all day."""
    *others, last = files
    return (*others, dataclasses.replace(last, recorded=last.use == "all day"))


class _Rows:
    """The columns of one host, and programs without doubles."""

    def __init__(self) -> None:
        self.programs: dict[t.Any, int] = {}
        self.rows: list[dict[int, tuple[t.Collection[int], int]]] = []

    def add(self, host: int, program: t.Any, active: t.Collection[int], executions: int) -> None:
        """Note a program's days and executions, in addition to those that were noted."""
        number = self.programs.setdefault(program, len(self.programs))
        rows = self.rows[host]
        if number in rows:
            active, executions = {*active, *rows[number][0]}, executions + rows[number][1]
        rows[number] = (active, executions)

    def end(self, host: int, program: t.Any, day: int) -> None:
        """Have a program run until before a day only."""
        number = self.programs.get(program, -1)
        active, executions = self.rows[host].pop(number, ((), 0))
        before = [one for one in active if one < day]
        if before:
            self.rows[host][number] = (before, max(1, executions * len(before) // len(active)))

    def columns(self, host: int) -> tuple[array[t.Any], ...]:
        """Return the columns of one host, as the store has them."""
        rows = self.rows[host]
        times = [[(START + day) * SECONDS + 3600.0 for day in (min(a), max(a))] for a, _count in rows.values()]
        return (
            array("I", rows),
            array("d", [first for first, _last in times]),
            array("d", [last for _first, last in times]),
            array("H", [len(active) for active, _count in rows.values()]),
            array("Q", [count for _active, count in rows.values()]),
        )


class _World:
    def __init__(self, seed: int, hosts: int, roles: int) -> None:
        from ansible_collections.bulwark.servers.plugins.module_utils import _program

        self._program = _program
        self._random = random.Random(f"programs {seed}")  # noqa: S311
        self._count, self._role_count = hosts, roles
        self._names: set[str] = set()
        self._learned, self._later = _Rows(), _Rows()
        self._malware: list[tuple[str, t.Any, str]] = []
        self._inside: list[tuple[str, t.Any, str]] = []
        self._findings: list[tuple[str, float, str]] = []

    def made(self) -> World:
        base = self._base()
        everywhere = self._scripts(3)
        shared = [self._package() for _number in range(14)]
        users: list[list[int]] = [
            self._random.sample(range(self._role_count), self._random.choice((2, 2, 3))) for _software in shared
        ]
        roles = [
            self._role() + [software for software, some in zip(shared, users, strict=True) if role in some]
            for role in range(self._role_count)
        ]
        self._hosts = self._people_hosts()
        for rows in (self._learned, self._later):
            rows.rows = [{} for _host in self._hosts]
        self._admin = [self._tool(name) for name in _ADMIN_TOOLS] + [self._tool(self._name()) for _tool in range(18)]
        for number, host in enumerate(self._hosts):
            optional = [role for kind in sorted(host.roles) for role in roles[kind]]
            for software in [*base, *everywhere, *dict.fromkeys(optional)]:
                if software.names[host.distribution] and self._random.random() < software.chance:
                    host.software.append(software)
                    self._run(number, host, software)
            self._try_out(number, host)
            self._leave(number, host)
        self._intrude(roles)
        return self._whole()

    def _whole(self) -> World:
        from ansible_collections.bulwark.servers.plugins.plugin_utils.store import fleet

        hosts = [
            fleet.HostPrograms(
                host.name,
                _DISTRIBUTIONS[host.distribution],
                (START + host.since) * float(SECONDS),
                (START + DAYS) * float(SECONDS),
                DAYS - host.since,
                *t.cast("t.Any", self._learned.columns(number)),
            )
            for number, host in enumerate(self._hosts)
        ]
        programs = list(self._later.programs)
        later = [[(programs[number], count) for number, (_active, count) in rows.items()] for rows in self._later.rows]
        return World(
            fleet.Fleet(list(self._learned.programs), hosts),
            later,
            {host.name: host.roles for host in self._hosts},
            self._malware,
            self._inside,
            self._findings,
        )

    # Software

    def _name(self) -> str:
        while True:
            name = "".join(self._random.choices(_SYLLABLES, k=self._random.randint(2, 4)))
            if name not in self._names:
                self._names.add(name)
                return name

    def _releases(self, every: float) -> tuple[int, ...]:
        days, day = [], -60.0
        while day < DAYS + LATER:
            day += self._random.uniform(0.3, 1.7) * every
            days.append(int(day))
        return tuple(days)

    def _file(self, use: str, name: str = "") -> File:
        rates = {"all day": (5, 200), "service": (1, 2), "daily": (1, 4), "weekly": (1, 2), "monthly": (1, 2)}
        low, high = rates.get(use, (1, 8))
        return File(
            name or self._name(),
            use,
            math.exp(self._random.uniform(math.log(low), math.log(high))),
            self._random.randrange(30),
            self._random.uniform(0.004, 0.06),
            self._random.choice(("program", "program", "script")),
            self._random.choice(("/usr/bin", "/usr/sbin", "/usr/lib")),
        )

    def _package(self, uses: t.Sequence[str] = (), name: str = "", chance: float = 1.0, same: float = 0.4) -> Software:
        """Return a package of both distributions, or of one. uses: of its files; by default one to five by chance."""
        if not uses:
            kinds = ("all day", "service", "daily", "weekly", "monthly", "now and then")
            uses = self._random.choices(kinds, (2, 3, 3, 2, 1, 4), k=self._random.choice((1, 1, 2, 2, 3, 5)))
        name = name or self._name()
        files = [self._file(use, name if not number else "") for number, use in enumerate(uses)]
        there = [
            dataclasses.replace(
                file,
                name=file.name if self._random.random() < 6 / 7 else self._name(),
                place=file.place if self._random.random() < 0.7 else "/usr/libexec",
            )
            for file in files
        ]
        if self._random.random() < same:
            other = name
        else:
            other = self._random.choice((f"{name}-server", f"lib{name}", f"{name}-common", self._name()))
        names = (name, other)
        if same < 1 and self._random.random() < 0.1:
            names = self._random.choice(((name, ""), ("", other)))
        return Software(names, (tuple(files), tuple(there)), self._releases(50), chance)

    def _base(self) -> list[Software]:
        base = [self._package(["all day"], name, same=1) for name in _KNOWN]
        base += [self._package(["now and then"], name, same=1) for name in _USED_BY_PEOPLE]
        base += [self._package(same=0.5) for _number in range(85)]
        base += [self._package(chance=self._random.uniform(0.15, 0.85)) for _number in range(8)]
        for number in self._random.sample(range(len(base)), 3):
            files, there = base[number].files
            base[number] = dataclasses.replace(base[number], files=(_unrecorded(files), _unrecorded(there)))
        return base

    def _scripts(self, count: int) -> list[Software]:
        """Return scripts of the configuration management, each like a product of one file."""
        return [
            Software(
                ("local", "local"),
                ((file, file)),
                self._releases(self._random.choice((40, 200))),
                root="/usr/local/sbin",
            )
            for file in (
                (dataclasses.replace(self._file(self._random.choice(("daily", "all day"))), rate=4.0, kind="script"),)
                for _number in range(count)
            )
        ]

    def _product(self) -> Software:
        name = self._name()
        root = f"{self._random.choice(('/opt', '/srv'))}/{name}"
        uses = ["service", "all day", *self._random.choices(("daily", "weekly", "now and then"), k=3)]
        files = tuple(self._file(use) for use in uses[: self._random.randint(2, 5)])
        every = self._random.uniform(4, 14)
        return Software(
            (name, name), (files, files), self._releases(every), root=root, versioned=self._random.random() < 0.6
        )

    def _role(self) -> list[Software]:
        needed = [self._package([self._random.choice(("service", "all day", "daily"))], same=0.7) for _ in range(3)]
        needed = [software if all(software.names) else self._package(["service"], same=1) for software in needed]
        needed += [self._package() for _number in range(self._random.randint(3, 11))]
        optional = [
            self._package(chance=self._random.uniform(0.3, 0.8)) for _number in range(self._random.randrange(4))
        ]
        products = [self._product() for _number in range(self._random.choice((1, 1, 2)))]
        return [*needed, *optional, *products, *self._scripts(self._random.randrange(3))]

    def _tool(self, name: str) -> Software:
        return self._package(["now and then"], name, same=1)

    # Hosts

    def _people_hosts(self) -> list[Host]:
        weights = [0.36, 0.26, 0.18, 0.12, 0.08]
        weights = [weights[role % 5] * self._random.uniform(0.9, 1.1) for role in range(self._role_count)]
        shares = [self._random.uniform(0.3, 0.85) for _role in weights]
        hosts = []
        for number in range(self._count):
            (role,) = self._random.choices(range(self._role_count), weights)
            kinds = {role}
            if self._random.random() < 1 / 8:
                kinds.add(self._random.randrange(self._role_count))
            days = DAYS if self._random.random() < 0.5 else self._random.randint(3, DAYS)
            hosts.append(
                Host(
                    f"h{number:05}",
                    int(self._random.random() >= shares[role]),
                    "arm" if self._random.random() < 0.1 else "amd",
                    frozenset(kinds),
                    DAYS - days,
                    self._random.randrange(13),
                )
            )
        return hosts

    # Programs

    def _active(self, file: File, since: int, until: int) -> t.Sequence[int]:
        """Return the days from since to before until on which a file runs."""
        if file.use in ("all day", "service", "daily"):
            return range(since, until)
        if file.use == "weekly":
            return [day for day in range(since, until) if day % 7 == file.phase % 7]
        if file.use == "monthly":
            return [day for day in range(since, until) if day % 30 == file.phase]
        days: list[int] = []
        day = since - 1
        while True:
            day += 1 + int(math.log(1 - self._random.random()) / math.log(1 - file.chance))
            if day >= until:
                return days
            days.append(day)

    def _run(self, number: int, host: Host, software: Software) -> None:
        lag = min(host.lag, 2) if software.root else host.lag
        out = [-1000, *software.releases, 1000]
        for file_number, file in enumerate(software.files[host.distribution]):
            for version in range(len(out) - 1):
                first_build = version % 7 == 6 and file_number == len(software.files[host.distribution]) - 1
                if software.versioned and first_build:
                    continue  # this build comes without the last program
                begin, end = out[version] + lag, out[version + 1] + lag
                superseded = out[version + 1]
                for rows, low, high in ((self._learned, host.since, DAYS), (self._later, DAYS, DAYS + LATER)):
                    low, high = max(low, begin), min(high, end)
                    active = self._active(file, low, high) if low < high else ()
                    is_dpkg = not host.distribution and not software.root
                    parts = (
                        (
                            (True, [day for day in active if day < superseded]),
                            (False, [day for day in active if day >= superseded]),
                        )
                        if is_dpkg and active and active[-1] >= superseded
                        else ((True, active),)
                    )
                    for is_listed, days in parts:
                        if days:
                            program = self._of(host, software, file, version, is_listed)
                            count = max(len(days), int(len(days) * file.rate * self._random.uniform(0.7, 1.3)))
                            rows.add(number, program, days, count)

    def _of(self, host: Host, software: Software, file: File, version: int, is_listed: bool = True) -> t.Any:
        name = software.names[host.distribution]
        interpreter = "/usr/bin/bash" if file.kind == "script" else ""
        architecture = host.architecture if file.kind == "program" else ""
        if software.root:
            place = software.root
            if place != "/usr/local/sbin":
                place += f"/releases/1.{version}.{version % 3}/bin" if software.versioned else "/bin"
            return self._program.Program(
                file.kind,
                f"{place}/{file.name}",
                interpreter=interpreter,
                sha256=_digest(software.root, file.name, version, architecture),
                verification=self._program.UNPACKAGED,
                owner="root",
            )
        return self._packaged(
            host,
            name,
            f"{file.place}/{file.name}",
            f"{1 + version}.0-1",
            _digest(_DISTRIBUTIONS[host.distribution], name, file.name, version, architecture),
            kind=file.kind,
            interpreter=interpreter,
            verification=self._program.VERIFIED if file.recorded else self._program.NO_DIGEST,
            is_listed=is_listed,
        )

    def _packaged(
        self, host: Host, name: str, path: str, version: str, sha256: str, is_listed: bool = True, **more: t.Any
    ) -> t.Any:
        origin = _KEY if host.distribution else "signed" if is_listed else ""
        return self._program.Program(
            path=path,
            sha256=sha256,
            manager="rpm" if host.distribution else "dpkg",
            package=name,
            version=version,
            origin=origin,
            owner="root",
            **more,
        )

    def _unpackaged(self, path: str, sha256: str, kind: str = "program", **more: t.Any) -> t.Any:
        facts = {"owner": "root", "verification": self._program.UNPACKAGED, **more}
        return self._program.Program(kind, path, sha256=sha256, **facts)

    def _try_out(self, number: int, host: Host) -> None:
        """Have people try programs, in what is learned from and later."""
        for rows, low, high in ((self._learned, host.since, DAYS), (self._later, DAYS, DAYS + LATER)):
            if self._random.random() >= 0.5 * (high - low) / DAYS:
                continue
            for _time in range(self._random.randint(1, 3)):
                day = self._random.randrange(low, high)
                active = sorted({day, *(self._random.randrange(low, high) for _ in range(self._random.randrange(3)))})
                rows.add(number, self._odd(host), active, self._random.randint(1, 6) * len(active))

    def _odd(self, host: Host) -> t.Any:
        if self._random.random() < 0.7:
            weights = [1 / (1 + place) for place in range(len(self._admin))]
            (tool,) = self._random.choices(self._random.sample(self._admin, len(self._admin)), weights)
            return self._of(host, tool, tool.files[host.distribution][0], 1)
        name = f"{self._name()}.sh"
        user = f"user{self._random.randrange(6)}"
        place, more = self._random.choice(
            (
                ("/root", {}),
                (f"/home/{user}/bin", {"owner": user, "writers": (user,)}),
                ("/tmp", {"owner": user, "writers": (user,)}),
                (f"/opt/{self._name()}", {}),
            )
        )
        return self._unpackaged(f"{place}/{name}", _digest(name), "script", interpreter="/usr/bin/bash", **more)

    def _leave(self, number: int, host: Host) -> None:
        """Have automation and package managers leave programs that are gone when a look comes."""
        for _time in range(self._random.randint(1, 4)):
            day = self._random.randrange(host.since, DAYS)
            path = self._random.choice(
                (
                    f"/root/.ansible/tmp/ansible-tmp-{self._random.random()}-{day}/AnsiballZ_setup.py",
                    f"/var/lib/dpkg/info/{self._random.choice(host.software).names[0]}.postinst",
                )
            )
            program = self._program.Program("script", path, interpreter="/usr/bin/python3", content="gone")
            self._learned.add(number, program, [day], 1)

    # Malware

    def _intrude(self, roles: list[list[Software]]) -> None:
        """Have each kind of malware once, on hosts of different roles where it is on many."""
        order = self._random.sample(range(self._role_count), self._role_count)
        for kind in ("one host", "one host, again"):
            self._drop(kind, [self._any_host()], late=True)
        self._drop("third of a role", self._third(order[0]), late=True)
        self._drop("before, one host", [self._any_host()], late=False)
        self._drop(
            "before, some hosts", self._random.sample(range(self._count), self._random.randint(2, 5)), late=False
        )
        self._drop("before, third of a role", self._third(order[1]), late=False)
        for kind in ("changed", "edited", "built"):
            self._replace(kind, [self._any_host()])
        self._replace("edited", self._third(order[2]))
        some = self._third(order[3])
        self._use_packaged(some[: self._random.randint(2, max(2, len(some)))])
        for host in self._random.sample(
            [n for n, host in enumerate(self._hosts) if order[4 % len(order)] in host.roles], 1
        ):
            self._hide_inside(host)

    def _any_host(self) -> int:
        return self._random.randrange(self._count)

    def _third(self, role: int) -> list[int]:
        hosts = [number for number, host in enumerate(self._hosts) if role in host.roles]
        return self._random.sample(hosts, max(2, len(hosts) // 3))

    def _begin(self, host: Host, around: int | None) -> int:
        if around is None:
            return host.since
        return min(DAYS - 1, max(host.since, around + self._random.randrange(4)))

    def _put(self, kind: str, number: int, program: t.Any, begin: int, each_day: bool = True) -> None:
        host = self._hosts[number]
        active = [day for day in range(begin, DAYS) if each_day or self._random.random() < 0.2] or [begin]
        self._learned.add(number, program, active, len(active) * self._random.randint(1, 30))
        self._malware.append((host.name, program, kind))

    def _drop(self, kind: str, numbers: list[int], late: bool) -> None:
        names = [self._name() for _file in range(self._random.randint(1, 4))]
        place = self._random.choice(
            ("/tmp", "/var/tmp", "/dev/shm", "/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/lib", "/root",
             f"/opt/{self._name()}/bin", f"/usr/share/{self._name()}", "/var/lib/.cache", "/etc/cron.daily")
        )  # fmt: skip
        differs = self._random.random() < 0.3
        each_day = self._random.random() < 0.7
        around = self._random.randint(5, DAYS - 3) if late else None
        self._find(numbers, around)
        for number in numbers:
            begin = self._begin(self._hosts[number], around)
            for name in names:
                writers = ("www-data",) if self._random.random() < 0.2 else ()
                program = self._unpackaged(
                    f"{place}/{name}",
                    _digest("malware", name, number if differs else ""),
                    self._random.choice(("program", "program", "script", "library"))
                    if len(numbers) == 1
                    else "program",
                    writers=writers,
                )
                self._put(kind, number, program, begin, each_day)

    def _find(self, numbers: list[int], around: int | None) -> None:
        if around is not None and self._random.random() < 0.4:
            for number in numbers:
                time = (START + self._begin(self._hosts[number], around)) * float(SECONDS)
                self._findings.append((self._hosts[number].name, time, "Web server started a shell"))

    def _replace(self, kind: str, numbers: list[int]) -> None:
        """Put other content in place of a packaged file that these hosts run each day."""
        around = self._random.randint(5, DAYS - 3) if self._random.random() < 0.7 else None
        fit = [
            software
            for software in self._hosts[numbers[0]].software
            if all(software in self._hosts[number].software for number in numbers)
            and all(software.names) and not software.root
            and all(files[0].use in ("service", "all day", "daily") and files[0].recorded for files in software.files)
        ]  # fmt: skip
        software = self._random.choice(fit)
        for number in numbers:
            host = self._hosts[number]
            file, begin = software.files[host.distribution][0], self._begin(host, around)
            out = [-1000, *software.releases, 1000]
            version = sum(day + host.lag <= begin for day in software.releases)
            end = min(DAYS, out[version + 1] + host.lag)
            legitimate = self._of(host, software, file, version)
            for program in (legitimate, self._of(host, software, file, version, is_listed=False)):
                self._learned.end(number, program, begin)
            more = {"sha256": _digest("malware", legitimate.path, host.distribution)}
            if kind == "changed":
                more["verification"] = self._program.MODIFIED
            elif host.distribution:
                more["origin"] = ""
            if kind == "built":
                more |= {"origin": "", "version": self._random.choice((legitimate.version, "99.0-1"))}
            active = range(begin, end)
            self._learned.add(number, program := legitimate._replace(**more), active, 10 * len(active))
            self._malware.append((host.name, program, f"{kind} package"))

    def _use_packaged(self, numbers: list[int]) -> None:
        around = self._random.randint(5, DAYS - 8)
        numbers = [number for number in numbers if self._hosts[number].since <= around] or [self._any_host()]
        pool = [self._tool(name) for name in _ATTACK_TOOLS] + [self._tool(self._name()) for _tool in range(10)]
        known = {tool.names[0]: tool for tool in self._admin}
        tools = [known.get(tool.names[0], tool) for tool in self._random.sample(pool, self._random.randint(3, 6))]
        self._find(numbers, around)
        for number in numbers:
            host = self._hosts[number]
            begin = min(DAYS - 1, max(host.since, around + self._random.randrange(5)))
            for tool in tools:
                program = self._of(host, tool, tool.files[host.distribution][0], 1)
                active = sorted({begin, *(min(DAYS - 1, begin + self._random.randrange(5)) for _day in range(4))})
                self._learned.add(number, program, active, self._random.randint(1, 30))
                self._malware.append((host.name, program, "packaged tools"))

    def _hide_inside(self, number: int) -> None:
        host = self._hosts[number]
        product = next(one for one in host.software if one.root and one.root != "/usr/local/sbin")
        version = sum(day + min(host.lag, 2) < DAYS for day in product.releases)
        sibling = self._of(host, product, product.files[0][0], version)
        path = f"{sibling.path.rpartition('/')[0]}/{self._name()}"
        program = self._unpackaged(path, _digest("malware", path))
        begin = self._random.randint(host.since, DAYS - 1)
        self._learned.add(number, program, list(range(begin, DAYS)), 20)
        self._inside.append((host.name, program, "inside own software"))
