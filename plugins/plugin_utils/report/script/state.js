// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The filter in the address's fragment, so that a view can be bookmarked and sent.

const FRAGMENT = "#findings";
const DEFAULT_STATUSES = ["new", "open"];
const SORTS = ["", "last_seen", "first_seen", "host"];

/** @returns {State} */
function initialState() {
  return {
    severity: [], status: [...DEFAULT_STATUSES], host: "", capability: "", tactic: "", alert: "", q: "", sort: "", page: 1, finding: "",
  };
}

/**
 * @param {string} fragment
 * @returns {?State} null for a fragment that is no filter, such as a section's. What it doesn't know is left out.
 */
function parseFragment(fragment) {
  if (fragment !== FRAGMENT && !fragment.startsWith(`${FRAGMENT}?`)) return null;
  const given = new URLSearchParams(fragment.slice(FRAGMENT.length + 1));
  const state = initialState();
  const known = (name, values) => (given.get(name) ?? "").split(",").filter((value) => values.includes(value));
  state.severity = known("severity", report.severities);
  if (given.has("status")) state.status = known("status", report.statuses);
  else if (given.has("finding")) state.status = [];
  for (const name of ["host", "capability", "tactic", "alert", "q", "finding"]) state[name] = given.get(name) ?? "";
  if (SORTS.includes(given.get("sort"))) state.sort = given.get("sort");
  state.page = Math.max(1, Number.parseInt(given.get("page"), 10) || 1);
  return state;
}

/**
 * @param {State} state
 * @returns {string} the fragment with all that differs from the initial state
 */
function writeFragment(state) {
  const given = new URLSearchParams();
  if (state.severity.length) given.set("severity", state.severity.join(","));
  if (state.status.join() !== DEFAULT_STATUSES.join()) given.set("status", state.status.join(","));
  for (const name of ["host", "capability", "tactic", "alert", "q", "sort", "finding"]) if (state[name]) given.set(name, state[name]);
  if (state.page > 1) given.set("page", String(state.page));
  const text = given.toString();
  return text ? `${FRAGMENT}?${text}` : FRAGMENT;
}

/**
 * @param {State} state
 * @returns {string} the filter in words, for the result line, a screen reader and paper
 */
function stateWords(state) {
  const words = [];
  if (state.severity.length) words.push(`severity ${state.severity.join(" or ")}`);
  if (state.status.length) words.push(`status ${state.status.join(" or ")}`);
  if (state.host) words.push(`host ${state.host}`);
  if (state.capability) words.push(`capability ${capabilityName(state.capability)}`);
  if (state.tactic) words.push(`tactic ${state.tactic}`);
  if (state.alert) words.push(`alert "${alertTitle(state.alert)}"`);
  if (state.q) words.push(`text "${state.q}"`);
  return words.length ? ` with ${words.join(", ")}` : "";
}

/** @param {string} id */
const capabilityName = (id) => report.capabilities.find((capability) => capability.id === id)?.name ?? id;

/** @param {string} id */
const alertTitle = (id) => report.alerts.find((alert) => alert.id === id)?.title ?? id;
