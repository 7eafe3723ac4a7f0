// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// What is known of one thing of an investigation: why it is named, facts, links to others, and what happened to it.

// How a link reads from its source, and from its target.
const RELATION_WORDS = {
  started: ["started", "was started by"], executes: ["executes", "is executed by"], loaded: ["loaded", "was loaded by"],
  opened: ["opened", "was opened by"], wrote: ["wrote", "was written by"], connected: ["connected to", "was contacted by"],
  listens: ["listens on", "belongs to"], runs_as: ["runs as", "is the account of"], signed_in: ["signed in as", "was opened from"],
  belongs_to: ["belongs to", "has"], starts: ["starts", "is started by"], mentions: ["mentions", "is mentioned by"],
  near: ["is near in time to", "is near in time to"], requested: ["requested", "was requested by"], about: ["is about", "is the subject of"],
};
const KIND_WORDS = {
  process: "Process", file: "File", address: "Address", listener: "Listener", account: "Account", session: "Session",
  startup: "Startup item", package: "Package", container: "Container", finding: "Finding",
};
const LISTED = 40;

/** @param {Thing} thing */
const kindOf = (thing) => report.names[thing[0]];

/** @param {Thing} thing */
const kindWords = (thing) => KIND_WORDS[kindOf(thing)] ?? "Thing";

/** @param {string} relation */
const relationWords = (relation) => (Object.hasOwn(RELATION_WORDS, relation) ? RELATION_WORDS[relation] : [relation, relation]);

/**
 * @param {number} seconds since the epoch
 * @returns {HTMLElement} the time to the millisecond, in UTC
 */
function exactTime(seconds) {
  const moment = new Date(seconds * 1000);
  if (Number.isNaN(moment.getTime())) return element("time", "unknown");
  const text = moment.toISOString();
  const made = element("time", `${text.slice(0, 10)} ${text.slice(11, text.endsWith(".000Z") ? 19 : 23)}`);
  made.setAttribute("datetime", text);
  return made;
}

/** @param {Thing} thing */
function kindBadge(thing) {
  return element("span", kindWords(thing), `kind kind-${kindOf(thing)}`);
}

/**
 * @param {HTMLElement} panel
 * @param {View} view
 * @param {number} number
 */
function showNode(panel, view, number) {
  const thing = view.data.nodes[number];
  const [, label, , why, first, last, gone, facts] = thing;
  const heading = element("h3");
  heading.append(kindBadge(thing), " ", element("bdi", label));
  const reason = element("p", undefined, "node-why");
  reason.append("Named because ", element("bdi", report.texts[why] || "it is connected"), ".");
  const parts = [heading, reason];
  if (gone) parts.push(element("p", "It is gone; only logs know it.", "muted"));
  if (first !== null || last !== null) parts.push(nodeTimes(first, last));
  const links = nodeLinks(view, number);
  if (links.length) parts.push(element("h4", "Links"), cutList(links));
  if (facts.length) parts.push(element("h4", "Facts"), nodeFacts(facts));
  const events = view.data.events.filter(([, , , things]) => things.includes(number));
  if (events.length) parts.push(element("h4", "What happened"), cutList(events.map(nodeEvent)));
  panel.replaceChildren(...parts);
}

/**
 * @param {?number} first
 * @param {?number} last
 */
function nodeTimes(first, last) {
  const made = element("p", undefined, "muted");
  if (first !== null) made.append("First ", exactTime(first));
  if (last !== null && last !== first) made.append(first === null ? "Last " : ", last ", exactTime(last));
  made.append(" UTC");
  return made;
}

/**
 * @param {View} view
 * @param {number} number
 */
function nodeLinks(view, number) {
  return view.data.links.filter(([source, , target]) => source === number || target === number).map(([source, relation, target, by, time]) => {
    const [acts, suffers] = relationWords(report.names[relation]);
    const other = source === number ? target : source;
    const item = listItem(`${source === number ? acts : suffers} `, nodeButton(view, other), " ", element("bdi", `(${report.texts[by]})`, "muted"));
    if (time !== null) item.append(" ", exactTime(time));
    return item;
  });
}

/**
 * @param {View} view
 * @param {number} number
 */
function nodeButton(view, number) {
  const button = element("button", undefined, "link");
  button.type = "button";
  button.append(element("bdi", view.data.nodes[number][1]));
  button.addEventListener("click", () => view.select(number));
  return button;
}

/** @param {[number, string][]} facts */
function nodeFacts(facts) {
  const list = element("dl", undefined, "facts");
  list.append(...facts.map(factRow));
  return list;
}

/** @param {TimelineEvent} event */
function nodeEvent([time, by, text]) {
  return listItem(exactTime(time), " ", element("bdi", text), " ", element("bdi", `(${report.texts[by]})`, "muted"));
}

/** @param {HTMLLIElement[]} items */
function cutList(items) {
  const list = element("ul", undefined, "node-list");
  list.append(...items.slice(0, LISTED));
  if (items.length > LISTED) list.append(listItem(element("span", `and ${grouped(items.length - LISTED)} more`, "muted")));
  return list;
}
