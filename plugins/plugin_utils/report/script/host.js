// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The chosen host's score and coverage, above its findings: a list without findings says nothing by itself.

const COVERAGE_WORDS = { checked: "checked", partial: "partly checked", not_checked: "not checked", never_checked: "never checked", never: "never run" };

/** @param {State} state */
function showHost(state) {
  const panel = byId("host-panel");
  // All hosts together, which some findings are about, have no coverage.
  const host = report.hosts.find(({ name, cells }) => cells.length && state.host && name.toLowerCase() === state.host.toLowerCase());
  panel.hidden = !host;
  if (!host) return;
  const score = host.score === null ? "no score" : `secure score ${host.score} of 100`;
  const heading = element("h3");
  heading.append(element("bdi", host.name), `: ${score}`);
  const coverage = element("ul");
  coverage.append(...host.cells.map(([capability, status, checked, scopes]) => {
    const item = listItem(icon(status), ` ${report.capabilities[capability].name}: ${COVERAGE_WORDS[status]}`);
    if (scopes) item.append(element("span", ` (${checked} of ${counted(scopes, "scope")})`, "muted"));
    return item;
  }));
  const gaps = element("ul", undefined, "gaps muted");
  gaps.append(...host.gaps.map(([capabilities, scopes, status, reason]) => {
    const words = element("bdi", report.texts[scopes]);
    const about = report.texts[scopes] ? [", ", words] : [];
    const names = capabilities.map((capability) => report.capabilities[capability].name).join(", ");
    return listItem(names, ...about, `: ${COVERAGE_WORDS[status]}. `, element("bdi", reason));
  }));
  panel.replaceChildren(heading, coverage, ...(host.gaps.length ? [gaps] : []), ...explainedParts(host));
}

/** @param {Host} host */
function explainedParts(host) {
  if (!host.explained.length) return [];
  const sum = (allowed) => host.explained
    .filter(([, by]) => isAllowed(by) === allowed)
    .reduce((total, [, , count]) => total + count, 0);
  const made = element("details", undefined, "muted");
  const parts = [[sum(false), "change", "explained by packages, updates and the like"], [sum(true), "sign", "allowed by allowlists"]];
  made.append(element("summary", parts.filter(([count]) => count).map(([count, what, why]) => `${counted(count, what)} ${why}`).join(", ")));
  const list = element("ul", undefined, "gaps");
  list.append(...host.explained.map(([capability, by, count, examples]) => {
    const how = isAllowed(by) ? `${counted(count, "sign")}, ` : `${counted(count, "change")} ${count === 1 ? "is" : "are"} explained by `;
    const item = listItem(
      `${report.capabilities[capability].name}: ${how}`,
      element("bdi", report.texts[by]),
    );
    if (examples.length) item.append(": ", element("bdi", examples.map((number) => report.texts[number]).join(", ")));
    if (examples.length && examples.length < count) item.append(", …");
    return item;
  }));
  made.append(list);
  return [made];
}

/** Whether people allowed it, as explained.py tells it. @param {number} by */
function isAllowed(by) {
  return report.texts[by].startsWith("allowlist: ");
}

/** @type {?Map<string, string[]>} made when it is first searched */
let explainedHosts = null;

/** The table shows hosts in a row as a range. @returns {Map<string, string[]>} all hosts by capability and explanation */
function hostsByExplanation() {
  const made = new Map();
  for (const { name, explained } of report.hosts) {
    for (const [capability, by] of explained) {
      const key = `${report.capabilities[capability].name}\n${report.texts[by].trim()}`;
      if (made.has(key)) made.get(key).push(name);
      else made.set(key, [name]);
    }
  }
  return made;
}

/** Show of what explains changes only what has all words that were typed: a package, a path, a host. */
function filterExplained() {
  const words = byId("explained-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.querySelectorAll("#explained tbody tr")];
  explainedHosts ??= hostsByExplanation();
  for (const row of rows) {
    const [by, , , capability] = row.cells;
    const hosts = explainedHosts.get(`${capability.textContent.trim()}\n${by.textContent.trim()}`) ?? [];
    const text = [row.textContent, ...hosts].join("\n").toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  byId("explained-result").textContent = words.length ? `${grouped(shown)} of ${grouped(rows.length)}` : "";
}
