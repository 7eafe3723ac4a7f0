// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// What the page's data looks like; cards.payload() in Python writes it. Numbers in place of names are positions in the
// tables beside them. Every text in it may come from a hostile host: it is shown with textContent and nothing else.

/**
 * @typedef {Object} Findings Columns of the same length, one entry per finding, the most urgent first.
 * @property {string[]} uid
 * @property {number[]} host
 * @property {number[]} capability
 * @property {number[]} alert
 * @property {number[]} severity
 * @property {number[]} status
 * @property {number[]} scope
 * @property {string[]} subject
 * @property {string[]} message
 * @property {number[]} remedy a text: what to do on this host, empty for what the alert says
 * @property {number[]} first_seen seconds since the epoch
 * @property {number[]} last_seen seconds since the epoch
 * @property {number[]} count
 * @property {[number, ?string, ?string][][]} changes name, before, after
 * @property {[number, string][][]} facts name, value
 * @property {number[]} cut rows of evidence that were left out
 * @property {[number, number, string][][]} history time, action, note
 * @property {number[][]} techniques
 * @property {[number, string, number][][]} shared kind (a name), value, other hosts (a text)
 * @property {string[]} investigation id of the newest one, or empty
 * @property {number[]} can_investigate 1 where the host can be asked for one
 * @property {[number, number][][]} commands what it does, and for sh what does it, with UID for the uid (texts)
 * @property {Process[][]} processes trees of those in the evidence
 *
 * @typedef {[string, string, [number, string][], number, Process[]]} Process label, command line, facts (name, value),
 *   1 for one that the evidence is about, processes that it started
 * @typedef {{id: string, title: string, kind: string, description: string, remediation: string, references: string[]}} Alert
 * @typedef {{id: string, name: string, tactic: string, url: ?string}} Technique
 * @typedef {[number, string, number, number]} Cell capability, coverage status, scopes checked, all scopes
 * @typedef {[number[], number, string, string]} Gap capabilities, scopes (a text), coverage status, reason
 * @typedef {[number, number, number, number[]]} Explained capability, what explains (a text), of how many changes, examples (texts)
 * @typedef {{name: string, score: ?number, cells: Cell[], gaps: Gap[], explained: Explained[]}} Host
 *
 * @typedef {[number, number, number, number, number]} Item kind, name, detail, note (texts), 1 for what is new
 * @typedef {[number, number, number, number, ?number]} Judgement verdict, who, why (texts), when, until
 *
 * @typedef {Object} States Columns of the same length, one entry per control and engine.
 * @property {number[]} control its place in the page's list
 * @property {number[]} engine
 * @property {number[]} status
 * @property {?number[]} before the status in the run before
 * @property {number[]} since seconds since the epoch
 * @property {number[]} time of the run
 * @property {number[]} severity
 * @property {number[]} reason a text
 * @property {number[]} examined
 * @property {number[]} count of all evidences
 * @property {Item[][]} evidences those that the file holds
 * @property {number[]} excepted_count
 * @property {[number, number, number, number, number][][]} excepted kind, name, detail, reason and end of the exception (texts)
 * @property {?Judgement[]} judgement
 *
 * @typedef {{id: string, statuses: string[], engines: [number, number][], states: States}} Benchmark engines: host, subject (a text)
 * @typedef {{status: string[], section: string, level: string, host: string, q: string, sort: string}} ControlFilter
 * @typedef {{item: HTMLLIElement, details: HTMLDetailsElement, rows: number[], shown: number[], text: string}} ListedControl
 *
 * @typedef {[number, string, ?number, number, ?number, ?number, number, [number, string][]]} Thing kind (a name), label,
 *   the thing that it stands below in the tree, the reason (a text), first and last time, 1 if only logs know it, facts
 *   (name, value)
 * @typedef {[number, number, number, number, ?number]} ThingLink source, relation (a name), target, by (a text), time
 * @typedef {[number, number, string, number[]]} TimelineEvent time, by (a text), text, things
 * @typedef {{nodes: [number, number, number][], edges: [number, number, number[]][], columns: number, rows: number}} Graph
 *   nodes: thing, column, row; edges: source, target, relations (names)
 * @typedef {{id: string, nodes: Thing[], links: ThingLink[], events: TimelineEvent[], cuts: string[], graph: Graph}} Investigation
 *
 * @typedef {Object} Report
 * @property {string[]} severities from the most severe
 * @property {string[]} statuses
 * @property {string[]} actions
 * @property {Findings} findings
 * @property {Alert[]} alerts
 * @property {Technique[]} techniques
 * @property {Host[]} hosts
 * @property {Investigation[]} investigations in the order of the page's list; without nodes where the file has no room
 * @property {Benchmark[]} benchmarks in the order of the page's sections
 * @property {{id: string, name: string}[]} capabilities
 * @property {string[]} scopes
 * @property {string[]} names of rows of evidence, and kinds of what is shared
 * @property {string[]} texts explanations and examples of changes, hosts of shared observables, and texts of controls
 *
 * @typedef {Object} State What is shown; the address's fragment holds it.
 * @property {string[]} severity none for all
 * @property {string[]} status
 * @property {string} host
 * @property {string} capability
 * @property {string} tactic the name of an ATT&CK tactic
 * @property {string} alert
 * @property {string} q words to search for
 * @property {string} sort
 * @property {number} page from 1
 * @property {string} finding uid of the finding to unfold
 */

/** @type {Report} read by app.js before anything else asks for it */
let report;

const PAGE_SIZE = 50;
const PRINT_LIMIT = 500;

/** @param {string} id */
const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {string} [text]
 * @param {string} [className]
 */
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/**
 * @param {string} text of the catalogue, in which ``code`` is marked
 * @returns {(string | HTMLElement)[]}
 */
function prose(text) {
  const parts = text.split("``");
  if (parts.length % 2 === 0) parts.push(`${parts.splice(-2).join("``")}`);
  return parts.map((part, at) => (at % 2 ? element("code", part) : part));
}

/** @param {string} name of one of the page's own symbols */
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** @param {string} word */
const capitalized = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** @param {number} value */
const grouped = (value) => value.toLocaleString("en-US");

/**
 * @param {number} number
 * @param {string} noun
 */
const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

/** @param {number} seconds since the epoch */
function timeElement(seconds) {
  const moment = new Date(seconds * 1000);
  if (Number.isNaN(moment.getTime())) return element("time", "unknown");
  const text = moment.toISOString();
  const made = element("time", `${text.slice(0, 10)} ${text.slice(11, 16)}`);
  made.setAttribute("datetime", `${text.slice(0, 16)}Z`);
  return made;
}
