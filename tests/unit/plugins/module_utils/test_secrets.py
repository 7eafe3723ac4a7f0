# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import MASK, masked


@pytest.mark.parametrize(
    "line",
    [
        "mytool --password=hunter2",
        "mytool --db-password hunter2 --host db1",
        "vault login -token=hunter2",
        "env PGPASSWORD=hunter2 psql",
        "sh -c MYSQL_PWD='hunter2' mysql",
        "git clone https://bob:hunter2@git.example/x.git",
        "curl -H Authorization: Bearer hunter2 https://api.example",
        "curl -s -u bob:hunter2 https://api.example",
        "sshpass -p hunter2 ssh web1",
        "sshpass -phunter2 ssh web1",
        "useradd -m -p hunter2 bob",
        "mysql -u root -phunter2 shop",
        "redis-cli -h db1 -a hunter2 ping",
        "htpasswd -bc /etc/x bob hunter2",
        'sh -c echo "bob:hunter2" | chpasswd',
        "plink -ssh web1 -pw hunter2",
        "aws --secret-key hunter2",
        "usermod --password $6$hunter2hunter2 bob",
        "chpasswd -e $y$j9T$hunter2hunter2",
        "docker login -u bob -p hunter2 registry.example",
        "mongosh -u bob -p hunter2",
        "xmrig -o pool.example:3333 -u wallet -p hunter2",
        "ipmitool -H bmc1 -U bob -P hunter2 power status",
        "smbclient -U bob%hunter2 //srv/x",
        "openssl enc -aes-256-cbc -k hunter2 -in x",
        "vault login hunter2",
        "nmcli dev wifi connect home password hunter2",
        "chisel client --auth bob:hunter2 h 80",
        "app --tls-psk hunter2",
        "git push https://ghp_hunter2hunter2hunter2@git.example/x.git",
    ],
)
def test_what_is_secret_is_masked_and_the_rest_stays(line: str) -> None:
    shown = masked(line)
    assert "hunter2" not in shown
    assert MASK in shown
    assert shown.split(" ")[0] == line.split(" ", maxsplit=1)[0]


@pytest.mark.parametrize(
    "line",
    [
        "passwd bob",
        "cat /etc/passwd",
        "ssh-keygen -t ed25519 -f /root/.ssh/key",
        "useradd -m bob",
        "curl -s https://api.example/tokens",
        "mysql -p shop",
        "mkdir -p /srv/key/token",
        "grep -r password /etc",
        "passwd -d bob",
        "apt-get install --no-install-recommends sshpass",
        "echo $5 $6",
        "docker run -p 80:80 nginx",
        "ssh -p 2222 web1",
        "net use -U bob",
        "npm install",
        "openssl x509 -in x -noout",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert masked(line) == line


@pytest.mark.parametrize(
    "unit",
    [
        "password",
        "--password ",
        "a:b@",
        "://a:",
        "curl -u ",
        "echo a:b chpasswd ",
        "$6$",
        "useradd -p ",
        "docker login -p ",
        "openssl -k ",
        "ghp_",
    ],
)
def test_no_line_takes_long(unit: str) -> None:
    start = time.process_time()
    masked(unit * (4_096 // len(unit)))
    assert time.process_time() - start < 0.5
