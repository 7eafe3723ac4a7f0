// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// Which findings match, and in which order.

// MITRE ATT&CK for Enterprise, https://attack.mitre.org/tactics/enterprise/
const TACTICS = [
  "Reconnaissance", "Resource Development", "Initial Access", "Execution", "Persistence", "Privilege Escalation",
  "Defense Evasion", "Credential Access", "Discovery", "Lateral Movement", "Collection", "Command and Control",
  "Exfiltration", "Impact",
];

/** @type {string[]} all of a finding's text in lower case, made when it is first searched */
const haystacks = [];

/** @param {number} row */
function haystack(row) {
  const { findings, alerts, hosts, scopes, techniques, names } = report;
  haystacks[row] ??= [
    hosts[findings.host[row]].name, alerts[findings.alert[row]].title, alerts[findings.alert[row]].id,
    findings.subject[row], findings.message[row], scopes[findings.scope[row]], findings.uid[row],
    ...[...findings.changes[row], ...findings.facts[row]].flatMap(([name, ...values]) => [names[name], ...values]),
    ...findings.processes[row].flatMap(processTexts),
    ...findings.history[row].map((change) => change[2]),
    ...findings.techniques[row].flatMap((number) => [techniques[number].id, techniques[number].name, techniques[number].tactic]),
  ].join("\n").toLowerCase();
  return haystacks[row];
}

/** @param {Process} process */
function processTexts([label, command, facts, , children]) {
  return [label, command, ...facts.map((fact) => fact[1]), ...children.flatMap(processTexts)];
}

/**
 * @param {number} row
 * @returns {string[]} the tactics of a finding's techniques, each once
 */
function tacticsOf(row) {
  return [...new Set(report.findings.techniques[row].map((number) => report.techniques[number].tactic).filter(Boolean))];
}

/** @returns {string[]} the tactics of all findings, in the order in which attacks use them */
function allTactics() {
  const known = new Set(report.techniques.map(({ tactic }) => tactic).filter(Boolean));
  const others = [...known].filter((tactic) => !TACTICS.includes(tactic)).sort();
  return [...TACTICS.filter((tactic) => known.has(tactic)), ...others];
}

/**
 * Make the texts to search while nobody waits, so that the first word typed finds them ready.
 * @param {number} row where to go on
 */
function prepareSearch(row) {
  if (!window.requestIdleCallback) return;
  requestIdleCallback((deadline) => {
    let next = row;
    while (next < report.findings.uid.length && deadline.timeRemaining() > 2) { haystack(next); next += 1; }
    if (next < report.findings.uid.length) prepareSearch(next);
  });
}

/**
 * @param {string} text a host's name, or part of one
 * @returns {Set<number>} the host of that name, or else every host that has the text in its name
 */
function matchingHosts(text) {
  const wanted = text.toLowerCase();
  const names = report.hosts.map((host) => host.name.toLowerCase());
  const exact = names.indexOf(wanted);
  if (exact >= 0) return new Set([exact]);
  return new Set(names.flatMap((name, number) => (name.includes(wanted) ? [number] : [])));
}

/**
 * @param {State} state
 * @returns {number[]} the rows that match, in the order to show
 */
function matchingRows(state) {
  const { findings, severities, statuses, capabilities, alerts } = report;
  const tests = [];
  const within = (column, numbers) => tests.push((row) => numbers.has(column[row]));
  if (state.severity.length) within(findings.severity, new Set(state.severity.map((name) => severities.indexOf(name))));
  if (state.status.length) within(findings.status, new Set(state.status.map((name) => statuses.indexOf(name))));
  if (state.host) within(findings.host, matchingHosts(state.host));
  if (state.capability) within(findings.capability, new Set([capabilities.findIndex(({ id }) => id === state.capability)]));
  if (state.tactic) {
    const numbers = new Set(report.techniques.flatMap(({ tactic }, number) => (tactic === state.tactic ? [number] : [])));
    tests.push((row) => findings.techniques[row].some((number) => numbers.has(number)));
  }
  if (state.alert) within(findings.alert, new Set([alerts.findIndex(({ id }) => id === state.alert)]));
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) tests.push((row) => words.every((word) => haystack(row).includes(word)));
  const rows = [];
  for (let row = 0; row < findings.uid.length; row += 1) if (tests.every((test) => test(row))) rows.push(row);
  return sorted(rows, state.sort);
}

/**
 * @param {number[]} rows in the order of the data: the most urgent first
 * @param {string} order
 */
function sorted(rows, order) {
  const { findings, hosts } = report;
  if (order === "last_seen") rows.sort((a, b) => findings.last_seen[b] - findings.last_seen[a] || a - b);
  if (order === "first_seen") rows.sort((a, b) => findings.first_seen[a] - findings.first_seen[b] || a - b);
  if (order === "host") {
    const rank = new Map([...hosts.keys()].sort((a, b) => (hosts[a].name < hosts[b].name ? -1 : 1)).map((host, at) => [host, at]));
    rows.sort((a, b) => rank.get(findings.host[a]) - rank.get(findings.host[b]) || a - b);
  }
  return rows;
}
