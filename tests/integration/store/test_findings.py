# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings modules in real playbooks, with the oldest and the newest ansible-core."""

from __future__ import annotations

import contextlib
import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import load as load_benchmarks
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration import _keep
from tests.support.controllers import Controller, controller
from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store import benchmarks
from tests.unit.plugins.plugin_utils.store.samples import checked, finding

# Nothing listens there: a module that makes a connection fails.
INVENTORY = "web1 ansible_host=127.0.0.1 ansible_port=1\nweb2 ansible_host=127.0.0.1 ansible_port=1\n"


# What hangs on how an ansible-core templates is tried with the oldest, too.
_BOTH = pytest.mark.parametrize("ansible", ["2.18", "2.21"], indirect=True)
# What is stored hangs on none: some tests of it take the oldest, the others the newest.
_OLDEST = pytest.mark.parametrize("ansible", ["2.18"], indirect=True)


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


class Play:
    """Plays on two hosts that can't be reached, with a store of the test's own."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self._directory = ansible, directory
        self.answer = directory / "answer.json"
        (directory / "hosts").write_text(INVENTORY)

    def run(self, *tasks: dict[str, t.Any], arguments: t.Sequence[str] = (), **variables: t.Any) -> t.Any:
        """Run tasks and return what they registered as ``answer``."""
        keep = _keep.task("answer", self.answer, run_once=True, when="answer is defined")
        play = {"name": "Try", "hosts": "all", "gather_facts": False, "tasks": [*tasks, keep]}
        (self._directory / "play.yml").write_text(yaml.safe_dump([play]))
        (self._directory / "variables.json").write_text(json.dumps(variables))
        self.answer.unlink(missing_ok=True)
        answer = self._ansible.run_playbook(
            self._directory / "play.yml",
            "--extra-vars",
            f"@{self._directory}/variables.json",
            *arguments,
            inventory=self._directory / "hosts",
            state=self._directory,
            environment={"BULWARK_STORE": "", "ANSIBLE_NOCOLOR": "1", **_keep.ENVIRONMENT},
        )
        self.output = answer.stdout + answer.stderr
        return json.loads(self.answer.read_text()) if self.answer.exists() else None

    def each(
        self, *tasks: dict[str, t.Any], before: t.Sequence[dict[str, t.Any]] = (), **variables: t.Any
    ) -> list[t.Any]:
        """Run tasks one after the other, whether they fail or not, and return what each of them answered.

        before: tasks that run first, and must not fail.
        """
        named = [{**given, "register": f"answer{number}", "ignore_errors": True} for number, given in enumerate(tasks)]
        answers = ", ".join(f"answer{number}" for number in range(len(tasks)))
        collect = {"ansible.builtin.set_fact": {"answer": "{{ [%s] }}" % answers}, "run_once": True}
        return t.cast("list[t.Any]", self.run(*before, *named, collect, **variables))


@pytest.fixture
def play(ansible: Controller, tmp_path: pathlib.Path) -> Play:
    return Play(ansible, tmp_path)


def task(module: str, register: str | None = None, once: bool = False, **options: t.Any) -> dict[str, t.Any]:
    made = {f"bulwark.servers.{module}": options, "run_once": once}
    return {**made, "register": register} if register else made


START = task("findings_run", "opened", once=True, state="started", capabilities=["file_integrity"])


def record(results: str = "results", run: str = "opened") -> dict[str, t.Any]:
    """Return the task that records what hosts returned. Both are names of variables."""
    result = "{{ %s[inventory_hostname] }}" % results
    options = {"run": "{{ %s.run.id }}" % run, "capability": "file_integrity", "result": result}
    return task("findings_record", "recorded", **options)


RECORD = record()
FINISH = task("findings_run", once=True, state="finished", run="{{ opened.run.id }}")
EVERYTHING = ["findings", "coverage", "runs", "history", "suppressions", "seals"]
ASK = task("findings_info", "answer", once=True, gather=EVERYTHING)
UNREACHABLE = {"unreachable": True, "msg": "No route to host"}
JUDGED: dict[str, t.Any] = {"state": "judged", "host": "web1", "benchmark": benchmarks.BENCHMARK}


def found(*findings: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"changed": False, "findings": list(findings), "coverage": [checked()]}


@_OLDEST
def test_a_run_is_opened_recorded_closed_and_asked_for(play: Play, tmp_path: pathlib.Path) -> None:
    answer = play.run(START, RECORD, FINISH, ASK, results={"web1": found(finding()), "web2": UNREACHABLE})
    (stored,) = answer["findings"]
    assert (stored["host"], stored["subject"], stored["status"], stored["count"]) == ("web1", "/etc/passwd", "new", 1)
    assert schema.errors(stored["event"]) == []
    assert {item["host"]: (item["status"], item["entries"][0]["reason"]) for item in answer["coverage"]} == {
        "web1": ("checked", None),
        "web2": ("not_checked", "the host was unreachable: No route to host"),
    }
    (run,) = answer["runs"]
    assert (run["playbook"], run["hosts"], run["statuses"]) == ("Try", 2, {"checked": 1, "not_checked": 1})
    assert run["finished"] >= run["started"] > 1_700_000_000
    assert answer["counts"]["by_status"] == {"new": 1, "open": 0, "resolved": 0, "suppressed": 0}
    assert [entry["action"] for entry in answer["history"]] == ["new"]
    database = tmp_path / "bulwark" / "findings.db"
    assert (database.stat().st_mode & 0o777, database.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_explains_changes_is_asked_for_by_name(play: Play) -> None:
    told = {"explained_by": "openssh-server 1:10.0", "count": 31, "examples": ["/usr/sbin/sshd"]}
    sent = {"by": told["explained_by"], "count": 31, "examples": told["examples"]}
    entry = checked(explained=[sent], explained_count=31, note="the baseline was taken by this scan")
    results = {"web1": {**found(), "coverage": [entry]}, "web2": found()}
    ask = task("findings_info", "answer", once=True, gather=["explanations", "coverage"], explained_by=["openssh*"])
    other = task("findings_info", once=True, gather=["explanations"], explained_by=["bash *"])
    answer, none = play.each(ask, other, before=[START, RECORD, FINISH], results=results)
    (explanation,) = answer["explanations"]
    assert {key: explanation[key] for key in ("host", "scope", *told)} == {"host": "web1", "scope": "etc", **told}
    first = next(item for item in answer["coverage"] if item["host"] == "web1")
    assert first["entries"] == [entry]
    assert first["last_checked"] == first["recorded"] == explanation["time"]
    assert none["explanations"] == []


def test_a_second_run_resolves_what_is_gone(play: Play) -> None:
    some = task("findings_info", once=True, statuses=["new"], severity="medium", hosts=["*2"])
    everything, selected = play.each(
        ASK,
        some,
        before=[START, RECORD, START, record("later"), FINISH],
        results={"web1": found(finding()), "web2": found(finding(host="web2"))},
        later={"web1": found(), "web2": UNREACHABLE},
    )
    assert {item["host"]: item["status"] for item in everything["findings"]} == {"web1": "resolved", "web2": "new"}
    assert [item["host"] for item in selected["findings"]] == ["web2"]


@_OLDEST
def test_check_mode_says_what_would_happen_and_keeps_nothing(play: Play, tmp_path: pathlib.Path) -> None:
    results = {"web1": found(finding()), "web2": UNREACHABLE}
    keep = {**RECORD, "register": "answer", "when": "inventory_hostname == 'web1'"}
    answer = play.run(START, keep, FINISH, results=results, arguments=["--check", "--diff"])
    assert (answer["changed"], answer["counts"]["new"]) == (True, 1)
    assert "+web1 medium test_alert_state /etc/passwd: new" in play.output
    assert not (tmp_path / "bulwark").exists()
    play.run(START, RECORD, results=results)
    answer = play.run(START, RECORD, ASK, results=results, arguments=["--check"])
    assert (len(answer["runs"]), answer["findings"][0]["status"]) == (1, "new")


def test_decisions_are_kept_and_made_only_once(play: Play) -> None:
    decide = task(
        "findings",
        "answer",
        once=True,
        state="suppressed",
        host="web*",
        reason="CHG-1",
        until="30d",
        include_future=True,
        actor="alice",
    )
    lift = task("findings", once=True, state="unsuppressed", host="web*", reason="over")
    twice = task("findings", once=True, state="resolved", uids=["{{ answer3.findings[0].uid }}"], reason="done")
    decided, _started, _recorded, asked, *made = play.each(
        *(decide, START, record("later", run="answer1"), ASK, lift, lift, twice, twice),
        before=[START, RECORD],
        results={"web1": found(finding()), "web2": found()},
        later={"web1": found(finding()), "web2": found(finding(host="web2"))},
    )
    assert (decided["changed"], decided["changes_count"]) == (True, 1)
    assert (decided["changes"][0]["before"], decided["changes"][0]["after"]) == ("new", "suppressed")
    assert [item["status"] for item in asked["findings"]] == ["suppressed", "suppressed"]
    assert asked["suppressions"][0]["actor"] == "alice"
    assert [answer["changed"] for answer in made] == [True, False, True, False]


def test_controls_are_recorded_judged_and_asked_for(play: Play) -> None:
    benchmark = {
        "coverage": [benchmarks.looked()],
        "controls": [benchmarks.control(), benchmarks.manual()],
        "containers": [benchmarks.container()],
    }
    start = task("findings_run", "opened", once=True, state="started", capabilities=[benchmarks.CAPABILITY])
    record = {
        "bulwark.servers.findings_record": {
            **RECORD["bulwark.servers.findings_record"],
            "capability": benchmarks.CAPABILITY,
        }
    }
    passed = {**JUDGED, "control": "1.1.2", "verdict": "passed", "reason": "OPS-12", "until": "180d", "actor": "alice"}
    failed = {**passed, "verdict": "failed", "until": "2999-01-01"}
    taken_back = {**JUDGED, "state": "unjudged", "control": benchmarks.USERS, "reason": "mistaken"}
    gather = ["controls", "benchmarks", "benchmark_runs", "judgements", "containers"]
    ask = task("findings_info", once=True, gather=gather, hosts=["web1"])
    manual = task("findings_info", once=True, gather=["controls"], controls=["1.*"], control_statuses=["manual"])
    judged = [task("findings", once=True, **options) for options in (passed, failed, failed, taken_back, taken_back)]
    *decided, asked, waiting = play.each(
        *judged, ask, manual, before=[start, record], results={"web1": benchmark, "web2": benchmark}
    )
    assert [made["changed"] for made in decided] == [True, True, False, True, False]
    (judgement,) = decided[0]["judgements"]
    assert (judgement["control"], judgement["subject"]) == (benchmarks.USERS, benchmarks.ENGINE)
    assert (judgement["verdict"], judgement["actor"], judgement["reason"]) == ("passed", "alice", "OPS-12")
    assert [control["number"] for control in asked["controls"]] == ["5.10", "1.1.2"]
    network, users = asked["controls"]
    assert network["evidences"][0]["name"] == "web"
    known = load_benchmarks()[benchmarks.BENCHMARK].controls[benchmarks.NETWORK]
    assert (network["title"], network["level"], network["section"]) == (known.title, known.level, known.section)
    # The collection has no such control.
    assert (users["title"], users["question"]) == (None, None)
    (score,) = asked["benchmarks"]
    assert (score["statuses"], score["score"]) == (
        {"failed": 1, "manual": 1},
        {"of_judged": 0.0, "of_applicable": 0.0},
    )
    assert asked["benchmark_runs"] == [score]
    assert [(entry["verdict"], entry["ended_reason"]) for entry in asked["judgements"]] == [
        ("failed", "mistaken"),
        ("passed", "it was judged again"),
    ]
    assert [entry["container"]["name"] for entry in asked["containers"]] == ["web"]
    assert {control["host"] for control in waiting["controls"]} == {"web1", "web2"}
    answer = play.run({**task("findings", "answer", once=True, **passed)}, arguments=["--check", "--diff"])
    assert answer["changed"]
    assert f"+web1 {benchmarks.USERS} {benchmarks.ENGINE}: passed" in play.output
    still = task("findings_info", "answer", once=True, gather=["judgements"])
    assert all(entry["ended"] for entry in play.run(still)["judgements"])


@_BOTH
def test_what_a_host_called_its_files_is_only_ever_text(play: Play, tmp_path: pathlib.Path) -> None:
    proof = tmp_path / "proof"
    subject = "/tmp/{{ lookup('pipe', 'touch " + str(proof) + "') }}<script>"
    use = {
        "ansible.builtin.debug": {"msg": "{{ answer.findings[0].subject }} {{ answer.history[0] }}"},
        "run_once": True,
    }
    again = task("findings", state="suppressed", subject="{{ answer.findings[0].subject }}", reason="x", once=True)
    facts = {"ansible.builtin.set_fact": {"kept": "{{ answer.findings[0].event.message }}"}, "run_once": True}
    show = {"ansible.builtin.debug": {"var": "kept"}, "run_once": True}
    load = {"ansible.builtin.set_fact": {"results": "{{ lookup('file', path) | from_json }}"}}
    (tmp_path / "results.json").write_text(json.dumps({"web1": found(finding(subject)), "web2": UNREACHABLE}))
    answer = play.run(load, START, RECORD, ASK, use, facts, show, again, ASK, path=str(tmp_path / "results.json"))
    assert (answer["findings"][0]["subject"], answer["findings"][0]["status"]) == (subject, "suppressed")
    assert "lookup('pipe'" in play.output
    assert not proof.exists()


_MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"state": "resolved", "reason": "x"}, "state is resolved but any of the following are missing: uids, alert"),
    ({"state": "suppressed", "host": "*", "reason": "x", "until": "soon"}, "'soon' is not a time: write a date"),
    (
        {"state": "suppressed", "host": "*", "reason": "x", "until": "2020-01-01"},
        "a suppression must end in the fut",
    ),
    (
        {"state": "suppressed", "alert": "fim_file_modifed", "host": "*", "reason": "x"},
        "there is no alert 'fim_file_modifed': did you mean fim_file_modified",
    ),
    ({"state": "resolved", "host": "*", "reason": "x", "store": "mysql://u:geheim@h/d"}, "not with 'mysql'"),
    (
        {**JUDGED, "control": "5.10", "verdict": "passed", "reason": "x"},
        "the store has no control 5.10 of benchmark cis_docker for web1: correct the names, or scan the host first",
    ),
]


def test_a_mistake_is_explained_in_one_sentence(play: Play) -> None:
    attempts = [task("findings", once=True, **options) for options, _message in _MISTAKES]
    *answers, lost = play.each(*attempts, task("findings_record", once=True, run="lost", capability="x", result={}))
    for (_options, message), answer in zip(_MISTAKES, answers, strict=True):
        assert answer["failed"]
        assert message in answer["msg"]
        assert "\n" not in answer["msg"]
        assert "geheim" not in answer["msg"]
    assert "there is no run 'lost' in the store" in lost["msg"]
    assert "Traceback" not in play.output


def test_a_store_that_does_not_work_is_explained_once(play: Play, tmp_path: pathlib.Path) -> None:
    """Ansible adds to an error's message that of each error which led to it; ours need none of that."""
    (tmp_path / "text.db").write_text("This is no database. " * 100)
    words = {
        f"sqlite:///{tmp_path}/text.db": f"the store {tmp_path}/text.db is not an SQLite database; name another file "
        "or restore it from a backup",
        "sqlite:////proc/no/findings.db": "the store /proc/no/findings.db cannot be created: No such file or directory",
        "postgresql://u:geheim@127.0.0.1:1/d": "the store postgresql://u:***@127.0.0.1:1/d does not answer: connection "
        'to server at "127.0.0.1", port 1 failed: Connection refused; start the server, or correct the URL',
    }
    prune = [task("findings_run", once=True, state="pruned", older_than="1d", store=url) for url in words]
    assert [answer["msg"] for answer in play.each(*prune)] == list(words.values())
    assert "caused by" not in play.output


def test_a_delegated_look_is_about_the_host_it_was_delegated_to(play: Play) -> None:
    delegated = {**RECORD, "delegate_to": "web2", "run_once": True}
    answer = play.run(START, delegated, ASK, results={"web1": found(finding(host="web2"))})
    assert [(item["host"], item["status"]) for item in answer["coverage"]] == [
        ("web1", "not_checked"),
        ("web2", "checked"),
    ]
    assert [item["host"] for item in answer["findings"]] == ["web2"]


def test_what_is_over_is_removed_and_a_host_forgotten(play: Play) -> None:
    results = {"web1": found(finding()), "web2": found(finding(host="web2"))}
    prune = task("findings_run", once=True, state="pruned", older_than="1d")
    forget = task("findings_run", once=True, state="forgotten", hosts=["web2"])
    pruned, forgotten, again, left = play.each(
        *(prune, forget, forget, ASK), before=[START, RECORD, FINISH], results=results
    )
    assert pruned["removed"] == {"findings": 0, "runs": 0}
    assert (forgotten["changed"], forgotten["removed"]) == (True, {"findings": 1, "coverage": 1, "seals": 0})
    assert not again["changed"]
    assert [item["host"] for item in left["findings"]] == ["web1"]


def test_a_run_is_judged_by_its_own_hosts(play: Play) -> None:
    play.run(START, RECORD, FINISH, results={"web1": found(finding()), "web2": found(finding(host="web2"))})
    finish = {**FINISH, "register": "answer"}
    answer = play.run(START, RECORD, finish, results={"web1": found()}, arguments=["--limit", "web1"])
    nothing = dict.fromkeys(["critical", "high", "medium", "low", "informational"], 0)
    assert answer["counts"] == {"open_at_least": nothing, "not_fully_checked": 0}
    answer = play.run(START, finish)
    assert answer["counts"] == {
        "open_at_least": {**nothing, "medium": 1, "low": 1, "informational": 1},
        "not_fully_checked": 2,
    }
    assert "counts" not in play.run(START, finish, arguments=["--check"])


def test_a_capability_is_forgotten_whatever_its_name_is(play: Play) -> None:
    plan = {"run": "{{ opened.run.id }}", "result": UNREACHABLE, "capability": "file_integrty"}
    results = {"web1": found(finding()), "web2": found()}
    forget = task("findings_run", once=True, state="forgotten", capabilities=["file_integrty"])
    some = task("findings_run", once=True, state="forgotten", capabilities=["file_integrty"], hosts=["web2"])
    none = task("findings_run", once=True, state="forgotten", capabilities=["file_integrty"], hosts=[])
    *forgotten, left = play.each(
        *(none, some, forget, ASK), before=[START, RECORD, task("findings_record", **plan)], results=results
    )
    assert [answer["removed"] for answer in forgotten] == [
        {"findings": 0, "coverage": 0, "seals": 0},
        {"findings": 0, "coverage": 1, "seals": 0},
        {"findings": 0, "coverage": 1, "seals": 0},
    ]
    assert {item["capability"] for item in left["coverage"]} == {"file_integrity"}
    assert len(left["findings"]) == 1


def test_a_misspelt_alert_and_a_store_that_is_not_there_are_no_empty_answers(
    play: Play, tmp_path: pathlib.Path
) -> None:
    ask = {
        **task("findings_info", "answer", once=True, alerts=["test_alert_*", "fim_file_creatd"]),
        "ignore_errors": True,
    }
    assert "there is no store at" in play.run(ask)["msg"]
    assert not (tmp_path / "bulwark").exists()
    play.run(START, RECORD, results={"web1": found(finding()), "web2": found()})
    assert "there is no alert 'fim_file_creatd': did you mean fim_file_created" in play.run(ask)["msg"]


def test_who_changed_baselines_and_why_is_answered(play: Play, tmp_path: pathlib.Path) -> None:
    play.run(START)
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/bulwark/findings.db")) as store:
        for host in ("web1", "web2"):
            store.propose_seal(host, "default", "aa", by="alice", reason="CHG-1", now=100)
    ask = task("findings_info", "answer", once=True, gather=["seals"], hosts=["*2"])
    (entry,) = play.run(ask)["seals"]
    assert {name: entry[name] for name in ("time", "host", "name", "action", "actor", "reason")} == {
        "time": 100,
        "host": "web2",
        "name": "default",
        "action": "proposed",
        "actor": "alice",
        "reason": "CHG-1",
    }
