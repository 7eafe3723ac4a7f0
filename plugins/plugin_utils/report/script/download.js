// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The filtered findings as a file: CSV (RFC 4180) for spreadsheets, JSON for programs.

const DOWNLOAD_COLUMNS = [
  "uid", "host", "capability", "alert", "title", "severity", "status", "scope", "subject", "message", "first_seen",
  "last_seen", "count", "techniques", "tactics", "changes", "evidence", "processes", "remediation",
];
// A cell that begins like a formula; some spreadsheets split at a semicolon. As in controls_csv.py.
const FORMULA = /(^|;)(?=["'\s]*[=+\-@＝＋－＠]|[\t\r\n])/g;

/** @param {number} seconds since the epoch */
const isoTime = (seconds) => timeElement(seconds).getAttribute("datetime") ?? "";

/** @param {number} row */
function downloaded(row) {
  const { findings, alerts, hosts, scopes, capabilities, severities, statuses, techniques, names } = report;
  const alert = alerts[findings.alert[row]];
  const named = ([name, ...values]) => [names[name], ...values];
  return {
    uid: findings.uid[row],
    host: hosts[findings.host[row]].name,
    capability: capabilities[findings.capability[row]].id,
    alert: alert.id,
    title: alert.title,
    severity: severities[findings.severity[row]],
    status: statuses[findings.status[row]],
    scope: scopes[findings.scope[row]],
    subject: findings.subject[row],
    message: findings.message[row],
    first_seen: isoTime(findings.first_seen[row]),
    last_seen: isoTime(findings.last_seen[row]),
    count: findings.count[row],
    techniques: findings.techniques[row].map((number) => techniques[number].id),
    tactics: tacticsOf(row),
    changes: findings.changes[row].map(named).map(([attribute, before, after]) => ({ attribute, before, after })),
    evidence: findings.facts[row].map(named).map(([name, value]) => ({ name, value })),
    processes: findings.processes[row].map(downloadedProcess),
    remediation: report.texts[findings.remedy[row]] || alert.remediation,
  };
}

/** @param {Process} process */
function downloadedProcess([label, command, facts, isSubject, children]) {
  return {
    label, command, is_subject: Boolean(isSubject),
    facts: facts.map(([name, value]) => ({ name: report.names[name], value })),
    started: children.map(downloadedProcess),
  };
}

/**
 * @param {string} name of a column
 * @param {any} value
 * @returns {string} what a cell says
 */
function cellText(name, value) {
  if (!Array.isArray(value)) return String(value);
  if (name === "changes") return value.map(({ attribute, before, after }) => `${attribute}: ${before ?? "none"} -> ${after ?? "none"}`).join(" | ");
  if (name === "evidence") return value.map((each) => `${each.name}: ${each.value}`).join(" | ");
  if (name === "processes") return value.flatMap(processLines).join(" | ");
  return value.join(" | ");
}

/** @returns {string[]} a process and all that it started */
function processLines({ label, command, started }) {
  return [command ? `${label}: ${command}` : label, ...started.flatMap(processLines)];
}

/** @param {string} text */
const csvCell = (text) => `"${text.replace(FORMULA, "$1'").replaceAll('"', '""')}"`;

/** @param {number[]} chosen rows */
function csvText(chosen) {
  const line = (cells) => `${cells.map(csvCell).join(",")}\r\n`;
  const lines = chosen.map((row) => {
    const fields = downloaded(row);
    return line(DOWNLOAD_COLUMNS.map((name) => cellText(name, fields[name])));
  });
  return line(DOWNLOAD_COLUMNS) + lines.join("");
}

/** @param {number[]} chosen rows */
function jsonText(chosen) {
  return `${JSON.stringify({ filter: `findings${stateWords(state)}`, count: chosen.length, findings: chosen.map(downloaded) }, null, 1)}\n`;
}

/**
 * @param {string} name of the file
 * @param {string} type
 * @param {string} text
 */
function saveFile(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const made = element("a");
  made.setAttribute("href", address);
  made.setAttribute("download", name);
  document.body.append(made);
  made.click();
  made.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function listenForDownloads() {
  byId("download-csv").addEventListener("click", () => saveFile("bulwark-findings.csv", "text/csv;charset=utf-8", csvText(rows)));
  byId("download-json").addEventListener("click", () => saveFile("bulwark-findings.json", "application/json", jsonText(rows)));
}
