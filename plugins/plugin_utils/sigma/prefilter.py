# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule can't match without, so that hosts look only at the few rules that an event may match.

The answer for a rule is a list of ``[kind, field, [text...]]``; an event that it matches has one of the texts. Kinds:
``equals`` (the field is the text), ``base`` (what comes after the field's last slash is), ``gram`` (four characters in
the field, which are looked up for all rules at once) and ``part`` (fewer than four, each of them looked for). All in
lower case. The field ``*`` is all fields together. ``None`` when there is nothing of the kind, and the rule is always
tried.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import regex_literals

Node = list[t.Any]
# (kind, field, text): one thing that can be looked up.
_Key = tuple[str, str, str]
_Clause = frozenset[_Key]

GRAM = 4
# Many words have fewer characters.
_LONG = 24
# Of one set of fields; more of them tell little more.
_MOST_CLAUSES = 3
# What so many events have tells little beside what is rarer.
_COMMON = 0.3
# Ordinary command lines, to tell rare groups of characters from those that most lines have.
_ORDINARY = """\
/bin/sh -c /usr/bin/python3 /usr/lib/update-notifier/apt-check --human-readable
/usr/bin/dpkg --status-fd 12 --no-triggers --unpack --auto-deconfigure /var/cache/apt/archives/libssl3_amd64.deb
apt-get -y -o Dpkg::Options::=--force-confold install --no-install-recommends openssh-server
/usr/bin/python3 /root/.ansible/tmp/ansible-tmp-1760000000.1-12-345/AnsiballZ_command.py
/usr/lib/systemd/systemd-executor --deserialize 64 --log-level info --log-target journal-or-kmsg
systemctl --no-pager --property=ActiveState show nginx.service
/usr/sbin/sshd -D -R -o LogLevel=VERBOSE
runc --root /var/run/docker/runtime-runc/moby --log /run/containerd/log.json --log-format json create --bundle /run
gcc -DHAVE_CONFIG_H -I. -I../include -O2 -g -Wall -fPIC -c src/main.c -o build/main.o
cc1 -quiet -imultiarch x86_64-linux-gnu -D_FORTIFY_SOURCE=2 main.c -dumpbase main.c -mtune=generic -o /tmp/cc1.s
make -C /usr/src/linux-headers modules_install INSTALL_MOD_PATH=/tmp/build
git -c core.quotepath=false log --pretty=format:%H -n 20 --name-only
curl -fsSL https://example.org/releases/latest/download/file.tar.gz -o /tmp/file.tar.gz
tar --extract --gzip --file /var/backups/etc.tar.gz --directory /etc --no-same-owner
find /var/log -type f -name *.log -mtime +7 -exec gzip {} ;
grep -r --include=*.conf -i listen /etc/nginx/sites-enabled
sed -i s/^#PermitRootLogin.*/PermitRootLogin no/ /etc/ssh/sshd_config
bash -c for i in 1 2 3; do echo $i >> /tmp/out.txt; done 2>&1 | tee -a /var/log/run.log
sudo -u www-data php /var/www/html/cron.php --quiet
/usr/sbin/logrotate /etc/logrotate.conf
psql -h 127.0.0.1 -U postgres -d app -c select count(*) from users where id = 1
java -Xmx2g -Djava.io.tmpdir=/var/tmp -cp /opt/app/lib/server.jar org.example.Main --config /etc/app/server.yml
node /usr/local/bin/npm install --production --prefix /srv/app
rsync -avz -e ssh --delete /home/user/data/ backup@10.0.0.5:/srv/backup/
useradd --system --no-create-home --shell /usr/sbin/nologin app
mount -t tmpfs -o size=64m,mode=0700 tmpfs /run/user/1000
ps -eo pid,ppid,user,args --sort=-rss
cat /proc/sys/net/ipv4/ip_forward
pip install --quiet --index-url https://pypi.example.com/simple --requirement requirements.txt --target /opt/app
wget -q https://download.example.net/pub/release/x86_64/package.rpm -P /tmp/build
chmod -R u+rwX,go-w /srv/www; chown -R www-data:www-data /var/www/html
ssh -o BatchMode=yes -p 22 deploy@web1.example.com sudo systemctl restart app.service
docker run --rm -it -v /data:/data --name app registry.example.com/team/app:latest sh -c env
kubectl get pods --namespace kube-system --output json
openssl x509 -in /etc/ssl/certs/server.pem -noout -enddate
awk -F: {print $1} /etc/passwd
bash /opt/scripts/backup.sh --verbose --dry-run | tee /var/log/backup.log
rm -rf /var/lib/apt/lists/* /tmp/build-1234
mysqldump --single-transaction --user=backup app | gzip -c > /srv/backup/app.sql.gz
iptables -w -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
ip -j addr show dev eth0
test -f /etc/default/locale -a -r /root/.bashrc
"""
# The same of Windows. They count apart, so that neither makes the other's groups look rarer.
_ORDINARY_ON_WINDOWS = r"""\
C:\Windows\System32\svchost.exe -k netsvcs -p -s Schedule
C:\Windows\System32\cmd.exe /c C:\Windows\system32\whoami.exe /all
C:\Windows\SysWOW64\WindowsPowerShell\v1.0\powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\x.ps1
C:\Windows\System32\rundll32.exe C:\Windows\System32\shell32.dll,Control_RunDLL
C:\Program Files\Google\Chrome\Application\chrome.exe --type=renderer --lang=en-US
C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe /ua /installsource scheduler
C:\Users\user\AppData\Local\Microsoft\Teams\current\Teams.exe
C:\Users\user\AppData\Local\Temp\setup.tmp
C:\Users\user\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\desktop.ini
C:\Users\Public\Downloads\file.txt
C:\ProgramData\Microsoft\Windows Defender\Platform\MsMpEng.exe
C:\Windows\explorer.exe /factory
\??\C:\Windows\system32\conhost.exe 0xffffffff -ForceV1
C:\Windows\Microsoft.NET\Framework64\v4.0.30319\ngen.exe install System.Management.Automation.dll
C:\Windows\System32\drivers\etc\hosts
C:\Windows\WinSxS\amd64_microsoft-windows\TiWorker.exe -Embedding
HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\OneDrive
HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows NT\CurrentVersion\Image File Execution Options
HKLM\System\CurrentControlSet\Services\WinRM\Parameters\Start
HKU\S-1-5-21-1-2-3-1001\Software\Microsoft\Windows\CurrentVersion\Explorer\Advanced
NT AUTHORITY\SYSTEM Microsoft-Windows-Security-Auditing Microsoft Corporation Operating System
C:\Windows\System32\ntdll.dll|C:\Windows\System32\KERNELBASE.dll|C:\Windows\System32\kernel32.dll
"""
# Programs that start so often that knowing their name says little.
_ORDINARY_PROGRAMS = frozenset(
    ("bash", "cat", "dash", "find", "grep", "ls", "perl", "python", "python3", "sed", "sh", "sudo", "systemctl")
)
# Fields with few different values.
_FEW_VALUES = {
    "type": 0.2,
    "Type": 0.2,
    "Action": 0.3,
    "Initiated": 0.6,
    "Success": 0.5,
    "Outcome": 0.5,
    "Method": 0.4,
    "Service": 0.3,
    "Program": 0.1,
    "User": 0.4,
    "AuditUser": 0.4,
    "UserKnown": 0.5,
    "Terminal": 0.3,
    "Result": 0.5,
}
# What every reader has at hand of an event. Others cost it something, and are asked only where a rule has nothing else.
_AT_HAND = frozenset(
    ("Image", "CommandLine", "TargetFilename", "DestinationIp", "DestinationPort", "Syscall", "Action", "Type", "Op")
    + ("Outcome", "SourceIp", "Program", "Message", "type", "a0", "a1", "name", "exe", "syscall")
)
_OTHERS = 10
# Fields that few events have, of which that alone is told quickly; beside others it tells nothing.
_SELDOM_THERE = frozenset(("CalledAs",))
_SELDOM = 0.9
# Stands for all fields at once, as module_utils/sigma/fields.ALL_FIELDS.
_ANY_FIELD = "*"
_RARE = 0.0005
_ORDINARY_PROGRAM = 0.05
# By length, of what none of the ordinary lines has.
_UNSEEN = {1: 0.3, 2: 0.05, 3: 0.01, 4: 0.002}
# Characters that are in arguments of shells, and in few others.
_SHELL = frozenset("|;<>`&")
_LINES = _ORDINARY.lower().splitlines()
_WINDOWS_LINES = _ORDINARY_ON_WINDOWS.lower().splitlines()


def prefilter(condition: Node) -> list[list[t.Any]] | None:
    """Return what an event that satisfies a condition has, as the module's docstring says."""
    found = _Finder(exact=False).clauses(condition)
    return _listed(_quick(min(found, key=_cost))) if found else None


def needed(condition: Node) -> list[list[list[t.Any]]]:
    """Return all that such an event has, as exact as it is known: for each set of fields that is looked at, the rarest.

    Each is as what ``prefilter`` returns, but for ``gram``: its texts are pairs of the group and of the whole text. And
    there are two more kinds: ``word`` (so many characters without a blank among them) and ``exists`` (the field has any
    value; of ``_SELDOM_THERE``).
    """
    found = sorted(dict.fromkeys(_Finder(exact=True).clauses(condition)), key=_cost)
    by_fields: dict[frozenset[str], list[_Clause]] = {}
    for clause in found:
        known = by_fields.setdefault(frozenset(field for _kind, field, _text in clause), [])
        if not known or (len(known) < _MOST_CLAUSES and _cost(clause) < _COMMON):
            known.append(clause)
    return [_listed(_exact(clause)) for clauses in by_fields.values() for clause in clauses]


def _quick(clause: _Clause) -> set[tuple[str, str, t.Any]]:
    return {(kind, field, _gram(text) if kind == "gram" else text) for kind, field, text in clause}


def _exact(clause: _Clause) -> set[tuple[str, str, t.Any]]:
    return {(kind, field, (_gram(text), text) if kind == "gram" else text) for kind, field, text in clause}


def _listed(clause: t.Iterable[tuple[str, str, t.Any]]) -> list[list[t.Any]]:
    kinds: dict[tuple[str, str], list[t.Any]] = {}
    for kind, field, text in sorted(clause):
        kinds.setdefault((kind, field), []).append(text)
    return [[kind, field, texts] for (kind, field), texts in kinds.items()]


class _Finder:
    """Finds clauses. exact: also such as only the sieve of the hosts understands."""

    def __init__(self, exact: bool) -> None:
        self._exact = exact

    def clauses(self, node: Node) -> list[_Clause]:
        """Return clauses that all hold when the node does: of each, one key is in the event."""
        kind = node[0]
        if kind == "and":
            return [clause for part in node[1] for clause in self.clauses(part)]
        if kind == "or":
            return _either([self.clauses(part) for part in node[1]])
        if self._exact and kind in ("text", "regex") and node[1] in _SELDOM_THERE:
            return [_exists(node[1])]
        if kind == "text":
            return self._text(node[1], node[2].removesuffix("_cased"), node[3])
        if kind == "regex":
            return _either([self._pattern([node[1]], *pattern) for pattern in node[2]])
        if kind == "words":
            return _either([self._contained(node[1] or [_ANY_FIELD], text, node[2]) for text in node[3]])
        if kind == "patterns":
            return _either([self._pattern(node[1] or [_ANY_FIELD], *pattern) for pattern in node[2]])
        return []

    def _text(self, field: str, test: str, values: t.Sequence[str]) -> list[_Clause]:
        if test == "equals":
            return [frozenset(("equals", field, value.lower()) for value in values)]
        branches = []
        for value in values:
            _directory, slash, base = value.lower().rpartition("/")
            if test == "endswith" and slash:
                branches.append([frozenset([("base", field, base)])])
            else:
                branches.append(self._contained([field], value, test))
        return _either(branches)

    def _contained(self, fields: t.Sequence[str], value: str, test: str) -> list[_Clause]:
        if test.removesuffix("_cased") == "like":
            return self._pattern(fields, value, "s")
        return _grams(fields, value)

    def _pattern(self, fields: t.Sequence[str], pattern: str, flags: str) -> list[_Clause]:
        """Return clauses of a regular expression in one of the fields."""
        found = []
        for clause in regex_literals.clauses(pattern, flags):
            found += _either([_grams(fields, text) for text in sorted(clause)])
        count = regex_literals.unbroken(pattern, flags) if self._exact else 0
        if count >= _LONG:
            found.append(frozenset(("word", field, str(count)) for field in fields))
        return found


def _exists(field: str) -> _Clause:
    return frozenset([("exists", field, "")])


_EXISTS = frozenset(map(_exists, _SELDOM_THERE))


def _either(branches: t.Sequence[list[_Clause]]) -> list[_Clause]:
    if not branches or not all(branches):
        return []
    cheapest: list[_Clause] = [min(branch, key=_cost) for branch in branches]
    shared = frozenset.intersection(*map(frozenset, branches)) & _EXISTS
    return [frozenset(key for clause in cheapest for key in clause), *sorted(shared)]


def _grams(fields: t.Sequence[str], text: str) -> list[_Clause]:
    """Return a clause for a text that one of the fields contains."""
    lower = text.lower()
    if _gram(lower) is not None:
        return [frozenset(("gram", field, lower) for field in fields)]
    return [frozenset(("part", field, lower) for field in fields)] if lower else []


@functools.lru_cache(maxsize=16384)
def _gram(text: str) -> str | None:
    """Return the rarest four characters of a text, None where it has none that can be looked for."""
    grams = [text[place : place + GRAM] for place in range(len(text) - GRAM + 1)]
    usable = [gram for gram in grams if gram.isascii()]
    return min(usable, key=lambda gram: (_part_cost(gram), gram)) if usable else None


def _cost(clause: _Clause) -> float:
    """Return about how often an event has one of the keys."""
    return sum(_key_cost(key) for key in clause)


def _key_cost(key: _Key) -> float:
    kind, field, text = key
    if kind == "word":
        return _word_cost(int(text))
    if kind == "exists":
        return _SELDOM
    return _text_cost(kind, field, text) * (1 if field in _AT_HAND else _OTHERS)


def _text_cost(kind: str, field: str, text: str) -> float:
    if kind in ("gram", "part"):
        return _part_cost(_gram(text) or text)
    if kind == "base":
        return _ORDINARY_PROGRAM if text in _ORDINARY_PROGRAMS else _RARE
    return _FEW_VALUES.get(field, _RARE)


def _word_cost(count: int) -> float:
    return max(sum(max(map(len, line.split(" "))) >= count for line in _LINES) / len(_LINES), _RARE)


@functools.lru_cache(maxsize=4096)
def _part_cost(text: str) -> float:
    seen = max(sum(text in line for line in lines) / len(lines) for lines in (_LINES, _WINDOWS_LINES))
    return seen if text in _SHELL else max(seen, _UNSEEN.get(len(text), _RARE))
