// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The timeline of an investigation, filtered by source and words.

const LINES = 100;

/**
 * @param {View} view
 * @param {string} prefix of ids
 */
function timelineView(view, prefix) {
  const made = element("div");
  const { events } = view.data;
  if (!events.length) { made.append(element("p", "No time is known.", "muted")); return made; }
  const sources = [...new Set(events.map(([, by]) => by))].sort((one, other) => report.texts[one].localeCompare(report.texts[other]));
  const form = element("form", undefined, "filter timeline-filter");
  form.addEventListener("submit", (event) => event.preventDefault());
  const boxes = sources.map((by) => sourceBox(by, events.filter(([, each]) => each === by).length));
  const search = searchField(prefix);
  const choices = element("fieldset");
  const legend = element("legend", "Source ");
  legend.append(element("span", "none for all", "hint"));
  choices.append(legend, ...boxes.map(({ label }) => label));
  form.append(search.field, choices);
  const result = element("p", undefined, "result");
  result.setAttribute("role", "status");
  const body = element("tbody");
  const more = element("button", undefined, "quiet");
  more.type = "button";
  let limit = LINES;
  const show = () => {
    const chosen = new Set(boxes.filter(({ box }) => box.checked).map(({ by }) => by));
    const words = search.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = events.filter(([, by, text]) => (!chosen.size || chosen.has(by)) && words.every((word) => text.toLowerCase().includes(word)));
    body.replaceChildren(...matching.slice(0, limit).map((event) => eventRow(view, event)));
    result.textContent = `${grouped(matching.length)} of ${counted(events.length, "line")}, all times in UTC.`;
    more.hidden = matching.length <= limit;
    more.textContent = `Show ${grouped(Math.min(LINES, matching.length - limit))} more of ${grouped(matching.length - limit)}`;
  };
  form.addEventListener("input", () => { limit = LINES; show(); });
  more.addEventListener("click", () => {
    const shown = body.children.length;
    limit += LINES;
    show();
    body.children[shown]?.querySelector("button")?.focus();
  });
  made.append(form, result, eventTable(body), more);
  view.followers.push((number) => {
    for (const row of body.children) row.classList.toggle("is-about", row.dataset.things.split(" ").includes(String(number)));
  });
  show();
  return made;
}

/**
 * @param {number} by
 * @param {number} count
 */
function sourceBox(by, count) {
  const label = element("label", undefined, "choice");
  const box = element("input");
  box.type = "checkbox";
  label.append(box, element("bdi", report.texts[by]), " ", element("span", grouped(count), "muted"));
  return { by, box, label };
}

/** @param {string} prefix */
function searchField(prefix) {
  const field = element("div", undefined, "field grow");
  const label = element("label", "Search");
  const input = element("input");
  input.type = "search";
  input.id = `${prefix}-search`;
  input.autocomplete = "off";
  label.htmlFor = input.id;
  field.append(label, input);
  return { field, input };
}

/** @param {HTMLElement} body */
function eventTable(body) {
  const scroll = element("div", undefined, "scroll");
  const table = element("table", undefined, "timeline");
  table.append(element("caption", "Timeline", "visually-hidden"));
  const head = element("thead");
  const row = element("tr");
  for (const title of ["Time", "Source", "What happened", "About"]) {
    const cell = element("th", title);
    cell.scope = "col";
    row.append(cell);
  }
  head.append(row);
  table.append(head, body);
  scroll.append(table);
  return scroll;
}

/**
 * @param {View} view
 * @param {TimelineEvent} event
 */
function eventRow(view, [time, by, text, things]) {
  const row = element("tr");
  row.dataset.things = things.join(" ");
  row.classList.toggle("is-about", things.includes(view.selected));
  const when = element("td", undefined, "when");
  when.append(exactTime(time));
  const source = element("td");
  source.append(element("bdi", report.texts[by]));
  const what = element("td", undefined, "what");
  what.append(element("bdi", text));
  const about = element("td", undefined, "about");
  about.append(...things.slice(0, 3).map((number) => nodeButton(view, number)));
  row.append(when, source, what, about);
  return row;
}
