# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell messages that look like sign-ins and that no pattern knows from those that are known to say nothing of one.

Of the programs that sign people in every message with a word of sign-ins has to be known, as a sign-in or as harmless.
A new release, a patch or a template with another text is noticed by what is not. Harmless are the forms of auth*.c,
session.c, servconf.c and the like of OpenSSH, of sudo's logging.c and of Linux-PAM, whatever is filled into them.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import sshd

_LOOKED_AT = 1_024
_SUBJECT = (
    r"authenti|password|publickey|keyboard-interactive|hostbased|gssapi|\blogin|\blog(?:ged|ging)?[ -]?(?:in|on)\b"
    r"|\bsign(?:ed)?[ -]?in|session opened|\baccount\b|\buser\b|\bsu\b"
)
_OUTCOME = r"fail|accept|invalid|illegal|incorrect|denied|refus|reject|not allowed|granted"
_CONCERNS = re.compile("%s|%s" % (_SUBJECT, _OUTCOME), re.IGNORECASE)
# sshd says of much else, as ports that it forwards, that it failed.
_SSHD_CONCERNS = re.compile(r"%s|(?:%s).*\bfrom\b" % (_SUBJECT, _OUTCOME), re.IGNORECASE | re.DOTALL)
# The tag of a program within a message: what was taken for the program was something else.
_INNER_TAG = re.compile(r"(?:^|[^\w./-])(?:sshd(?:-session|-auth)?|su|sudo|doas|login|dropbear)(?:\[\d{1,10}\])?: ")
_INNER_PLACE = 80
# What only sshd says, in the name of something that is not known: its tag was written in another way.
_SAID_BY_SSHD = ("Accepted ", "Failed ", "Invalid user ")
_OF_SSHD = re.compile(r"(?:(?:Accepted|Failed) \S{1,64} for|Invalid user) .{0,400} from \S{1,64} port \d", re.DOTALL)
_QUOTERS = frozenset(("kernel", "fail2ban-server", "fail2ban"))

_LEVEL = re.compile(r"(?:error: |fatal: )+")
_PAM_MODULE = re.compile(r"pam_\w+\([\w.@+-]+(?::\w+)?\): |pam_\w+: |PAM[- ]")
# What PAM says of a sign-in by itself; a program that is known says the rest.
_PAM_CONCERNS = re.compile(r"authentication failure|session opened|more authentication failure")
_PAM_WITHOUT_SIGN_IN = re.compile(
    r"pam_\w+\((?:atd|cron|crond|polkit-1|run0|runuser(?:-l)?|sudo(?:-i)?|systemd-run0|systemd-user)(?::\w+)?\): "
)

_SSHD_HARMLESS = re.compile(
    r"(?:Postponed|Partial) \S+ for |Accepted (?:key|certificate) |Authenticated to |Authorized (?:key|principal|to)"
    r"|(?:Starting|Close) session: |User child is on pid |Found matching |session (?:opened|closed) for local user "
    r"|subsystem request for |Transferred: |Received signal |Server listening on |Changed root directory "
    # What is said again when the attempt fails.
    r"|input_userauth_request: |userauth_\w+: |mm_\w+: |auth_\w+: |sshkey_\w+: |key_\w+: |ssh_\w+: |sshpkt_\w+: "
    r"|cert: |Authentication (?:refused: |tried for )|Authentication key |Certificate |Refused by |Refusing "
    r"|GSSAPI |Kerberos |krb5_|AuthorizedKeys|AuthorizedPrincipals|Authorized(?:Keys|Principals)Command"
    r"|User \S+ password has expired|Account \S+ has expired|Password (?:is expired|change required)"
    r"|Could not |could not |Unable to |unable to |Cannot |cannot |Failed to |No supported |Error "
    r"|(?:Write|Read) (?:from socket )?failed|PAM service\(|PAM: (?:pam_|pass(?:word)? change|num PAM|reinit)"
    r"|(?:sys)?login_\w+: |lastlog_\w+: |record_login|syslogin_|session_\w+: |do_\w+: |exec(?:ve)?: |fork: |chroot"
    # Connections that ended, of somebody who was signed in or is not named.
    r"|Received disconnect from |Connection (?:closed|reset) by |Disconnected from |Timeout, client not responding "
    r"|packet_\w+: |client_loop|\w+: Connection (?:to|from) "
    # Connections that were dropped before anybody was named.
    r"|drop connection |beginning MaxStartups|exited MaxStartups|srclimit_|ssh-agent|hostkeys_|kex_|no hostkeys"
    # The configuration.
    r"|(?:rexec|\S+) line \d+: |Deprecated option|Unsupported option|Bad configuration option|Privilege separation"
    r"|Missing privilege separation|X11 |xauth|channel[ _]|connect_to |Bind to |Received request to |setting "
    r"|refused (?:local|remote|streamlocal|udp) |open failed|Warning: |Attempt to write login records"
    r"|Read error from remote|Connection from "
)
_HARMLESS: t.Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(sshd.PROGRAMS, _SSHD_HARMLESS),
    "sudo": re.compile(
        r"\s*\S+ : \(command continued\) |\s*(?:parse error|syntax error|unable to |/etc/sudoers|sudoers|problem with )"
    ),
    "dropbear": re.compile(
        r"Child connection from |Exit |Early exit|Running in |Not backgrounding|Failed |Bad buf|User "
    ),
    "login": re.compile(r"DIALUP AT |unable to |cannot |can't |timed out|login (?:timed|time)|invalid |session "),
    "su": re.compile(r"(?:cannot|can't|unable|pam_|ignoring|user \S+ does not exist|Cannot)"),
    "su-l": re.compile(r"(?:cannot|can't|unable|pam_|ignoring|user \S+ does not exist|Cannot)"),
    "doas": re.compile(r"\Z(?!)"),
}


def is_unknown(program: str, message: str) -> bool:
    """Say whether a message that says nothing of a sign-in to any pattern looks as if it did.

    program: empty where a line names none.
    """
    harmless = _HARMLESS.get(program)
    text = message[:_LOOKED_AT]
    if harmless is None:
        return _is_unknown_of_others(program, text)
    text = text[_end(_LEVEL, text) :]
    if text.startswith("debug"):
        return False
    module = _PAM_MODULE.match(text)
    if module:
        return _is_unknown_of_pam(text)
    words = _SSHD_CONCERNS if program in sshd.PROGRAMS else _CONCERNS
    return words.search(text) is not None and harmless.match(text) is None


def concerns(text: str) -> bool:
    """Say whether a text has a word of sign-ins."""
    return _CONCERNS.search(text[:_LOOKED_AT]) is not None


def _is_unknown_of_others(program: str, text: str) -> bool:
    if text.startswith(("pam_", "PAM ")):
        return _is_unknown_of_pam(text)
    if not program:
        return _CONCERNS.search(text) is not None
    # Also in the name of one that quotes others: none of them begins with it, and sshd logs with the name of its file.
    if text.startswith(_SAID_BY_SSHD):
        return _OF_SSHD.match(text) is not None
    if program in _QUOTERS:
        return False
    start = text[:_INNER_PLACE]
    return ": " in start and _INNER_TAG.search(start) is not None


def _is_unknown_of_pam(text: str) -> bool:
    return _PAM_CONCERNS.search(text) is not None and _PAM_WITHOUT_SIGN_IN.match(text) is None


def _end(pattern: re.Pattern[str], text: str) -> int:
    matched = pattern.match(text)
    return matched.end() if matched else 0
