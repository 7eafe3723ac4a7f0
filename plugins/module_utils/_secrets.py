# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and keys that people give on command lines: they stay on the host."""

from __future__ import annotations

import re

MASK = "***"
_WORDS = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|secret[-_]?key|credentials?)"
# Each masks what comes after its first group. None can take longer than a look at each character.
_PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # --password=X, --api-key X; PGPASSWORD=X, db.password=X
        (r"((?:^|\s)--?[\w-]{0,40}?" + _WORDS + r"(?:=|\s+))(?![\s-])\S+", re.IGNORECASE),
        (r"(\b[\w.]{0,60}?" + _WORDS + r"\s?[=:]\s?[\"']?)[^\s\"']+", re.IGNORECASE),
        # scheme://user:X@host
        (r"(\w://[^\s/:@]{1,100}:)[^\s/@]+(?=@)", 0),
        # Authorization: Bearer X
        (r"(\b(?:authorization|proxy-authorization):\s?\w{1,20}\s)[^\s\"']+", re.IGNORECASE),
        (r"(\bbearer\s)[^\s\"']+", re.IGNORECASE),
        # of programs whose options don't say what they are
        (r"(\b(?:sshpass|useradd|usermod|adduser|ldapsearch|ldapmodify)\s(?:.{0,200}\s)?-[pw]\s?)(?![\s-])\S+", 0),
        (r"(\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|xfreerdp)\s(?:.{0,200}\s)?(?:-p|/p:))(?=\S)\S+", 0),
        (r"(\bplink\s(?:.{0,200}\s)?-pw\s)\S+", 0),
        (r"(\b(?:curl|wget|http|https)\s(?:.{0,200}\s)?(?:-u|--user)[=\s]?[^\s:]{1,100}:)\S+", 0),
        (r"(\bredis-cli\s(?:.{0,200}\s)?-a\s)\S+", 0),
        (r"(\bhtpasswd\s-\w{0,8}b\w{0,8}\s\S{1,200}\s\S{1,100}\s)\S+", 0),
        (r"(\b(?:echo|printf)\s(?:-\w{1,4}\s)?[\"']?[\w.-]{1,64}:)[^\s\"']+(?=.{0,40}\bchpasswd)", 0),
        (r"(\b(?:docker|podman|buildah|skopeo|nerdctl)\slogin\s(?:.{0,200}\s)?-p\s?)(?![\s-])\S+", 0),
        (r"(\b(?:mongo\w{0,10}|rdesktop|xmrig)\s(?:.{0,200}\s)?-p\s?)(?![\s-])\S+", 0),
        (r"(\b(?:sqlcmd|bcp|ipmitool|mosquitto_[ps]ub)\s(?:.{0,200}\s)?-P\s?)(?![\s-])\S+", 0),
        (r"(\b(?:smbclient|smbget|rpcclient|net)\s(?:.{0,200}\s)?-U\s?[^\s%]{1,100}%)\S+", 0),
        (r"(\bopenssl\s(?:.{0,200}\s)?-k\s)(?![\s-])\S+", 0),
        (r"(\bvault\slogin\s)(?![\s-])\S+", 0),
        (r"(\bnmcli\s(?:.{0,200}\s)?password\s)\S+", 0),
        (r"(--(?:auth[=\s][^\s:]{1,100}:|tls-psk[=\s]))\S+", 0),
        # keys that begin with whose they are
        (r"(\b(?:gh[opsu]|github_pat|glpat|hvs|xox[abprs]|[sr]k_live|dckr_pat|npm|pypi)[-_.])[\w-]{16,}", 0),
        (r"(\bSG\.)[\w-]{16,}\.[\w-]{16,}", 0),
        (r"(\b(?:AIza|dop_v1_|shpat_|sk-ant-|AGE-SECRET-KEY-1))[\w-]{16,}", 0),
        (r"(\b(?:AKIA|ASIA))[A-Z0-9]{16}\b", 0),
        (r"(\beyJ[\w-]{8,200}\.)[\w-]{8,}\.[\w-]{8,}", 0),
        # addresses of web hooks, which are keys by themselves
        (r"(\bhooks\.slack\.com/\w{1,20}/\w{1,20}/\w{1,20}/)\w{8,}", 0),
        (r"(\b(?:discord|discordapp)\.com/api/webhooks/\d{1,30}/)[\w-]{8,}", 0),
        (r"(\bapi\.telegram\.org/bot\d{1,20}:)[\w-]{16,}", 0),
        # hashes that are as good as passwords: LM:NT, NT after its option, keys of Kerberos
        (r"(?<![0-9A-Fa-f])((?:[0-9A-Fa-f]{32})?:)[0-9A-Fa-f]{32}(?![0-9A-Fa-f])", 0),
        (r"((?:\s-H|\s-{1,2}hash(?:es)?|\s--ntlm|/pth|\s-aesKey)[\s=:][\"']?:?)[0-9A-Fa-f]{32,64}\b", re.IGNORECASE),
        # DOMAIN/account:X@host, as Impacket takes it
        (r"((?:^|[\s\"'])[\w.-]{1,60}[/\\][\w.$-]{1,60}:)[^\s/:@]+(?=@[\w.-])", 0),
        # (echo|printf) X | sudo -S, or su
        (
            (
                r"(\b(?:echo|printf)\s(?:-\w{1,4}\s)?[\"']?)[^\s\"'|]+(?=[^|]{0,40}\|\s{0,4}(?:/usr/bin/)?"
                r"(?:sudo\s(?:-\w{1,8}\s){0,4}(?:-\w{0,6}S|--stdin)|su\s))"
            ),
            0,
        ),
        # of tools that try accounts on Windows services, and of others whose options don't say what they are
        (
            (
                r"(\b(?:smb|winrm|mssql|wmi|rdp|evil-winrm|ldapdomaindump|netexec|nxc|crackmapexec)\s(?:.{0,200}\s)?"
                r"-p\s?)(?![\s-])\S+"
            ),
            0,
        ),
        (r"(\b(?:ccencrypt|ccrypt|zip)\s(?:.{0,200}\s)?-[KP]\s?)(?![\s-])\S+", 0),
        (r"(\b(?:7z[ar]?|rar)\s(?:.{0,200}\s)?-h?p)(?![\s-])\S+", 0),
        # a private key itself
        (r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*", re.DOTALL),
        # hashes of crypt(5)
        (r"(\$(?:1|2[abxy]|5|6|7|y|gy|sha1)\$)[./A-Za-z0-9$=,*-]{8,}", 0),
    )
)
# What the patterns can't match without; most command lines have none of it.
_ANY = re.compile(
    r"pass|pwd|secret|token|key|credential|://|authorization|bearer|useradd|usermod|adduser|ldap|mysql|mariadb|xfreerdp"
    r"|plink|curl|wget|http|redis-cli|htpasswd|\$[\dgsy]|login|mongo|rdesktop|xmrig|sqlcmd|bcp|ipmitool|mosquitto|smb|rpcclient"
    r"|\bnet\s|openssl|--auth|--tls-psk|gh[opsu]_|_pat|glpat|hvs|xox|k_live|npm|pypi|AIza|dop_v1|shpat|sk-ant|AKIA|ASIA"
    r"|eyJ|SG\.|hooks\.|webhooks|telegram|:[0-9a-f]{32}|-H\s|-hash|ntlm|/pth|aesKey|[/\\][\w.$-]{1,60}:[^\s/:@]+@|sudo|\bsu\s"
    r"|smb|winrm|wmi|rdp|netexec|nxc|crackmapexec|ccrypt|ccencrypt|\bzip\s|7z|\brar\s|BEGIN",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """Return a text that may be a command line with the passwords, tokens and keys in it replaced by ``MASK``.

    It knows the usual ways to give them, and can't know all.
    """
    if not _ANY.search(text):
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: found.group(1) + MASK, text)
    return text
