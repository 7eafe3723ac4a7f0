# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done in an hour of ordinary administration, by name.

Time is compressed: nothing waits for a person. What counts events in a window of time meets more of them than in an
hour on the clock. Two things in it raise an alert as they should: the configuration of sshd is edited, and an account
is made by hand. Each of SESSIONS is a session of its own over SSH, at a terminal; of MACHINE, a script that starts in
an empty directory of this machine.
"""

from __future__ import annotations

import typing as t

SESSIONS: t.Final[t.Mapping[str, str]] = {
    "look": r"""
        uptime; w; df -h; free -m; ps aux | head -n 5; top -bn1 | head -n 5
        sudo tail -n 5 /var/log/dpkg.log; sudo ls -la /root /etc/ssh
        ss -tln | head; ip addr; sudo nft list ruleset | head -n 3
        cat /etc/os-release; uname -a
        awk -F: '$3 >= 1000 { print $1 }' /etc/passwd | sort | head
        find /etc -name '*.conf' -mtime -7 2>/dev/null | head
        sudo grep -rn PermitRoot /etc/ssh | head
        sudo du -sh /var/* 2>/dev/null | sort -h | tail -n 3
        dpkg -l | grep -c ^ii
        sudo dmesg 2>/dev/null | tail -n 1 || true
    """,
    "packages": r"""
        echo 'deb @MIRROR@ bookworm main' | sudo tee /etc/apt/sources.list.d/older.list
        sudo apt-get update -q
        apt-cache policy cron
        sudo apt-get install -y -q hello/bookworm
        sudo rm /etc/apt/sources.list.d/older.list
        sudo apt-get install -y -q --no-install-recommends cron curl logrotate nginx-light openssl \
            rsync rsyslog unattended-upgrades
        echo 'deb @MIRROR@-security trixie-security main' |
            sudo tee /etc/apt/sources.list.d/security.list
        sudo apt-get update -q
        apt list --upgradable
        sudo apt-get install -y -q --only-upgrade nginx-light
        sudo unattended-upgrade -v
        sudo apt-get upgrade -y -q
        sudo apt-mark hold hello; sudo apt-mark unhold hello
        sudo apt-get install -y -q --reinstall hello
        sudo apt-get purge -y -q hello; sudo apt-get autoremove -y -q; sudo apt-get clean
        dpkg -S /usr/bin/curl; dpkg -L cron | head -n 2; sudo dpkg --audit; sudo dpkg --verify coreutils
    """,
    "services": r"""
        sudo sed -i 's/listen 80 default_server/listen 127.0.0.1:@WEB@ default_server/; /listen \[::\]/d' \
            /etc/nginx/sites-available/default
        sudo nginx -t; sudo nginx
        curl -s http://127.0.0.1:@WEB@/ | head -n 2
        curl -fsSL -o page.html http://127.0.0.1:@WEB@/
        echo 'keepalive_requests 500;' | sudo tee /etc/nginx/conf.d/own.conf
        sudo nginx -t; sudo nginx -s reload
        sudo service cron start; sudo service cron status
        sudo rsyslogd; logger -t carol 'Services are up'
        nohup sleep 300 > /dev/null 2>&1 &
        kill $!
        pgrep -a nginx | head -n 2
        sudo kill -HUP "$(cat /run/nginx.pid)"
        sudo tail -n 3 /var/log/nginx/access.log; sudo grep -i error /var/log/syslog | tail -n 2 || true
    """,
    "users": r"""
        sudo groupadd deployers
        sudo useradd -m -s /bin/bash -G deployers dave
        echo 'dave:Correct-Horse-9' | sudo chpasswd
        sudo usermod -aG www-data dave; sudo chage -l dave; sudo passwd -S dave
        sudo -u dave id
        sudo su - dave -c 'ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519; ls -la ~/.ssh'
        sudo usermod -L dave; sudo userdel -r dave; sudo groupdel deployers
        sudo -l; sudo -i id; sudo visudo -c
    """,
    "cron": r"""
        printf '#!/bin/sh\nsleep 1.1\necho "17 3 * * * /usr/bin/rsync -a $HOME/notes $HOME/copy" >> "$1"\n' > editor
        chmod 755 editor
        EDITOR=$PWD/editor VISUAL=$PWD/editor crontab -e
        crontab -l
        sudo run-parts --test /etc/cron.daily
        sudo /etc/cron.daily/dpkg; sudo /etc/cron.daily/logrotate
        sudo logrotate -f /etc/logrotate.conf
    """,
    "sshd": r"""
        sudo cp /etc/ssh/sshd_config /etc/ssh/sshd_config.bak
        sudo sed -i 's/^#MaxAuthTries.*/MaxAuthTries 4/' /etc/ssh/sshd_config
        sudo sshd -t; sudo kill -HUP "$(cat /run/sshd.pid)"
        ssh-keygen -q -t ed25519 -N '' -f ./deploy; ssh-keygen -lf ./deploy.pub
        # It listens again when it has started itself anew.
        for attempt in 1 2 3 4 5; do ssh-keyscan -p @SSH@ 127.0.0.1 && break; sleep 1; done
    """,
    "backup": r"""
        mkdir -p notes copy; date > notes/today
        sudo tar czf /var/backups/etc.tar.gz /etc; sudo tar tzf /var/backups/etc.tar.gz | wc -l
        rsync -a notes/ copy/; sudo rsync -a --delete /etc/ /var/backups/etc/
        tar cf - notes | gzip > notes.tar.gz
        sha256sum notes.tar.gz > sums; sha256sum -c sums
        cp -a notes notes.old; mv notes.old older; rm -rf older
        openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=test
        openssl x509 -in cert.pem -noout -dates; openssl rand -base64 24
        sudo find /var/log -name '*.gz' -mtime +90 -delete
        sudo journalctl -n 5
    """,
    "scripts": r"""
        printf 'import json, subprocess\nprint(json.dumps(open("/proc/loadavg").read()))\n' > check.py
        echo 'subprocess.run(["df", "-h"], check=True)' >> check.py
        python3 check.py
        python3 -c 'import socket; print(socket.gethostname())'
        printf '#!/bin/bash\nset -eu\nfor name in 1 2; do date > "/tmp/$name.txt"; done\nrm /tmp/1.txt\n' > deploy.sh
        chmod +x deploy.sh; ./deploy.sh; bash deploy.sh
        sudo install -m 755 deploy.sh /usr/local/bin/deploy; deploy; sudo rm /usr/local/bin/deploy
        for name in a b c d e f g h i j k l; do echo "$name" > "$name.tmp"; done; rm -f ./*.tmp
        ps aux | grep nginx | grep -v grep | awk '{ print $2 }' | xargs -r ps -p
        mkdir /tmp/build; cd /tmp/build
        printf '#!/bin/sh\necho configured\n' > configure; chmod +x configure; ./configure
        tar czf x.tgz configure; tar xzf x.tgz; cd; rm -rf /tmp/build
        echo aGVsbG8K | base64 -d; find . -name '*.old' -exec rm {} +; getent hosts localhost
        timeout 5 bash -c '</dev/tcp/127.0.0.1/@SSH@'
        sudo nginx -s quit; sleep 0.5
        python3 -m http.server @WEB@ --bind 127.0.0.1 & sleep 1
        curl -s http://127.0.0.1:@WEB@/check.py | wc -l; kill $!
    """,
}
COMMANDS: t.Final[t.Mapping[str, str]] = {
    "uptime": "uptime; df -h /",
    "copy": "cat > copied && wc -c copied",
}
MACHINE: t.Final[t.Mapping[str, str]] = {
    "compile": r"""
        printf '#include <stdio.h>\nint main(void) { return puts("hi") < 0; }\n' > hi.c
        printf 'all: hi\nhi: hi.c\n\t$(CC) -O2 -Wall -o hi hi.c\ncheck: hi\n\t./hi\n' > Makefile
        make -j2; make check; make -B CC='gcc -pipe'
    """,
    "git": """
        git init -q one
        cd one
        git config user.email alice@example.com; git config user.name Alice
        date > file
        git add file; git commit -q -m First; git log; git gc -q
        git clone -q . ../two
    """,
    "pip": """
        /usr/bin/python3 -m venv environment
        environment/bin/pip install -q --no-cache-dir --disable-pip-version-check six
        environment/bin/python -c 'import six'
    """,
    "database": """
        pg_dump --schema-only --file=dump.sql '@DATABASE@'
        pg_dump '@DATABASE@' | gzip > dump.sql.gz
        psql -c 'SELECT 1' '@DATABASE@'
        find . -name '*.gz' -mtime +7 -delete
    """,
    "containers": """
        docker() { '@CLIENT@' @HOST@ "$@"; }
        docker info; docker images; docker ps --all
        docker run --detach --cidfile id --network none --name @NAME@ @IMAGE@ sleep 300
        docker exec @NAME@ sh -c 'id; ls -la /etc; cat /etc/os-release; ps aux'
        docker exec --user nobody @NAME@ date
        date > file; docker cp file @NAME@:/srv/file; docker cp @NAME@:/etc/hostname .
        docker logs @NAME@; docker top @NAME@; docker stats --no-stream @NAME@; docker inspect @NAME@
        docker restart --time 0 @NAME@
        docker commit @NAME@ @NAME@:test; docker rmi @NAME@:test
        # Layers are unpacked as when an image is pulled: a whole system's accounts, units and setuid programs.
        docker exec @NAME@ tar -C / -c bin etc root usr/bin usr/sbin usr/lib/systemd var/spool > layer
        docker import layer @NAME@:imported; docker save --output image @NAME@:imported
        docker rmi @NAME@:imported; docker load --input image; docker rmi @NAME@:imported
        docker rm --force @NAME@
    """,
}
# A package that somebody built: what it does is not explained by being below dpkg.
LOCAL_PACKAGE: t.Final = r"""
    mkdir -p local/DEBIAN local/etc/pam.d
    printf 'Package: local\nVersion: 1\nArchitecture: all\n' > local/DEBIAN/control
    printf 'Maintainer: a <a@example.com>\nDescription: b\n' >> local/DEBIAN/control
    printf '#!/bin/sh\npasswd -d games\n' > local/DEBIAN/postinst
    chmod 755 local/DEBIAN/postinst
    echo 'auth sufficient pam_permit.so' > local/etc/pam.d/bulwark-local
    dpkg-deb --root-owner-group --build local local.deb
    sudo dpkg -i local.deb
"""
