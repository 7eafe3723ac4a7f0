# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd says, and what a client can make it say."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, sshd
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact
from hypothesis import given
from hypothesis import strategies as st

# sshd cuts a name off at its first colon, and escapes what is no text.
_NAMES = st.one_of(
    st.text(st.characters(exclude_characters=":", exclude_categories=("Cs", "Cc")), max_size=100),
    st.lists(
        st.sampled_from(
            [" from ", "9.9.9.9", " port ", "22", " ssh2", "[preauth]", "invalid user ", " user ", "for ", "root", ""]
        ),
        max_size=12,
    ).map("".join),
)
_ADDRESSES = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
_PORTS = st.integers(1, 65535).map(str)


def parsed(message: str) -> Fact:
    fact = sshd.parse(message)
    assert fact is not None, message
    return fact


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Failed password for root from 192.0.2.1 port 56502 ssh2",
            {
                "kind": model.FAILED,
                "user": "root",
                "source": "192.0.2.1",
                "port": "56502",
                "method": "password",
                "known": "yes",
            },
        ),
        (
            "Failed publickey for git from 2001:db8::1 port 1 ssh2: RSA SHA256:abc",
            {"kind": model.FAILED_KEY, "user": "git", "source": "2001:db8::1", "method": "publickey"},
        ),
        (
            "Accepted publickey for alice from ::ffff:192.0.2.1 port 2 ssh2: ED25519-CERT SHA256:a ID x (serial 0) CA",
            {"kind": model.ACCEPTED, "user": "alice", "source": "192.0.2.1", "method": "publickey"},
        ),
        (
            "Accepted keyboard-interactive/pam for EXAMPLE\\john doe from 192.0.2.1 port 2 ssh2",
            {"kind": model.ACCEPTED, "user": "EXAMPLE\\john doe", "method": "keyboard-interactive"},
        ),
        (
            "Disconnecting invalid user a b 192.0.2.9 port 4: Change of username: -> (9.9.9.9 port 1: ) [preauth]",
            {"kind": model.ENDED, "user": "a b", "source": "192.0.2.9", "port": "4", "preauth": True},
        ),
        (
            "Received disconnect from 192.0.2.9 port 4:11: from 9.9.9.9 port 22:11: Bye [preauth]",
            {"kind": model.ENDED, "source": "192.0.2.9", "port": "4"},
        ),
        # Somebody who was signed in: no attempt, but who and from where.
        (
            "Disconnected from user alice 192.0.2.1 port 5",
            {"kind": model.PEER, "user": "alice", "source": "192.0.2.1", "port": "5", "known": "yes"},
        ),
        (
            "Disconnected from user EXAMPLE\\john doe 2001:db8::1 port 5",
            {"kind": model.PEER, "user": "EXAMPLE\\john doe", "source": "2001:db8::1", "port": "5"},
        ),
        (
            "Connection reset by user alice 192.0.2.1 port 5",
            {"kind": model.PEER, "user": "alice", "source": "192.0.2.1", "port": "5"},
        ),
        (
            "Disconnecting user alice 192.0.2.1 port 5: timeout from 9.9.9.9 port 6: x",
            {"kind": model.PEER, "user": "alice", "source": "192.0.2.1", "port": "5"},
        ),
        # The name of an address is whatever its owner says.
        (
            "reverse mapping checking getaddrinfo for x [9.9.9.9] failed [192.0.2.1] failed - POSSIBLE BREAK-IN!",
            {"kind": model.PEER, "source": "192.0.2.1", "port": ""},
        ),
        (
            "Address 192.0.2.1 maps to 9.9.9.9, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
            {"kind": model.PEER, "source": "192.0.2.1"},
        ),
        (
            'Nasty PTR record "9.9.9.9" is set up for 192.0.2.1, ignoring',
            {"kind": model.PEER, "source": "192.0.2.1"},
        ),
        # A reason is no source.
        ("Disconnecting: bad client public DH value [preauth]", {"kind": model.ENDED, "source": "", "user": ""}),
        ("Disconnecting: Packet corrupt [preauth]", {"kind": model.ENDED, "source": "", "user": ""}),
        ("Disconnecting: 9.9.9.9 port 22: x", {"kind": model.ENDED, "source": ""}),
        (
            "Disconnecting 192.0.2.1 port 5: Packet corrupt [preauth]",
            {"kind": model.ENDED, "source": "192.0.2.1", "port": "5"},
        ),
        (
            "Disconnecting: Too many authentication failures for root from x [preauth]",
            {"kind": model.ENDED, "user": "root from x", "source": ""},
        ),
        (
            "Disconnecting invalid user admin 192.0.2.1 port 5: Too many authentication failures [preauth]",
            {"kind": model.ENDED, "user": "admin", "source": "192.0.2.1", "port": "5", "known": "no"},
        ),
        (
            "fatal: Access denied for user carol by PAM account configuration [preauth]",
            {"kind": model.HINT, "user": "carol", "known": "yes", "reason": "refused by the account rules of PAM"},
        ),
        (
            "User carol from 192.0.2.9 not allowed because not in any group",
            {"kind": model.HINT, "user": "carol", "known": "yes", "reason": "not in any group"},
        ),
        (
            "error: PAM: Have exhausted maximum number of retries for service for illegal user a for b from 192.0.2.9",
            {
                "kind": model.HINT,
                "user": "a for b",
                "source": "192.0.2.9",
                "known": "no",
                "method": "keyboard-interactive",
            },
        ),
    ],
)
def test_messages(message: str, expected: t.Mapping[str, t.Any]) -> None:
    fact = parsed(message)._asdict()
    assert {name: fact[name] for name in expected} == expected


@pytest.mark.parametrize(
    "message",
    [
        "Server listening on 0.0.0.0 port 22.",
        "Postponed publickey for git from 192.0.2.1 port 57904 ssh2 [preauth]",
        "Partial publickey for git from 192.0.2.1 port 57904 ssh2: RSA SHA256:abc",
        "",
        "Failed",
        "Failed password for",
    ],
)
def test_messages_about_no_sign_in(message: str) -> None:
    assert sshd.parse(message) is None


@pytest.mark.parametrize(
    "template",
    [
        "Invalid user {user} from {source} port {port}",
        "Failed password for invalid user {user} from {source} port {port} ssh2",
        "Failed none for invalid user {user} from {source} port {port} ssh2",
        "Failed keyboard-interactive/pam for invalid user {user} from {source} port {port} ssh2",
        "Failed publickey for invalid user {user} from {source} port {port} ssh2: RSA SHA256:{user}",
        (
            "Failed publickey for invalid user {user} from {source} port {port} ssh2: RSA-CERT SHA256:a ID {key}"
            " (serial 0) CA RSA SHA256:b"
        ),
        "Connection closed by invalid user {user} {source} port {port} [preauth]",
        "Connection reset by invalid user {user} {source} port {port} [preauth]",
        "Disconnected from invalid user {user} {source} port {port} [preauth]",
        (
            "Disconnecting invalid user {user} {source} port {port}: Change of username or service not allowed:"
            " ({user},ssh-connection) -> ({key},x) [preauth]"
        ),
        "Disconnecting invalid user {user} {source} port {port}: Too many authentication failures [preauth]",
        (
            "error: maximum authentication attempts exceeded for invalid user {user} from {source} port {port} ssh2"
            " [preauth]"
        ),
    ],
)
@given(
    user=_NAMES, source=_ADDRESSES, port=_PORTS, key=st.sampled_from(["x", " from 9.9.9.9 port 22 ssh2: RSA SHA256:y"])
)
def test_no_name_forges_a_source(template: str, user: str, source: str, port: str, key: str) -> None:
    fact = parsed(template.format(user=user, source=source, port=port, key=key))
    assert (fact.user, fact.source, fact.port) == (user, model.address(source), port)
    assert fact.known == "no"


@given(user=_NAMES, source=_ADDRESSES)
def test_no_name_forges_a_source_for_pam(user: str, source: str) -> None:
    fact = parsed(
        f"error: PAM: User not known to the underlying authentication module for illegal user {user} from {source}"
    )
    assert (fact.user, fact.source) == (user, model.address(source))


@given(st.text(max_size=300))
def test_any_message_is_read(message: str) -> None:
    for word in (
        "",
        "Failed password for ",
        "Disconnecting invalid user ",
        "Connection closed by ",
        "User ",
        "refused ",
    ):
        sshd.parse(word + message)


@pytest.mark.parametrize("letter", ["a", "\\321"])
@pytest.mark.parametrize("before", ["Failed password for invalid user ", "Invalid user "])
def test_a_message_that_was_cut_off_names_no_source(before: str, letter: str) -> None:
    chosen = " from 198.51.100.7 port 22"
    cut = before + letter * (1023 - len(before) - len(chosen)) + chosen
    assert sshd.parse(cut) is None
    whole = before + letter * 900 + " from 203.0.113.7 port 22"
    found = sshd.parse(whole)
    assert found is not None
    assert found.source == "203.0.113.7"
