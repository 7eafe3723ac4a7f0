# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up an investigation in at most 20 sentences."""

from __future__ import annotations

import collections
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation.index import Index, Node
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation.words import (
    acts,
    at,
    joined,
    name,
    names,
    short,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, format_time, listed

MOST_LINES = 20
_LONGEST_LINE = 500
_LONGEST_CHAIN = 8
# The scope of what the investigation begins with, and so many of it that the host does not have are named.
_SUBJECT = "subject"
_MOST_MISSING = 3
# In the order in which they are counted.
_NOUNS = {
    "process": ("process", "processes"),
    "file": ("file", ""),
    "address": ("address", "addresses"),
    "listener": ("listener", ""),
    "account": ("account", ""),
    "session": ("session", ""),
    "startup": ("startup item", ""),
    "package": ("package", ""),
    "container": ("container", ""),
}
# Programs that begin a session for each job, which nobody signed in for.
_JOBS = frozenset(("cron", "crond", "atd", "anacron"))
# Programs that start another one with other rights or another terminal, and several of them one after the other.
_WRAPPERS = frozenset(("sudo", "doas", "su", "env", "nohup", "setsid", "nice", "ionice", "timeout", "stdbuf"))
_MOST_WRAPPERS = 4
_NUMBER = re.compile(r" \(\d{1,10}\)")
_STEPS_UNKNOWN = 1 << 30


def lines(
    investigation: t.Mapping[str, t.Any],
    coverage: t.Sequence[t.Mapping[str, t.Any]] = (),
    elsewhere: t.Sequence[str] = (),
) -> list[str]:
    """Return the sentences of a summary, at most ``MOST_LINES``.

    investigation: as ``received.check`` returns it. coverage: entries of the same look, as the store has them.
    elsewhere: sentences about other hosts.
    """
    index = Index(investigation)
    if not index.nodes:
        begin = short(investigation["subject"])
        return [f"Nothing on the host is known to belong to {begin}.", *_limits(investigation, coverage)]
    steps = {reason["node"]: reason["step"] for reason in investigation["reasons"]}
    parts = [
        list(part)
        for part in (
            _sign_ins(index),
            _requests(index),
            _processes(index, steps),
            _startups(index),
            _modified(index),
            _signs(index),
            _near(index),
            elsewhere,
        )
    ]
    last = [*_missing(coverage), *_limits(investigation, coverage)]
    body = _fitted(parts, MOST_LINES - 1 - len(last))
    return [short(line, _LONGEST_LINE) for line in [_begin(investigation, index), *body, *last]]


def _fitted(parts: t.Sequence[t.Sequence[str]], room: int) -> list[str]:
    """Return as many sentences as there is room for, so that no part takes the room of the others."""
    total = sum(map(len, parts))
    if total <= room:
        return [line for part in parts for line in part]
    taken = [0] * len(parts)
    while sum(taken) < room - 1:
        for number, part in enumerate(parts):
            if taken[number] < len(part) and sum(taken) < room - 1:
                taken[number] += 1
    shown = [line for part, number in zip(parts, taken, strict=True) for line in part[:number]]
    return [*shown, f"{counted(total - len(shown), 'more sentence')} would follow; the report shows everything."]


def _begin(investigation: t.Mapping[str, t.Any], index: Index) -> str:
    numbers = collections.Counter(node["kind"] for node in index.nodes.values())
    counts = [counted(numbers[kind], *nouns) for kind, nouns in _NOUNS.items() if numbers[kind]]
    # Nobody reads the uid of a finding, and whoever reads this began with it.
    subject = str(investigation["subject"])
    about = "" if subject.startswith("finding ") else f" of {short(subject)}"
    text = f"The investigation{about} names {joined(counts)}"
    events = investigation["events"]
    # Anybody can set the time at which a file was written, and files have other times from before the attack.
    attested = [event for event in events if event["by"] != "file system"]
    dated = [event for event in events if not str(event["text"]).endswith(" was written")]
    times = [event["time"] for event in attested or dated or events]
    if not times:
        return f"{text}."
    first, last = format_time(min(times)), format_time(max(times))
    return f"{text}. It happened at {first} UTC." if first == last else f"{text}, from {first} to {last} UTC."


def _sign_ins(index: Index) -> t.Iterator[str]:
    for session in index.of_kind("session"):
        facts = session["facts"]
        source = index.sources(session, "signed_in", "address")
        accounts = index.targets(session, "runs_as", "account") or index.sources(session, "signed_in", "account")
        user = facts.get("user") or (name(accounts[0]) if accounts else "") or facts.get("account")
        if not user:
            continue
        who = f"Account {short(str(user))}" if str(user).isdigit() else short(str(user))
        where = name(source[0]) if source else short(str(facts.get("source") or ""))
        key = f" with the key {short(str(facts['key']))}" if facts.get("key") else ""
        members = index.sources(session, "belongs_to", "process")
        leaders = [process for process in members if not _is_member(index, index.parent(process), session)]
        started = f" and started {names(leaders)}" if leaders else ""
        if str(facts.get("program") or facts.get("service") or "").rpartition("/")[2] in _JOBS:
            if leaders:
                yield f"A job of cron for {who}{at(session['first'])}{started}."
            continue
        yield f"{who} signed in{' from ' + where if where else ''}{key}{at(session['first'])}{started}."


def _is_member(index: Index, process: Node | None, session: Node) -> bool:
    return process is not None and index.is_linked(process, "belongs_to", session)


def _requests(index: Index) -> t.Iterator[str]:
    for address in index.of_kind("address"):
        requested = index.targets(address, "requested", "file")
        if requested:
            yield f"{name(address)} requested {names(requested)} from the web server{at(address['first'])}."


def _processes(index: Index, steps: t.Mapping[str, int]) -> t.Iterator[str]:
    """Tell trees of processes from their roots, the tree that is nearest to the beginning first."""
    processes = _without_wrappers(index, steps)
    ids = {process["id"] for process in processes}
    parents = {process["id"]: _named_parent(index, process, steps, ids) for process in processes}
    children: dict[str, list[Node]] = collections.defaultdict(list)
    for process in processes:
        children[parents[process["id"]] or ""].append(process)
    for each in children.values():
        each.sort(key=lambda process: (process["first"] or 0, process["id"]))
    named: set[str] = set()
    sentences: list[str] = []
    for root in sorted(children[""], key=lambda root: _nearest(root, children, steps)):
        if not _is_starter(root, steps):
            sentences += _tree(index, root, children, named)
    yield from _once(sentences)


def _without_wrappers(index: Index, steps: t.Mapping[str, int]) -> list[Node]:
    """Return the processes, but not those that did nothing but start one other for somebody, as sudo does."""
    processes = index.of_kind("process")
    started = collections.Counter((index.parent(process) or {"id": None})["id"] for process in processes)
    return [
        process
        for process in processes
        if process["facts"].get("name") not in _WRAPPERS
        or started[process["id"]] != 1
        or steps.get(process["id"]) == 0
        or acts(index, process)
    ]


def _once(sentences: t.Sequence[str]) -> t.Iterator[str]:
    """Tell what several processes did alike, such as each run of a job, in one sentence."""
    same: dict[str, list[str]] = {}
    for sentence in sentences:
        same.setdefault(_NUMBER.sub("", sentence), []).append(sentence)
    for each in same.values():
        more = len(each) - 1
        yield (
            each[0] if not more else f"{each[0][:-1]}; {counted(more, 'more process', 'more processes')} did the same."
        )


def _nearest(root: Node, children: t.Mapping[str, t.Sequence[Node]], steps: t.Mapping[str, int]) -> int:
    """Return the steps from the beginning to the nearest process of a tree."""
    waiting, fewest = [root], _STEPS_UNKNOWN
    while waiting:
        process = waiting.pop()
        fewest = min(fewest, steps.get(process["id"], _STEPS_UNKNOWN))
        waiting += children.get(process["id"], ())
    return fewest


def _named_parent(index: Index, process: Node, steps: t.Mapping[str, int], named: t.Container[str]) -> str | None:
    """Return the parent with which a sentence names a process: none under init and the like."""
    parent = index.parent(process)
    for _level in range(_MOST_WRAPPERS):
        if parent is None or parent["facts"].get("name") not in _WRAPPERS or parent["id"] in named:
            break
        parent = index.parent(parent)
    return None if parent is None or _is_starter(parent, steps) else str(parent["id"])


def _is_starter(process: Node, steps: t.Mapping[str, int]) -> bool:
    return process["facts"].get("starts_jobs") is True and steps.get(process["id"]) != 0


def _tree(index: Index, root: Node, children: t.Mapping[str, t.Sequence[Node]], named: set[str]) -> t.Iterator[str]:
    """Tell a chain of processes in one sentence, and each branch in one of its own."""
    waiting = [root]
    while waiting:
        process = waiting.pop(0)
        text, separator = name(process), " "
        for _number in range(_LONGEST_CHAIN):
            named.add(process["id"])
            started = [child for child in children.get(process["id"], ()) if child["id"] not in named]
            parts = acts(index, process) + ([f"started {names(started)}"] if started else [])
            if not parts:
                break
            text, separator = f"{text}{separator}{joined(parts)}", ", which "
            if len(started) != 1:
                waiting[:0] = started
                break
            process = started[0]
        else:
            waiting.insert(0, process)
        if separator != " ":
            yield f"{text}."


def _startups(index: Index) -> list[str]:
    """Tell startups, those that start something first."""
    ranked = [_startup(index, startup) for startup in index.of_kind("startup")]
    return [text for _rank, text in sorted(ranked, key=lambda each: each[0])]


def _startup(index: Index, startup: Node) -> tuple[int, str]:
    kind = startup["facts"].get("startup")
    label = f"{name(startup)} ({short(str(kind))})" if kind else name(startup)
    starts = index.targets(startup, "starts")
    mentions = [node for node in index.targets(startup, "mentions") if not index.is_linked(startup, "starts", node)]
    let_in = index.sources(startup, "mentions", "session")
    # A startup has the path of its file, which is a node of its own if a process wrote it.
    writers = index.sources({"id": f"file:{startup['id'].partition(':')[2]}"}, "wrote", "process")
    parts = [
        f"starts {names(starts)}" if starts else "",
        f"names {names(mentions)}" if mentions and not starts else "",
        f"let {names(let_in)} in" if let_in else "",
        f"was written by {names(writers)}" if writers else "",
    ]
    does = joined([part for part in parts if part])
    changed = f"It was changed{at(startup['last'])}" if startup["last"] is not None else ""
    if not does:
        is_near = bool(index.targets(startup, "near"))
        return 2, f"{label} was changed near in time{at(startup['last'])}." if is_near else f"{label} belongs to it."
    return 0 if starts or let_in else 1, f"{label} {does}. {changed + '.' if changed else ''}".strip()


def _modified(index: Index) -> t.Iterator[str]:
    for package in index.of_kind("package"):
        differing = package["facts"].get("differing")
        if isinstance(differing, list) and differing:
            files = listed([short(str(path)) for path in differing], 3)
            yield f"Not as the package {name(package)} installed it: {files}."


def _signs(index: Index) -> t.Iterator[str]:
    for file in index.of_kind("file"):
        signs = file["facts"].get("signs")
        for sign in signs[:2] if isinstance(signs, list) else ():
            yield f"{name(file)}: {short(str(sign), 200)}"


def _near(index: Index) -> t.Iterator[str]:
    files = [file for file in index.of_kind("file") if index.targets(file, "near")]
    others = [file for file in files if not index.sources(file, "wrote")]
    if others:
        verb = "was" if len(others) == 1 else "were"
        yield f"Near in time {verb} changed: {names(others)}."


def _missing(coverage: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Name what the investigation should begin with and the host does not have."""
    skipped = [entry.get("skipped") for entry in coverage if entry.get("scope") == _SUBJECT]
    named = [each for entries in skipped if isinstance(entries, list) for each in entries if isinstance(each, dict)]
    lines = [f"{short(str(each.get('subject')))}: {short(str(each.get('reason')))}." for each in named[:_MOST_MISSING]]
    return [line[:1].upper() + line[1:] for line in lines]


def _limits(investigation: t.Mapping[str, t.Any], coverage: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Say what is missing, in at most two lines."""
    named = _missing(coverage)
    unread = [entry for entry in coverage if entry.get("status") != "checked"]
    unread = [entry for entry in unread if not (named and entry.get("scope") == _SUBJECT)]
    scopes = [short(str(entry.get("scope")).replace("_", " ")) for entry in unread]
    reasons = [str(entry["reason"]) for entry in unread if entry.get("reason")]
    why = f" {short(reasons[0], 200)}" if reasons else ""
    cuts = [cut for cut in investigation["cuts"] if cut["limit"] != "hub"]
    more = f" {counted(len(cuts) - 1, 'more limit')} cut something, too." if len(cuts) > 1 else ""
    return [
        *([f"Not read, or not in full: {listed(scopes, 6)}.{why}"] if scopes else []),
        *([f"{short(str(cuts[0]['text']), 250)}{more}"] if cuts else []),
    ]
