// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The chosen host's score and coverage, above its findings: a list without findings says nothing by itself.

const COVERAGE_WORDS = { checked: "checked", partial: "partly checked", not_checked: "not checked", never: "never run" };

/** @param {State} state */
function showHost(state) {
  const panel = byId("host-panel");
  const host = report.hosts.find(({ name }) => state.host && name.toLowerCase() === state.host.toLowerCase());
  panel.hidden = !host;
  if (!host) return;
  const score = host.score === null ? "no score" : `secure score ${host.score} of 100`;
  const heading = element("h3");
  heading.append(element("bdi", host.name), `: ${score}`);
  const coverage = element("ul");
  coverage.append(...host.cells.map(([capability, status, checked, scopes]) => {
    const item = listItem(icon(status), ` ${report.capabilities[capability].name}: ${COVERAGE_WORDS[status]}`);
    if (scopes) item.append(element("span", ` (${checked} of ${scopes} scopes)`, "muted"));
    return item;
  }));
  const gaps = element("ul", undefined, "gaps muted");
  gaps.append(...host.gaps.map(([capability, scope, status, reason]) => {
    const words = element("bdi", report.scopes[scope]);
    return listItem(`${report.capabilities[capability].name}, `, words, `: ${COVERAGE_WORDS[status]}. `, element("bdi", reason));
  }));
  panel.replaceChildren(heading, coverage, ...(host.gaps.length ? [gaps] : []));
}
