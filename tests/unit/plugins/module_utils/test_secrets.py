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
        "y.py corp/admin:hunter2@192.0.2.9 whoami",
        "y.py corp\\admin:hunter2@192.0.2.9",
        "sh -c echo hunter2 | sudo -S id",
        "sh -c printf 'hunter2' | sudo -n -S id",
        "sh -c echo hunter2 | su - root -c id",
        "nxc smb 192.0.2.0/24 -u admin -p hunter2",
        "evil-winrm -i 192.0.2.9 -u admin -p hunter2",
        "ldapdomaindump -u corp/bob -p hunter2 192.0.2.1",
        "ccencrypt -T -K hunter2 x",
        "7z a -phunter2 x.7z x",
        "zip -r -P hunter2 x.zip x",
        "curl https://hooks.slack.com/services/T00/B00/hunter2hunter2",
        "curl https://api.telegram.org/bot123:hunter2hunter2hunter2/sendMessage",
        "sh -c echo -----BEGIN OPENSSH PRIVATE KEY----- hunter2 > k",
        "curl -H X-Key: sk-ant-hunter2hunter2hunter2",
        "jwt eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.hunter2hunter2",
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


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "y.py corp/a@h -hashes aad3b435b51404eeaad3b435b51404ee:31d6cfe0d16ae931b73c59d7e0c089c0",
            "y.py corp/a@h -hashes ***:***",
        ),
        ("y.py corp/a@h -hashes :31d6cfe0d16ae931b73c59d7e0c089c0", "y.py corp/a@h -hashes :***"),
        ("nxc smb h -u a -H 31d6cfe0d16ae931b73c59d7e0c089c0", "nxc smb h -u a -H ***"),
        ("y.py -k -aesKey 31d6cfe0d16ae931b73c59d7e0c089c0 a@h", "y.py -k -aesKey *** a@h"),
        ("aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE", "aws configure set aws_access_key_id AKIA***"),
        ("x AKIAIOSFODNN7EXAMPLE", "x AKIA***"),
        ("md5sum 31d6cfe0d16ae931b73c59d7e0c089c0", "md5sum 31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("docker pull r/app:1.0", "docker pull r/app:1.0"),
        ("git clone git@example.org:team/app.git", "git clone git@example.org:team/app.git"),
        ("curl -H Accept: text/html http://h/", "curl -H Accept: text/html http://h/"),
        ("sh -c echo x | sudo tee /srv/x", "sh -c echo x | sudo tee /srv/x"),
    ],
)
def test_what_stands_for_a_password_is_masked_by_its_form(line: str, shown: str) -> None:
    assert masked(line) == shown
