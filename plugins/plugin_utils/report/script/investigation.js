// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// An investigation's three views in tabs, made when it is unfolded, and the thing that is selected in all of them.

/**
 * @typedef {{data: Investigation, selected: number, followers: ((number: number) => void)[], select: (number: number) => void}} View
 */

const VIEWS = [["tree", "Tree", treeView], ["timeline", "Timeline", timelineView], ["graph", "Graph", graphView]];

/** Make the views of each investigation as soon as it is unfolded, and unfold the one that the address names. */
function startInvestigations() {
  for (const details of document.querySelectorAll("details[data-investigation]")) {
    details.addEventListener("toggle", () => { if (details.open) makeViews(details); });
  }
  addEventListener("hashchange", openLinkedInvestigation);
  openLinkedInvestigation();
}

function openLinkedInvestigation() {
  if (!location.hash.startsWith("#investigation-")) return;
  const linked = [...document.querySelectorAll("details[data-investigation]")].find(({ id }) => `#${id}` === location.hash);
  if (!linked) return;
  linked.open = true;
  makeViews(linked);
  linked.scrollIntoView();
  linked.querySelector("summary").focus({ preventScroll: true });
}

/** @param {HTMLDetailsElement} details */
function makeViews(details) {
  const place = details.querySelector("[data-part=views]");
  if (!place || place.firstChild) return;
  const data = report.investigations[Number(details.dataset.investigation)];
  const made = document.importNode(byId("investigation-form").content, true);
  const slots = new Map([...made.querySelectorAll("[data-slot]")].map((slot) => [slot.dataset.slot, slot]));
  /** @type {View} */
  const view = { data, selected: 0, followers: [], select: (number) => select(view, number) };
  const prefix = `views-${details.dataset.investigation}`;
  const panels = VIEWS.map(([name, title, build]) => {
    const panel = element("div", undefined, `view view-${name}`);
    panel.setAttribute("role", "tabpanel");
    panel.id = `${prefix}-${name}`;
    panel.setAttribute("aria-labelledby", `${prefix}-${name}-tab`);
    panel.append(build(view, `${prefix}-${name}`));
    return [panel, tab(`${prefix}-${name}`, title)];
  });
  slots.get("panels").append(...panels.map(([panel]) => panel));
  slots.get("tabs").append(...panels.map(([, button]) => button));
  slots.get("cuts").hidden = !data.cuts.length;
  slots.get("cut-list").append(...data.cuts.map((text) => listItem(element("bdi", text))));
  view.followers.push((number) => showNode(slots.get("node"), view, number));
  place.append(made);
  startTabs(view, slots.get("views"), panels);
}

/**
 * @param {string} panel
 * @param {string} title
 */
function tab(panel, title) {
  const button = element("button", title);
  button.type = "button";
  button.id = `${panel}-tab`;
  button.setAttribute("role", "tab");
  button.setAttribute("aria-controls", panel);
  return button;
}

/**
 * Arrow keys, Home and End go from tab to tab, as https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ says.
 * @param {View} view
 * @param {HTMLElement} views
 * @param {[HTMLElement, HTMLButtonElement][]} panels
 */
function startTabs(view, views, panels) {
  const show = (at) => {
    views.dataset.view = VIEWS[at][0];
    panels.forEach(([panel, button], number) => {
      panel.hidden = number !== at;
      button.setAttribute("aria-selected", String(number === at));
      button.tabIndex = number === at ? 0 : -1;
    });
    // A view that was hidden could not scroll to what is selected.
    view.select(view.selected);
  };
  panels.forEach(([, button], number) => {
    button.addEventListener("click", () => show(number));
    button.addEventListener("keydown", (event) => {
      const last = panels.length - 1;
      const to = { ArrowRight: number === last ? 0 : number + 1, ArrowLeft: number ? number - 1 : last, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(to);
      panels[to][1].focus();
    });
  });
  show(0);
}

/**
 * @param {View} view
 * @param {number} number
 */
function select(view, number) {
  view.selected = number;
  for (const follow of view.followers) follow(number);
}
