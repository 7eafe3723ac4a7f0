# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event subscriptions of WMI: what is read of recorded replies, and what it means.

The replies have the properties that ``Get-WmiObject`` shows on Windows 10; see the class documentation of
CommandLineEventConsumer, ActiveScriptEventConsumer and NTEventLogEventConsumer on Microsoft Learn.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.change_ids import change_ids
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import windows_watches
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

_SCRIPT = "WmiScript"

CONSUMER, FILTER, BINDING = "__EventConsumer", "__EventFilter", "__FilterToConsumerBinding"
DENIED = 0x80041003
NO_CLASS = 0x80041010
# S-1-5-32-544
ADMINISTRATORS = "sid:" + base64.b64encode(bytes([1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0])).decode()
ALL = {"wmi": ["root", "root\\*"]}
QUERY = "SELECT * FROM __InstanceModificationEvent WITHIN 60 WHERE TargetInstance ISA 'Win32_LocalTime'"

SCM_BINDING = (
    '__FilterToConsumerBinding.Consumer="NTEventLogEventConsumer.Name=\\"SCM Event Log Consumer\\"",'
    'Filter="__EventFilter.Name=\\"SCM Event Log Filter\\""'
)

Instance = list[t.Any]
Wmi = dict[str, t.Any]
Result = dict[str, t.Any]


@functools.cache
def script() -> Driver:
    here = pathlib.Path(__file__)
    names = ("Changes", "Classifier", "Definitions", "Lines", "Review", "WmiCollector", "WmiJudge", "RegistryCollector")
    return Driver(
        *(f"file_integrity.{name}" for name in (*names, "RegistryJudge")),
        sources=[here.with_name(name) for name in ("WmiScript.cs", "RegistryScript.cs", "RecordedFacts.cs")],
    )


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def consumer(name: str, kind: str = "CommandLineEventConsumer", **properties: t.Any) -> Instance:
    usual = {"CreatorSID": ADMINISTRATORS, "MachineName": None, "MaximumQueueSize": None, "Name": name}
    return [kind, f'{kind}.Name="{escaped(name)}"', {**usual, **properties}]


def command(name: str, template: str | None, **properties: t.Any) -> Instance:
    usual = {"CreateNewConsole": False, "ExecutablePath": None, "KillTimeout": 0, "Priority": 32}
    return consumer(name, CommandLineTemplate=template, **{**usual, **properties})


def script_consumer(name: str, text: str | None, **properties: t.Any) -> Instance:
    return consumer(name, "ActiveScriptEventConsumer", ScriptText=text, ScriptingEngine="VBScript", **properties)


def event_filter(name: str, query: str = QUERY) -> Instance:
    properties = {"CreatorSID": ADMINISTRATORS, "EventAccess": None, "EventNamespace": "root\\cimv2", "Name": name}
    return [FILTER, f'{FILTER}.Name="{escaped(name)}"', {**properties, "Query": query, "QueryLanguage": "WQL"}]


def binding(consumer_path: str, filter_path: str) -> Instance:
    path = f'{BINDING}.Consumer="{escaped(consumer_path)}",Filter="{escaped(filter_path)}"'
    flags = {"DeliverSynchronously": False, "MaintainSecurityContext": False, "SlowDownProviders": False}
    return [BINDING, path, {"CreatorSID": ADMINISTRATORS, "Consumer": consumer_path, "Filter": filter_path, **flags}]


def namespaces(*names: str) -> dict[str, list[Instance]]:
    return {"__NAMESPACE": [["__NAMESPACE", f'__NAMESPACE.Name="{name}"', {"Name": name}] for name in names]}


def host(
    consumers: t.Sequence[Instance] = (),
    filters: t.Sequence[Instance] = (),
    bindings: t.Sequence[Instance] = (),
    more: t.Mapping[str, t.Any] | None = None,
) -> Wmi:
    """Return a host with what every Windows has, these in root\\subscription, and more namespaces."""
    windows = consumer(
        "SCM Event Log Consumer",
        "NTEventLogEventConsumer",
        Category=0,
        EventID=0,
        EventType=1,
        InsertionStringTemplates=[""],
        NameOfUserSIDProperty="sid",
        NumberOfInsertionStrings=0,
        SourceName="Service Control Manager",
    )
    scm_filter = event_filter("SCM Event Log Filter", "select * from MSFT_SCMEventLogEvent")
    return {
        "root": namespaces("subscription", "DEFAULT", "CIMV2"),
        "root\\cimv2": namespaces("Security"),
        "root\\cimv2\\security": {},
        "root\\default": {},
        "root\\subscription": {
            CONSUMER: [windows, *consumers],
            FILTER: [scm_filter, *filters],
            BINDING: [binding(windows[1], scm_filter[1]), *bindings],
        },
        **(more or {}),
    }


def attack(template: str = "cmd /c C:\\Tools\\x.exe", name: str = "Updater") -> Wmi:
    evil = command(name, template)
    trigger = event_filter("Updater")
    return host([evil], [trigger], [binding(evil[1], trigger[1])])


def collect(
    wmi: Wmi,
    watch: dict[str, t.Any] | None = None,
    *,
    files: dict[str, bool] | None = None,
    seconds: float = 20,
    budget: float = 0,
    limit: int = 100,
) -> Result:
    arguments = (wmi, watch or dict(ALL), {"files": files or {}}, seconds, budget, limit)
    result: Result = script().call(f"{_SCRIPT}.Collect", *arguments)
    return result


def suspicious(result: Result) -> list[tuple[str, str]]:
    return [(entry["severity"], entry["message"]) for entry in result["entries"] if entry["severity"]]


def skipped(result: Result) -> list[tuple[str, str]]:
    return [(item["subject"], item["reason"]) for item in result["coverage"]["skipped"]]


def compare(before: Wmi, after: Wmi, watch: dict[str, t.Any] | None = None) -> Result:
    result: Result = script().call(f"{_SCRIPT}.Compare", before, after, watch or dict(ALL))
    return result


def by_subject(result: Result) -> dict[str, tuple[str, str]]:
    return {item["subject"].partition("(")[0]: (item["severity"], item["message"]) for item in result["detections"]}


def test_a_clean_host_is_read_whole_and_is_silent() -> None:
    result = collect(host())
    assert [entry["path"] for entry in result["entries"]] == [
        'WMI\\root\\subscription\\NTEventLogEventConsumer.Name="SCM Event Log Consumer"',
        'WMI\\root\\subscription\\__EventFilter.Name="SCM Event Log Filter"',
        f"WMI\\root\\subscription\\{SCM_BINDING}",
    ]
    attributes = result["entries"][0]["attributes"]
    assert attributes["owner"] == "S-1-5-32-544"
    assert attributes["data"]["EventType"] == "1"
    assert "MachineName" not in attributes["data"]
    assert result["coverage"]["status"] == "checked"
    assert result["coverage"]["examined"] == 3
    assert suspicious(result) == []
    asked = {path.partition(":")[0] for path in result["asked"]}
    assert asked == {"root", "root\\cimv2", "root\\cimv2\\security", "root\\default", "root\\subscription"}


@pytest.mark.parametrize(
    ("evil", "severity", "clause"),
    [
        (command("x", "cmd /c C:\\Tools\\x.exe"), "medium", "check who made it"),
        (command("x", "powershell -enc " + "QUJD" * 20), "high", "its code is in the command itself"),
        (command("x", None, ExecutablePath="C:\\Users\\Public\\x.exe"), "high", "it lies where every account"),
        (command("x", "x.exe " + "a" * 5000), "high", "no command is so long"),
        (script_consumer("x", "CreateObject(1)"), "medium", "check who made it"),
        (script_consumer("x", 'GetObject("script:https://a/b")'), "high", "its code is in the command itself"),
        (script_consumer("x", None, ScriptFilename="\\\\10.0.0.1\\s\\a.vbs"), "high", "loaded from another computer"),
        # A class of one's own that is derived from the usual one.
        (consumer("x", "Harmless", CommandLineTemplate="C:\\Tools\\x.exe"), "medium", "check who made it"),
    ],
)
def test_a_consumer_that_an_event_starts_is_suspicious_on_the_first_look(
    evil: Instance, severity: str, clause: str
) -> None:
    trigger = event_filter("t")
    ((raised, message),) = suspicious(collect(host([evil], [trigger], [binding(evil[1], trigger[1])])))
    assert raised == severity
    assert clause in message
    assert f"on '{QUERY}'" in message
    assert message.startswith(f"WMI\\root\\subscription\\{evil[1]} runs '")


@pytest.mark.parametrize(
    "reference",
    [
        "\\\\.\\root\\subscription:{0}",
        "\\\\HOST\\ROOT\\Subscription:{0}",
        "root\\subscription:{0}",
        'commandlineeventconsumer.name="a:b\\\\c\\"d"',
        # WMI knows more forms than are resolved here; what is not understood is taken for any consumer.
        'CommandLineEventConsumer="a:b\\\\c\\"d"',
        "winmgmts:{0}",
    ],
)
def test_however_a_binding_names_its_consumer(reference: str) -> None:
    evil = command('a:b\\c"d', "C:\\Tools\\x.exe")
    trigger = event_filter("t")
    bound = host([evil], [trigger], [binding(reference.format(evil[1]), trigger[1])])
    assert [severity for severity, _message in suspicious(collect(bound))] == ["medium"]
    assert suspicious(collect(host([evil], [trigger]))) == [], "nothing starts it"


def test_no_reference_ends_the_reading() -> None:
    odd = [
        "",
        ":",
        '"',
        "\\",
        "\\\\",
        "\\\\x",
        "\\\\x:",
        ':"',
        '":',
        "\0",
        "\ud800:",
        "a" * 100_000,
        None,
        7,
        [1, None, "x"],
    ]
    bindings = [
        [BINDING, f"{BINDING}.Consumer={number}", {"Consumer": value, "Filter": value, "CreatorSID": "sid:AQ=="}]
        for number, value in enumerate(odd)
    ]
    nameless = [[None, None, {"ScriptText": 7}], ["", "", {}]]
    result = collect(host(nameless, [], bindings))
    assert len(result["entries"]) == 3 + len(odd) + len(nameless)
    assert result["coverage"]["status"] == "checked"
    # A script that is a number runs nothing that WMI knows, and is shown.
    assert [severity for severity, _message in suspicious(result)] == ["medium"]


def test_a_binding_in_another_namespace_starts_a_consumer_too() -> None:
    evil = command("x", "C:\\Tools\\x.exe")
    elsewhere = binding(f"\\\\.\\root\\subscription:{evil[1]}", f'\\\\.\\root\\subscription:{FILTER}.Name="t"')
    wmi = host([evil], [event_filter("t")], more={"root\\default": {BINDING: [elsewhere]}})
    ((severity, message),) = suspicious(collect(wmi))
    assert severity == "medium"
    assert QUERY in message


def test_the_consumer_of_old_windows_is_known_by_its_content_while_its_script_is_absent() -> None:
    old = {"WorkingDirectory": "C:\\\\tools\\\\kernrate"}
    trigger = event_filter("BVTFilter")
    script_file = "C:\\tools\\kernrate\\KernCap.vbs"

    def look(template: str, name: str = "BVTConsumer", *, exists: bool = False) -> list[tuple[str, str]]:
        kernel = command(name, template, **old)
        wmi = host([kernel], [trigger], [binding(kernel[1], trigger[1])])
        return suspicious(collect(wmi, files={script_file: exists}))

    assert look("cscript KernCap.vbs") == []
    assert [severity for severity, _ in look("cscript KernCap.vbs", exists=True)] == ["medium"]
    assert [severity for severity, _ in look("cscript KernCap2.vbs")] == ["medium"]
    assert [severity for severity, _ in look("cscript KernCap.vbs", "Other")] == ["medium"]


def test_a_new_subscription_is_high_and_names_what_it_runs() -> None:
    result = compare(host(), attack())
    prefix = "WMI\\root\\subscription\\"
    severities = {subject: severity for subject, (severity, _message) in by_subject(result).items()}
    assert severities == {
        f'{prefix}CommandLineEventConsumer.Name="Updater"': "high",
        f'{prefix}__EventFilter.Name="Updater"': "low",
        f'{prefix}__FilterToConsumerBinding.Consumer="CommandLineEventConsumer.Name=\\"Updater\\"",'
        'Filter="__EventFilter.Name=\\"Updater\\""': "medium",
    }
    message = by_subject(result)[f'{prefix}CommandLineEventConsumer.Name="Updater"'][1]
    assert message.endswith("was created: it runs 'cmd /c C:\\Tools\\x.exe'")
    assert {item["alert"] for item in result["detections"]} == {"persistence_wmi"}
    findings = events.findings(result["detections"], catalogue.load(), events.Device("host"), 1.0)
    assert [finding["unmapped"].get("notes") for finding in findings] == [None] * 3
    assert all(change_ids(finding) for finding in findings)


def test_changed_and_deleted_subscriptions() -> None:
    changed = compare(attack(), attack("cmd /c C:\\Tools\\y.exe"))
    ((severity, message),) = by_subject(changed).values()
    assert severity == "high"
    assert message.endswith("was modified: it runs 'cmd /c C:\\Tools\\y.exe'")
    deleted = compare(attack(), host())
    assert {severity for severity, _message in by_subject(deleted).values()} == {"low"}
    assert len(by_subject(deleted)) == 3
    evil = attack()
    other = attack()
    other["root\\subscription"][FILTER][1] = event_filter("Updater", "SELECT * FROM RegistryKeyChangeEvent")
    ((severity, message),) = by_subject(compare(evil, other)).values()
    assert (severity, "RegistryKeyChangeEvent" in message) == ("medium", True)


def test_a_consumer_that_is_bound_later_is_suspicious_then() -> None:
    evil, trigger = command("x", "C:\\Tools\\x.exe"), event_filter("t")
    before, after = host([evil], [trigger]), host([evil], [trigger], [binding(evil[1], trigger[1])])
    first, second = collect(before), collect(after)
    assert suspicious(first) == []
    assert [severity for severity, _message in suspicious(second)] == ["medium"]
    assert {severity for severity, _message in by_subject(compare(before, after)).values()} == {"medium"}


def test_what_windows_brings_is_explained_by_its_whole_content() -> None:
    bare = {**host(), "root\\subscription": {}}
    result = compare(bare, host())
    assert result["detections"] == []
    assert [(item["package"], item["count"]) for item in result["explained"]] == [("Windows", 3)]
    changed = host()
    for server in ("\\\\10.0.0.1", "\u202e" * 5000):
        changed["root\\subscription"][CONSUMER][0][2]["UNCServerName"] = server
        ((severity, _message),) = by_subject(compare(bare, changed)).values()
        assert severity == "medium"


def test_a_provider_of_consumers_is_reported() -> None:
    registration = ["__EventConsumerProviderRegistration", '__EventConsumerProviderRegistration.provider="x"', {}]
    wmi = host(more={"root\\default": {"__EventConsumerProviderRegistration": [registration]}})
    assert [severity for severity, _message in by_subject(compare(host(), wmi)).values()] == ["medium"]


@pytest.mark.parametrize(
    ("state", "reason"), [(0, "cannot be read"), (1, "not running"), (3, "not running"), (7, "not running")]
)
def test_a_service_that_does_not_run_is_coverage_and_deletes_nothing(state: int, reason: str) -> None:
    stopped = {"state": state}
    result = collect(stopped)
    assert result["asked"] == []
    assert result["coverage"]["status"] == "not_checked"
    assert reason in result["coverage"]["reason"]
    assert compare(attack(), stopped)["detections"] == []


@pytest.mark.parametrize(
    ("replies", "subject", "reason"),
    [
        ({"root\\default": {CONSUMER: DENIED}}, f"root\\default\\{CONSUMER}", "access is denied"),
        ({"root\\default": {FILTER: NO_CLASS}}, f"root\\default\\{FILTER}", "there is no such class"),
        ({"root\\default": {BINDING: 0x40004}}, f"root\\default\\{BINDING}", "does not answer in time"),
        ({"root\\default": {"__NAMESPACE": 0x80041001}}, "root\\default\\__NAMESPACE", "error 0x80041001"),
        ({"root": namespaces("subscription", "a\u202eb")}, f"root\\a<U+202E>b\\{CONSUMER}", "no such namespace"),
    ],
)
def test_what_cannot_be_read_is_coverage(replies: Wmi, subject: str, reason: str) -> None:
    result = collect({**attack(), **replies})
    ((skipped_subject, skipped_reason),) = skipped(result)
    assert skipped_subject == subject
    assert reason in skipped_reason
    assert result["coverage"]["status"] == "partial"
    assert len(suspicious(result)) == 1


def test_a_consumer_whose_binding_may_be_unread_counts_as_bound() -> None:
    evil = command("x", "C:\\Tools\\x.exe")
    wmi = host([evil])
    assert suspicious(collect(wmi)) == []
    wmi["root\\default"] = {BINDING: DENIED}
    assert [severity for severity, _message in suspicious(collect(wmi))] == ["medium"]


def test_a_namespace_without_a_name_is_no_loop() -> None:
    wmi = host(more={"root\\default": namespaces("")})
    assert collect(wmi)["coverage"]["status"] == "checked"


def test_what_was_not_read_is_not_deleted() -> None:
    def denied(name: str) -> Wmi:
        wmi = host()
        wmi["root\\subscription"] = {**wmi["root\\subscription"], name: DENIED}
        return wmi

    for name in (CONSUMER, FILTER, BINDING):
        assert compare(attack(), denied(name))["detections"] == []


def test_a_namespace_that_is_gone_took_its_subscriptions_with_it() -> None:
    other = {"root": namespaces("Other"), "root\\other": attack()["root\\subscription"]}
    before = host(more=other)
    assert len(compare(before, host())["detections"]) == 6
    assert compare(before, host(more={"root": {"__NAMESPACE": DENIED}}))["detections"] == []
    assert compare(before, host(more={"root": {CONSUMER: DENIED}}))["detections"] == []
    assert compare(before, host(more={"root": namespaces("Other")}))["detections"] == []


def test_a_service_that_hangs_ends_the_reading_in_time() -> None:
    hanging = {**host(), "wait": 1500}
    result = collect(hanging, seconds=0.2)
    assert result["coverage"]["status"] == "not_checked"
    assert "not read within 0.2 s" in result["coverage"]["reason"]
    late = collect(hanging, budget=0.2)
    assert "the time budget of 0.2 s was used up" in late["coverage"]["reason"]


def test_an_error_of_the_interface_is_coverage() -> None:
    result = collect({**host(), "crash": "no such library"})
    assert result["coverage"]["reason"] == "WMI could not be asked: no such library"


def test_a_flood_says_what_was_not_read_and_hides_nothing_elsewhere() -> None:
    evil = attack()["root\\subscription"]
    flood = [consumer(f"n{number}", "LogFileEventConsumer", Text="x") for number in range(200)]
    wmi = host(more={"root\\default": {CONSUMER: flood}, "root\\subscription": evil})
    result = collect(wmi, limit=50)
    assert skipped(result) == [(f"root\\default\\{CONSUMER}", "there are too many")]
    assert len(suspicious(result)) == 1
    many = {**wmi, "root": namespaces("subscription", *(f"n{number}" for number in range(200)))}
    result = collect(many, limit=50)
    assert ("root\\__NAMESPACE", "there are too many") in skipped(result)
    assert len(suspicious(result)) == 1


def test_names_and_texts_are_bounded_escaped_and_masked() -> None:
    name = "\u202e\ud800\n" + "n" * 10_000
    evil = command(name, "x.exe --password=hunter2 \x1b[2J" + "y" * 100_000)
    trigger = event_filter("t")
    result = collect(host([evil], [trigger], [binding(evil[1], trigger[1])]))
    (entry,) = [entry for entry in result["entries"] if "CommandLineEventConsumer" in entry["path"][:60]]
    assert len(entry["path"]) < 2200
    data = entry["attributes"]["data"]["CommandLineTemplate"]
    assert "hunter2" not in str(result)
    assert data.startswith("x.exe --password=*** <U+001B>[2J")
    assert len(data) < 2200
    assert "\u202e" not in entry["message"]
    assert len(entry["message"]) < 3000
    other = command(name + "2", "x.exe")
    paths = [entry["path"] for entry in collect(host([evil, other]))["entries"]]
    assert len(set(paths)) == len(paths), "what is cut stays told apart"
    # The digest is over all of it.
    longer = command(name, "x.exe --password=hunter2 \x1b[2J" + "y" * 100_001)
    assert len(compare(host([evil]), host([longer]))["detections"]) == 1


def test_a_class_with_endless_properties_hides_no_command_and_damages_no_baseline() -> None:
    properties = {f"A{number}{'x' * 90}": "\u202e" * 5000 for number in range(5000)}
    trigger = event_filter("t")
    for more in (properties, {"A" * 100_000: "x"}, dict(list(properties.items())[:60])):
        evil = command("x", "cmd /c C:\\Tools\\x.exe", **more)
        result = collect(host([evil], [trigger], [binding(evil[1], trigger[1])]))
        ((severity, message),) = suspicious(result)
        assert (severity, "'cmd /c C:\\Tools\\x.exe'" in message) == ("medium", True)
        assert len(json.dumps(result["entries"])) < 20_000
    deep = {**host(), "root": namespaces("subscription", "n" * 1001)}
    assert skipped(collect(deep)) == [(f"root\\{'n' * 995}", "its path is too long")]


def test_a_watch_reads_only_its_namespaces() -> None:
    some = collect(attack(), {"wmi": ["root\\Subscription"]})
    assert {path.partition(":")[0] for path in some["asked"]} == {"root\\subscription"}
    assert len(some["entries"]) == 6
    excluded = collect(attack(), {**ALL, "exclude": ["wmi\\root\\cimv2", 'WMI\\*.Name="Updater"', "*"]})
    assert not any("cimv2" in path for path in excluded["asked"])
    # A glob that is not for WMI leaves nothing of it out.
    assert [entry["path"].partition("\\subscription\\")[2][:12] for entry in excluded["entries"]] == [
        "NTEventLogEv",
        "__EventFilte",
        "__FilterToCo",
        "__FilterToCo",
    ]
    nothing = collect(attack(), {"paths": ["C:\\x"]})
    assert (nothing["entries"], nothing["asked"]) == ([], [])


MOF = "C:\\Windows\\System32\\wbem\\AutoRecover\\0A.mof"
PLAIN = '#pragma namespace("\\\\\\\\.\\\\root\\\\cimv2")\nclass X { string a; };'


@pytest.mark.parametrize(
    ("content", "severity"),
    [
        (PLAIN.encode(), "low"),
        (PLAIN.encode("utf-16"), "low"),
        (f"{PLAIN} instance of CommandLineEventConsumer {{}};".encode(), None),
        (f"{PLAIN} instance of __eventfilter {{}};".encode("utf-16"), None),
        (f"{PLAIN} instance of __FilterToConsumerBinding {{}};".encode("utf-16-be"), None),
        (b"FOMB" + bytes(40), None),
        (None, None),
    ],
)
def test_a_file_that_wmi_compiles_again_is_low_without_subscriptions(
    content: bytes | None, severity: str | None
) -> None:
    def judge(path: str = MOF, digest: str | None = None, changed: t.Sequence[str] = ()) -> str | None:
        actual = digest or hashlib.sha256(content or b"").hexdigest()
        encoded = None if content is None else base64.b64encode(content).decode()
        judgement = script().call(f"{_SCRIPT}.JudgeFile", path, actual, list(changed), encoded)
        return None if judgement is None else judgement["Severity"]

    assert judge() == severity
    assert judge(changed=["content", "mtime"]) == severity
    assert judge(changed=["content", "dacl"]) is None
    assert judge(digest="0" * 64) is None, "it was replaced since it was recorded"
    assert judge("C:\\Windows\\System32\\wbem\\other.mof") is None


def test_the_collection_watches_every_namespace() -> None:
    (watch,) = [watch for watch in windows_watches.load_watches() if watch.get("wmi")]
    assert watch["wmi"] == ["root", "root\\*"]
    assert "exclude" not in watch
    result = script().call(f"{_SCRIPT}.Collect", attack(), {**watch, "alert": None}, {}, 20, 0, 100)
    assert len(result["entries"]) == 6
