# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts for and against a source, and what it takes to narrow or to close a port."""

from __future__ import annotations

import datetime as dt
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    blocking,
    draft,
    model,
    options,
    recommend,
    sources,
    wording,
)

from tests.bench import _small, network_hardening
from tests.unit.plugins.plugin_utils.network_hardening.test_recommend import START, advice, entry, let_in, only, scans

_START = dt.datetime.combine(START, dt.time(), dt.UTC).timestamp()
_DAY = 86_400
KNOWN = {"sign_ins_observed": [_START, _START + 30 * _DAY - 1], "observed": [_START, _START + 30 * _DAY - 1]}
PATIENT = entry("203.0.113.9", range(30), 2, bytes=None)
SWEEPERS = [entry(f"{20 + 3 * number}.{number}.7.9", [number % 28], 1, bytes=None) for number in range(1, 60)]


def signed_in(source: str, days: t.Iterable[int], count: int = 5, **fields: t.Any) -> dict[str, t.Any]:
    """Return that a source signed in so many times on each of these days of January."""
    dates = {(START + dt.timedelta(days=day)).isoformat(): count for day in days}
    first = _START + min(days) * _DAY
    return {
        "source": source, "count": count * len(dates), "users": 1, "days": dates, "first": first,
        "last": _START + max(days) * _DAY + 60, "service": "sshd", "port": 22, **fields,
    }  # fmt: skip


def of(port: dict[str, t.Any], address: str) -> dict[str, t.Any]:
    (row,) = [row for row in port["sources"] if row["address"] == address]
    return t.cast("dict[str, t.Any]", row)


@pytest.mark.parametrize("known", [None, 40_000 * 90 * 3])
def test_an_administrator_who_comes_daily_for_90_days_is_not_hostile(known: int | None) -> None:
    daily = entry("198.51.100.7", range(90), 3, bytes=known)
    port = only(advice([daily, *SWEEPERS], listening=[{"port": 22}]))
    assert of(port, "198.51.100.7")["verdict"] in ("unclear", "legitimate")
    assert port["status"] == ("unclear" if known is None else "narrow")
    assert blocking.blocked({"ports": [port]}) == []
    if known is None:
        assert port["prefixes"] == []
        assert port["denied"] == []
        lines = wording.lines({"ports": [port]})
        assert any(line.startswith("  came: 198.51.100.7: 270 connections on 90 days") for line in lines)


def test_unknown_bytes_make_nobody_hostile_who_is_not_with_any_number_of_them() -> None:
    chance = random.Random(5)  # noqa: S311
    for _try in range(150):
        days = sorted(chance.sample(range(30), chance.randint(1, 30)))
        ports = chance.sample(range(1000, 1040), chance.randint(0, 6))
        source = [
            entry("198.51.100.7", days, chance.randint(1, 300), bytes=None),
            *scans("198.51.100.7", ports, chance.randrange(30)),
        ]
        unknown = of(only(advice([*source, *SWEEPERS])), "198.51.100.7")["verdict"]
        for size in (0, 100, 4_000, 40_000, 10**7):
            sized = [{**source[0], "bytes": size * source[0]["count"]}, *source[1:]]
            known = of(only(advice([*sized, *SWEEPERS])), "198.51.100.7")["verdict"]
            assert (unknown == "hostile") == (known == "hostile"), (days, ports, size)


def test_who_signed_in_is_let_in_and_who_never_did_is_not_however_regular() -> None:
    seen = [entry("198.51.100.7", range(0, 30, 2), 5, bytes=None), PATIENT, *SWEEPERS]
    port = only(advice(seen, sign_ins=[signed_in("198.51.100.7", range(0, 30, 2))], **KNOWN))
    assert (port["status"], let_in(port), port["decided_by"]) == ("narrow", ["198.51.100.7/32"], "sign_ins")
    assert of(port, "198.51.100.7")["why"] == ["it signed in 75 times on 15 days"]
    patient = of(port, "203.0.113.9")
    assert (patient["verdict"], patient["decision"], patient["why"][0]) == ("unclear", "out", "it never signed in")
    assert "  decided by who signed in" in wording.lines({"ports": [port]})


@pytest.mark.parametrize("size", [None, 2_000, 10**6])
def test_patience_is_no_sign_in(size: int | None) -> None:
    """However it comes and whatever it transfers: from a neighbour of who signed in, too."""
    for source in ("203.0.113.9", "198.51.100.9"):
        attacker = entry(source, range(30), 144, bytes=size and size * 30 * 144)
        seen = [entry("198.51.100.7", range(30), 5, bytes=None), attacker]
        port = only(advice(seen, sign_ins=[signed_in("198.51.100.7", range(30))], **KNOWN))
        assert let_in(port) == ["198.51.100.7/32"]
        assert of(port, source)["decision"] == "out"


def test_without_sign_ins_a_patient_guesser_is_let_in_by_no_rhythm_alone() -> None:
    port = only(advice([PATIENT, *SWEEPERS]))
    assert (port["status"], port["decided_by"]) == ("unclear", "rhythm")


def test_a_port_that_nobody_signed_in_to_is_closed_only_if_all_sign_ins_are_known() -> None:
    seen = [PATIENT, *SWEEPERS]
    port = only(advice(seen, listening=[{"port": 22}], sign_ins=[], **KNOWN))
    assert (port["status"], port["reason"]) == (
        "close",
        "nobody signed in within 30 days, and all sign-ins of that time are known",
    )
    half = {**KNOWN, "sign_ins_observed": [_START + 15 * _DAY, _START + 30 * _DAY]}
    assert only(advice(seen, sign_ins=[], **half))["status"] == "unclear"
    assert only(advice(seen, sign_ins=None))["status"] == "unclear"


def test_where_no_day_has_all_sign_ins_they_speak_against_nobody() -> None:
    unknown = {**KNOWN, "sign_ins_observed": [0, 0]}
    port = only(advice([PATIENT, *SWEEPERS], sign_ins=[], **unknown))
    assert (port["status"], port["decided_by"]) == ("unclear", "rhythm")
    seen = [entry("198.51.100.7", range(30), 5, bytes=None), PATIENT]
    port = only(advice(seen, sign_ins=[signed_in("198.51.100.7", range(30))], **unknown))
    assert of(port, "198.51.100.7")["verdict"] == "legitimate"
    assert of(port, "203.0.113.9")["why"][0] != "it never signed in"
    guesser = entry("203.0.113.9", range(10, 20), 30, bytes=None)
    port = only(advice([guesser], sign_ins=[signed_in("203.0.113.9", [12, 19], 1)], **unknown))
    assert [row["address"] for row in port["suspects"]] == ["203.0.113.9"]


@pytest.mark.parametrize("accepted", [3, 6, 536])
@pytest.mark.parametrize("known_days", [[0, 0], [_START + 29 * _DAY, _START + 30 * _DAY - 1], None])
def test_sign_ins_of_one_day_do_not_take_the_place_of_traffic(accepted: int, known_days: list[float] | None) -> None:
    """As where the log is younger than the recorder."""
    given = {**KNOWN, "sign_ins_observed": known_days}
    seen = [entry("198.51.100.7", range(30), 6), *SWEEPERS[:9]]
    port = only(advice(seen, sign_ins=[signed_in("198.51.100.7", [29], accepted)], **given))
    assert (port["status"], let_in(port)) == ("narrow", ["198.51.100.7/32"])
    assert of(port, "198.51.100.7")["why"][0].startswith(f"it signed in {accepted} time")


def test_days_without_sign_ins_count_only_where_they_would_not_be_known() -> None:
    """Of the others, it is known that it was somebody else who came."""
    for known_days, status in ((KNOWN["sign_ins_observed"], "unclear"), ([0, 0], "narrow")):
        given = {**KNOWN, "sign_ins_observed": known_days}
        port = only(
            advice([entry("198.51.100.7", range(30), 1)], sign_ins=[signed_in("198.51.100.7", [0], 30)], **given)
        )
        assert port["status"] == status
        if status == "unclear":
            # Nobody is denied where nothing is recommended, so that no prefix is missed either.
            assert of(port, "198.51.100.7")["why"] == ["it signed in 30 times on 1 day"]


def test_a_wide_prefix_of_ssh_takes_a_crowd_if_only_the_transfer_speaks() -> None:
    fixed = [entry(f"198.51.{96 + 3 * number}.7", range(number, 30, 3), 30) for number in range(5)]
    port = only(advice(fixed, listening=[{"port": 22}]))
    assert (port["status"], port["prefixes"]) == ("unclear", [])
    assert "are spread over 198.51.96.0/20, and its other addresses are unknown: keep it open" in port["reason"]


def test_a_port_without_sign_ins_is_closed_only_if_nobody_was_answered() -> None:
    swept = [{**one, "port": 8080} for one in SWEEPERS]
    listening = [{"port": 8080}]
    port = only(advice(swept, listening=listening), 8080)
    assert port["status"] == "unclear"
    assert "keep it open, and check its sources" in port["reason"]
    unanswered = [{**one, "answered": 0, "refused": 1} for one in swept]
    assert only(advice(unanswered, listening=listening), 8080)["status"] == "close"


def test_who_guessed_a_password_is_named_and_not_let_in() -> None:
    guesser = entry("203.0.113.9", range(10), 30, bytes=None)
    admin = entry("198.51.100.7", range(30), 5, bytes=None)
    for days in ([9], [9, *range(10, 30)]):
        accepted = signed_in("203.0.113.9", days, 1)
        port = only(advice([admin, guesser], sign_ins=[signed_in("198.51.100.7", range(30)), accepted], **KNOWN))
        # Often, it may be an administrator whose address somebody who guesses has, too.
        assert (port["status"], let_in(port)) == (("unclear", []) if len(days) > 1 else ("narrow", ["198.51.100.7/32"]))
        (suspect,) = port["suspects"]
        assert suspect["address"] == "203.0.113.9"
        assert "as with somebody who guesses a password" in suspect["why"][1]
        assert any(
            line.startswith("  look at 203.0.113.9 first: it signed in") for line in wording.lines({"ports": [port]})
        )
    alone = only(advice([guesser], sign_ins=[signed_in("203.0.113.9", [9], 1)], **KNOWN))
    assert (alone["status"], alone["prefixes"]) == ("unclear", [])


def test_who_is_known_as_bad_and_signed_in_is_named_and_neither_let_in_nor_blocked() -> None:
    admin = entry("198.51.100.7", range(30), 5, bytes=None)
    port = only(advice([admin], sign_ins=[signed_in("198.51.100.7", range(30))], threats=["198.51.100.0/24"], **KNOWN))
    assert (port["status"], port["suspects"][0]["verdict"]) == ("unclear", "unclear")
    assert blocking.blocked({"ports": [port]}) == []


def test_a_home_whose_address_changes_in_a_pool_is_let_in_from_the_pool() -> None:
    days = [(f"198.51.{96 + day % 4}.{7 * day + 3}", day) for day in range(30)]
    seen = [entry(address, [day], 3, bytes=None) for address, day in days]
    port = only(advice(seen, sign_ins=[signed_in(address, [day], 3) for address, day in days], **KNOWN))
    assert (port["status"], let_in(port)) == ("narrow", ["198.51.96.0/22"])


def test_who_comes_from_ever_other_networks_keeps_the_port_open() -> None:
    days = [(f"{31 + 5 * day}.7.9.{day + 1}", day) for day in range(30)]
    seen = [entry(address, [day], 3, bytes=None) for address, day in days]
    port = only(advice(seen, sign_ins=[signed_in(address, [day], 3) for address, day in days], **KNOWN))
    assert (port["status"], port["prefixes"]) == ("unclear", [])
    assert (
        "15 of 15 later visits would have been denied" in port["reason"] or "change their addresses" in port["reason"]
    )


def test_people_among_the_attackers_of_a_carrier_keep_the_port_open() -> None:
    """No prefix of the carrier's is recommended, although there are attackers only between their addresses."""
    people = [(f"198.51.{96 + day % 16}.{7 * day + 3}", day) for day in range(0, 30, 2)]
    attackers = [
        entry(f"198.51.{97 + number}.{40 * number % 250}", [number, number + 9], 3) for number in range(0, 15, 2)
    ]
    seen = [*(entry(address, [day], 3) for address, day in people), *attackers]
    port = only(advice(seen, sign_ins=[signed_in(address, [day], 3) for address, day in people], **KNOWN))
    assert (port["status"], port["prefixes"]) == ("unclear", [])


def test_what_other_hosts_saw_counts() -> None:
    colleague, scanner = "198.51.100.77", "203.0.113.9"
    seen = [
        entry("198.51.100.7", range(30), 5, bytes=None),
        entry(colleague, range(0, 30, 3), 2, bytes=None),
        entry(scanner, range(4), 2, bytes=None),
    ]
    fleet = [
        {"source": colleague, "hosts_signed_in": 2, "hosts_seen": 3, "hosts_refused_only": 1},
        {"source": scanner, "hosts_signed_in": 0, "hosts_seen": 5, "hosts_refused_only": 5},
    ]
    port = only(advice(seen, fleet=fleet))
    assert (of(port, colleague)["verdict"], of(port, colleague)["why"]) == (
        "legitimate",
        ["it signed in on 2 other hosts"],
    )
    refused = of(port, scanner)
    assert (refused["verdict"], refused["why"]) == ("hostile", ["5 other hosts refused it, and none let it sign in"])
    assert [one.prefix for one in blocking.blocked({"ports": [port]})] == [scanner]
    # One host may be in the hands of an attacker; and who is let in here signs in here.
    alone = [{**fleet[0], "hosts_signed_in": 1}]
    assert of(only(advice(seen, fleet=alone)), colleague)["verdict"] == "unclear"
    here = only(advice(seen, sign_ins=[signed_in("198.51.100.7", range(30))], fleet=fleet, **KNOWN))
    assert (here["status"], let_in(here)) == ("narrow", ["198.51.100.7/32"])


@pytest.mark.parametrize("known", [None, 40_000 * 30 * 3])
@pytest.mark.parametrize("way", ["probes", "fleet", "list"])
def test_what_others_can_fake_closes_no_port_to_who_comes_daily(way: str, known: int | None) -> None:
    victim = "198.51.100.7"
    seen = [entry(victim, range(30), 3, bytes=known)]
    given: dict[str, t.Any] = {}
    if way == "probes":
        seen += scans(victim, range(1000, 1060), 3)
    elif way == "fleet":
        given = {"fleet": [{"source": victim, "hosts_signed_in": 0, "hosts_seen": 5, "hosts_refused_only": 5}]}
    else:
        given = {"threats": [victim]}
    port = next(one for one in advice(seen, **given)["ports"] if one["port"] == 22)
    if way == "list" or known is None:
        assert port["status"] == "unclear"
    else:
        assert let_in(port) == ["198.51.100.7/32"]
    # A list of the user's own is believed.
    assert [one.prefix for one in blocking.blocked({"ports": [port]})] == ([victim] if way == "list" else [])


def test_who_transfers_much_does_not_take_the_place_of_who_was_not_measured() -> None:
    seen = [
        entry("198.51.100.7", range(30), 3, bytes=None),
        entry("203.0.113.9", range(30), 3, bytes=100_000 * 90),
    ]
    port = only(advice(seen))
    assert port["status"] == "unclear"
    assert "what was transferred is not known" in port["reason"]


def test_who_signed_in_without_a_trace_in_the_traffic_is_let_in() -> None:
    sign_ins = [signed_in(source, range(30)) for source in ("198.51.100.7", "2001:db8:1:2::9")]
    port = only(advice([entry("198.51.100.7", range(30))], listening=[{"port": 22}], sign_ins=sign_ins, **KNOWN))
    assert let_in(port) == ["198.51.100.7/32", "2001:db8:1:2::/64"]


def test_sign_ins_count_for_the_port_that_ssh_listens_on() -> None:
    listening = [{"port": 2222, "process": {"name": "sshd"}}]
    seen = [entry("198.51.100.7", range(30), 5, 2222, bytes=None), entry("203.0.113.9", range(30), 2, 2222, bytes=None)]
    accepted = [signed_in("198.51.100.7", range(30), port=None)]
    assert let_in(only(advice(seen, listening=listening, sign_ins=accepted, **KNOWN), 2222)) == ["198.51.100.7/32"]


def test_connections_that_are_held_show_that_somebody_works() -> None:
    seen = [
        entry("198.51.100.7", range(20), 5, bytes=None, long_lived_count=80),
        entry("192.0.2.3", [20], 1, bytes=None, long_lived_count=0),
    ]
    assert only(advice(seen))["decided_by"] == "transfer"
    held = of(only(advice(seen)), "198.51.100.7")
    assert held["verdict"] == "legitimate"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sign_ins": 3}, "sign_ins is not a list but of type int"),
        ({"sign_ins": [3]}, "entry 0 of sign_ins is not a dictionary"),
        ({"sign_ins": [{"source": "x"}]}, "entry 0 of sign_ins has no address in source"),
        ({"sign_ins": [{"source": "192.0.2.1", "days": {"x": 1}}]}, "entry 0 of sign_ins has a day that is not a date"),
        ({"sign_ins": [], "sign_ins_observed": [3]}, "sign_ins_observed is not a list of two times"),
        ({"fleet": {}}, "fleet is not a list but of type dict"),
        ({"fleet": [{"source": "192.0.2.1", "hosts_seen": -1}]}, "entry 0 of fleet has no number from 0"),
    ],
)
def test_evidence_that_makes_no_sense_is_refused(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(sources.InputError, match=words):
        advice([PATIENT], **given)


def test_a_port_that_stays_open_is_no_rule_of_the_draft() -> None:
    text = draft.text({"observed_days": 30, "ports": [only(advice([PATIENT, *SWEEPERS]))]}, draft.About("h", "f", "d"))
    assert "network_hardening_rules: []" in text
    assert "# 22/tcp: unclear: " in text
    assert "#   came: 203.0.113.9: 60 connections on 30 days: what was seen of it proves neither" in text
    assert "closed: true" not in text


def test_small_servers() -> None:
    """Some of the bench's small worlds, on seeds that nothing was chosen by."""
    found = network_hardening.small_figures(range(8000, 8012))
    assert found["small_legitimate_denied"] <= 0.1, "0.05 of many more"
    assert found["small_attackers_allowed"] == 0
    assert found["small_closed_to_people"] == 0
    assert found["small_with_sign_ins_without_bytes"]["narrow"] > 0
    assert _small.world(3) == _small.world(3)


def test_options_are_read_as_before() -> None:
    """Callers give the first nine by place."""
    asked = options.read(None, None, None, None, None, (), 14, 16, [_START, _START])
    assert recommend.recommend([], asked, model.load())["ports"] == []


def test_guesses_as_the_recorder_measures_them_are_no_work_and_a_session_that_lasts_is() -> None:
    # 50 connections to OpenSSH 10.0 on which a key was refused: 157,744 bytes that the host sent.
    measured = {
        "bytes": 3155 * 1500,
        "bytes_known_count": 1500,
        "long_lived_count": 0,
        "seconds": 0,
        "seconds_known_count": 30,
    }
    session = {
        "bytes": 20_000 * 60,
        "bytes_known_count": 60,
        "long_lived_count": 20,
        "seconds": 40_000,
        "seconds_known_count": 30,
    }
    seen = [entry("203.0.113.9", range(30), 50, **measured), entry("198.51.100.7", range(30), 2, **session)]
    decisions = {row["address"]: row["decision"] for row in only(advice(seen))["sources"]}
    assert decisions == {"203.0.113.9": "out", "198.51.100.7": "in"}
