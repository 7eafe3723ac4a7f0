// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// What one engine showed of one control: its status, the reason and the evidence.

const STATUS_WORDS = {
  failed: "Failed", manual: "To be judged", not_checked: "Not checked",
  excepted: "Excepted", passed: "Passed", not_applicable: "Not applicable",
};
// More are folded away, so that one engine with many containers does not hide the next engine.
const ITEMS_OPEN = 8;

/** @param {string} status */
const controlStatus = (status) => element("span", STATUS_WORDS[status], `status status-${status}`);

/** @param {number} number of a text */
const textOf = (number) => report.texts[number];

/**
 * @param {Benchmark} benchmark
 * @param {number} row
 * @returns {HTMLLIElement}
 */
function engineItem({ states, statuses, engines }, row) {
  const [host, subject] = engines[states.engine[row]];
  const status = statuses[states.status[row]];
  const head = element("p", undefined, "engine-head");
  head.append(controlStatus(status), element("bdi", report.hosts[host].name, "engine-host"), element("bdi", textOf(subject), "subject"));
  if (status === "failed") head.append(severityBadge(report.severities[states.severity[row]]));
  head.append(sinceWords(states, statuses, row));
  const reason = element("p");
  reason.append(element("bdi", textOf(states.reason[row])));
  const made = listItem(head, reason);
  const judgement = states.judgement[row];
  if (judgement) made.append(judgementWords(judgement));
  made.append(...itemParts(states.evidences[row].map(evidenceItem), states.count[row], states.examined[row]));
  made.append(...itemParts(states.excepted[row].map(exceptedItem), states.excepted_count[row], 0, "excepted"));
  return made;
}

/**
 * @param {States} states
 * @param {string[]} statuses
 * @param {number} row
 */
function sinceWords(states, statuses, row) {
  const made = element("span", undefined, "muted");
  const before = states.before[row];
  const changed = before !== null && before !== states.status[row];
  made.append("since ", timeElement(states.since[row]), changed ? `, in the run before: ${STATUS_WORDS[statuses[before]].toLowerCase()}` : "");
  return made;
}

/** @param {Judgement} judgement */
function judgementWords([verdict, actor, why, created, until]) {
  const made = element("p", undefined, "judgement");
  made.append("Judged by ", element("bdi", textOf(actor)), " on ", timeElement(created));
  if (until !== null) made.append(", until ", timeElement(until));
  made.append(`, as ${STATUS_WORDS[textOf(verdict)]?.toLowerCase() ?? ""}: `, element("bdi", textOf(why)));
  return made;
}

/** @param {Item} item */
function evidenceItem([kind, name, detail, note, isNew]) {
  const made = listItem(element("span", textOf(kind), "muted"), " ", element("bdi", textOf(name), "subject"));
  if (textOf(detail)) made.append(" ", element("bdi", textOf(detail)));
  if (textOf(note)) made.append(" ", element("bdi", textOf(note), "muted"));
  if (isNew) made.append(" ", element("span", "New", "status status-new"));
  return made;
}

/** @param {[number, number, number, number, number]} item */
function exceptedItem([kind, name, detail, exception, until]) {
  const made = evidenceItem([kind, name, detail, exception, 0]);
  if (textOf(until)) made.append(" ", element("bdi", `until ${textOf(until)}`, "muted"));
  made.prepend(controlStatus("excepted"), " ");
  return made;
}

/**
 * The list of evidences, with how many there are: exact, also where not all are listed.
 * @param {HTMLLIElement[]} items
 * @param {number} count
 * @param {number} examined
 * @param {string} [what]
 */
function itemParts(items, count, examined, what = "") {
  if (!count) return [];
  const of = examined ? ` of ${grouped(examined)} examined` : "";
  const cut = items.length < count ? `, ${items.length ? `the first ${grouped(items.length)}` : "none"} in this file` : "";
  const list = element("ul", undefined, "evidence");
  list.append(...items.slice(0, ITEMS_OPEN));
  const parts = [element("p", `${grouped(count)}${what ? ` ${what}` : ""}${of}${cut}:`, "muted evidence-count"), list];
  if (items.length <= ITEMS_OPEN) return parts;
  const more = element("details", undefined, "evidence-more");
  const rest = element("ul", undefined, "evidence");
  rest.append(...items.slice(ITEMS_OPEN));
  more.append(element("summary", `and ${grouped(items.length - ITEMS_OPEN)} more`), rest);
  return [...parts, more];
}
