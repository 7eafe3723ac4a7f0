// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// One finding, filled into the form that the page brings (macros.html.j2).

/**
 * @param {number} row
 * @returns {HTMLLIElement}
 */
function card(row) {
  const { findings, alerts, hosts, scopes, capabilities, severities, statuses } = report;
  const made = document.importNode(byId("finding-form").content, true);
  const slots = new Map([...made.querySelectorAll("[data-slot]")].map((slot) => [slot.dataset.slot, slot]));
  const alert = alerts[findings.alert[row]];
  const text = (name, value) => { slots.get(name).textContent = value; };
  const shown = (name, whether) => { slots.get(name).hidden = !whether; };

  slots.get("severity").replaceChildren(severityBadge(severities[findings.severity[row]]));
  slots.get("status").replaceWith(statusBadge(statuses[findings.status[row]]));
  slots.get("first_seen").replaceWith(timeElement(findings.first_seen[row]));
  slots.get("last_seen").replaceWith(timeElement(findings.last_seen[row]));
  text("title", alert.title);
  text("subject", findings.subject[row]);
  text("host", hosts[findings.host[row]].name);
  text("message", findings.message[row]);
  shown("message", findings.message[row]);
  text("count", grouped(findings.count[row]));
  text("capability", capabilities[findings.capability[row]].name);
  text("scope", scopes[findings.scope[row]]);
  text("alert", alert.id);
  const investigation = findings.investigation[row];
  const uid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(findings.uid[row]) ? findings.uid[row] : "";
  const canInvestigate = uid && findings.can_investigate[row];
  shown("investigation-section", investigation || canInvestigate);
  shown("investigated", investigation);
  slots.get("investigation").setAttribute("href", `#investigation-${encodeURIComponent(investigation)}`);
  shown("investigate", canInvestigate && !investigation);
  shown("investigate-too", canInvestigate);
  text("command-uid", uid);
  slots.get("description").replaceChildren(...prose(alert.description));
  shown("description-section", alert.description);
  const remedy = report.texts[findings.remedy[row]] || alert.remediation;
  slots.get("remediation").replaceChildren(...prose(remedy));
  shown("remediation-section", remedy);
  shown("commands", uid && findings.commands[row].length);
  slots.get("command-rows").replaceChildren(...findings.commands[row].map((command) => commandRow(command, uid)));
  text("cut", `${grouped(findings.cut[row])} more rows of evidence are in the store.`);
  shown("cut", findings.cut[row]);

  shown("changes", findings.changes[row].length);
  slots.get("change-rows").replaceChildren(...findings.changes[row].map(changeRow));
  shown("facts", findings.facts[row].length);
  slots.get("fact-rows").replaceChildren(...findings.facts[row].map(factRow));
  shown("processes", findings.processes[row].length);
  slots.get("process-rows").replaceChildren(...findings.processes[row].map(processItem));
  shown("shared", findings.shared[row].length);
  slots.get("shared-rows").replaceChildren(...findings.shared[row].map(sharedItem));
  shown("references", alert.references.length);
  slots.get("references").replaceChildren(...alert.references.map((url) => listItem(link(url, url))));
  shown("attack", findings.techniques[row].length);
  slots.get("techniques").replaceChildren(...findings.techniques[row].map((number) => techniqueItem(report.techniques[number])));
  shown("history-section", findings.history[row].length);
  slots.get("history").replaceChildren(...findings.history[row].map(historyItem));
  slots.get("link").setAttribute("href", `${FRAGMENT}?${new URLSearchParams({ finding: findings.uid[row] })}`);

  const item = /** @type {HTMLLIElement} */ (listItem(made));
  item.dataset.row = String(row);
  return item;
}

/**
 * @param {[number, number]} command
 * @param {string} uid
 */
function commandRow([title, command], uid) {
  return listItem(element("p", report.texts[title]), copyable(report.texts[command].replace("UID", uid)));
}

/** @param {Process} process */
function processItem([label, command, facts, isSubject, children]) {
  const head = element("p", undefined, `process-head${isSubject ? " is-subject" : ""}`);
  head.append(element("bdi", label, "process-label"));
  if (isSubject) head.append(" ", element("span", "this finding", "muted"));
  const item = listItem(head);
  if (command) {
    const line = element("div", undefined, "process-command");
    line.append(copyable(command));
    item.append(line);
  }
  if (facts.length) {
    const list = element("dl", undefined, "facts");
    list.append(...facts.map(factRow));
    item.append(list);
  }
  if (children.length) {
    const started = element("ul");
    started.append(...children.map(processItem));
    item.append(started);
  }
  return item;
}

/** @param {...Node} parts */
function listItem(...parts) {
  const item = element("li");
  item.append(...parts);
  return item;
}

/** @param {string} name */
function severityBadge(name) {
  const badge = element("span", "", `badge severity-${name}`);
  badge.append(icon(name), element("span", capitalized(name)));
  return badge;
}

/** @param {string} name of a status or an action */
function statusBadge(name) {
  return element("span", capitalized(name).replace("_", " "), `status status-${name}`);
}

/**
 * An address is only ever one of the catalogue's, or of a CVE; here it is held against its scheme once more.
 * @param {?string} url
 * @param {string} text
 */
function link(url, text) {
  if (!url || !/^https?:\/\//.test(url)) return element("span", text);
  const made = element("a", text);
  made.setAttribute("href", url);
  made.setAttribute("rel", "noopener noreferrer");
  return made;
}

/** @param {[number, ?string, ?string]} change */
function changeRow([name, before, after]) {
  const made = element("tr");
  const head = element("th");
  head.scope = "row";
  head.append(element("bdi", report.names[name]));
  made.append(head, changeCell(before, "before"), changeCell(after, "after"));
  return made;
}

/**
 * @param {?string} value
 * @param {string} className
 */
function changeCell(value, className) {
  const cell = element("td", undefined, className);
  cell.append(value === null ? element("span", "none", "muted") : valueElement(value));
  return cell;
}

/** @param {[number, string]} fact */
function factRow([name, value]) {
  const made = element("div");
  const term = element("dt");
  const label = report.names[name];
  const address = /^CVE-[0-9]{4}-[0-9]{4,}$/.test(label) ? `https://nvd.nist.gov/vuln/detail/${label}` : "";
  term.append(address ? link(address, label) : element("bdi", label));
  const definition = element("dd");
  definition.append(valueElement(value));
  made.append(term, definition);
  return made;
}

/** @param {[number, string, number]} shared */
function sharedItem([kind, value, hosts]) {
  return listItem(`The same ${report.names[kind]} `, element("bdi", value), " on ", element("bdi", report.texts[hosts]));
}

/** @param {Technique} technique */
function techniqueItem({ id, name, tactic, url }) {
  const item = listItem(link(url, id), ` ${name}`);
  if (tactic) {
    const same = element("a", tactic, "tactic");
    same.setAttribute("href", `${FRAGMENT}?${new URLSearchParams({ tactic })}`);
    item.append(" ", same);
  }
  return item;
}

/** @param {[number, number, string]} change */
function historyItem([time, action, note]) {
  const item = listItem(timeElement(time), " ", statusBadge(report.actions[action]));
  if (note) item.append(" ", element("bdi", note));
  return item;
}
