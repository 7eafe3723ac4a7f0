// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The controls of a benchmark: a filter, and the engines of a control once it is unfolded.

const CONTROLS_FRAGMENT = "#controls";
const CONTROL_FRAGMENT = "#control-";
// More engines of one control are slow to lay out; the host's filter finds the others.
const ENGINES_LIMIT = 100;

/** @type {Checklist[]} one for each benchmark of the page */
let checklists = [];

/** @returns {ControlFilter} */
const noControlFilter = () => ({ status: [], section: "", level: "", host: "", q: "", sort: "" });

class Checklist {
  /**
   * @param {HTMLElement} section of the page
   * @param {Benchmark} benchmark
   */
  constructor(section, benchmark) {
    this.section = section;
    this.benchmark = benchmark;
    this.filter = noControlFilter();
    this.ordered = this.filter.sort;
    this.form = section.querySelector("[data-part=filter]");
    /** @type {ListedControl[]} */
    this.controls = [...section.querySelectorAll("[data-control]")].map((item) => ({
      item, details: item.querySelector("details"), rows: [], shown: [], text: "",
    }));
    benchmark.states.control?.forEach((control, row) => this.controls[control].rows.push(row));
    this.listen();
    this.apply();
  }

  /** @param {string} name */
  part(name) { return this.section.querySelector(`[data-part=${name}]`); }

  listen() {
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.change(this.typed()));
    this.form.addEventListener("reset", (event) => { event.preventDefault(); this.change(noControlFilter()); });
    for (const control of this.controls) {
      // What is unfolded for paper alone names its hosts; all evidence of all hosts would be thousands of pages.
      control.details.addEventListener("toggle", () => { if (control.details.open && !folded.includes(control.details)) this.fill(control); });
    }
  }

  /** @returns {ControlFilter} what the form says */
  typed() {
    const given = new FormData(this.form);
    const text = (name) => String(given.get(name) ?? "");
    return { status: given.getAll("status").map(String), section: text("section"), level: text("level"), host: text("host"), q: text("q"), sort: text("sort") };
  }

  /** @param {ControlFilter} filter */
  change(filter) {
    this.filter = filter;
    this.apply();
    history.replaceState(null, "", this.fragment());
  }

  fragment() {
    const given = new URLSearchParams({ benchmark: this.benchmark.id });
    if (this.filter.status.length) given.set("status", this.filter.status.join(","));
    for (const name of ["section", "level", "host", "q", "sort"]) if (this.filter[name]) given.set(name, this.filter[name]);
    return `${CONTROLS_FRAGMENT}?${given}`;
  }

  /** @param {URLSearchParams} given from the address; what the form does not know is left out */
  take(given) {
    const { statuses } = this.benchmark;
    const known = (name) => [...this.form.elements[name].options].some((option) => option.value === given.get(name));
    this.filter = {
      status: (given.get("status") ?? "").split(",").filter((status) => statuses.includes(status)),
      section: known("section") ? given.get("section") : "",
      level: known("level") ? given.get("level") : "",
      host: given.get("host") ?? "",
      q: given.get("q") ?? "",
      sort: known("sort") ? given.get("sort") : "",
    };
    this.apply();
  }

  /** Show the controls that match, and of each the engines that do. */
  apply() {
    const { status, section, level, host, q } = this.filter;
    this.showFilter();
    this.order();
    const { states, statuses, engines } = this.benchmark;
    const wanted = new Set(status.map((name) => statuses.indexOf(name)));
    const hosts = host ? matchingHosts(host) : null;
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (row) => (!wanted.size || wanted.has(states.status[row])) && (!hosts || hosts.has(engines[states.engine[row]][0]));
    for (const control of this.controls) {
      const { item, details, rows } = control;
      control.shown = rows.filter(matches);
      item.hidden = !control.shown.length || (section && item.dataset.section !== section) || (level && item.dataset.level !== level)
        || !words.every((word) => this.haystack(control).includes(word));
      this.showCounts(control);
      if (details.open) this.fill(control);
    }
    const count = this.controls.filter(({ item }) => !item.hidden).length;
    this.part("result").textContent = `${grouped(count)} of ${counted(this.controls.length, "control")}${this.words()}.`;
  }

  /** Put the controls in the order that the filter asks for. */
  order() {
    if (this.ordered === this.filter.sort) return;
    this.ordered = this.filter.sort;
    const rank = ({ item }) => (this.ordered ? Number(item.dataset.rank) : 0);
    const items = [...this.controls].sort((a, b) => rank(a) - rank(b)).map(({ item }) => item);
    this.section.querySelector(".control-list").append(...items);
  }

  /** Let the form say what the filter is. */
  showFilter() {
    for (const name of ["section", "level", "host", "q", "sort"]) {
      const field = this.form.elements[name];
      if (field.value !== this.filter[name]) field.value = this.filter[name];
    }
    for (const box of this.form.querySelectorAll("input[type=checkbox]")) box.checked = this.filter.status.includes(box.value);
  }

  /** @returns {string} the filter in words, for the result line and a screen reader */
  words() {
    const { status, section, level, host, q } = this.filter;
    const words = [];
    if (status.length) words.push(`status ${status.map((name) => STATUS_WORDS[name].toLowerCase()).join(" or ")}`);
    if (section) words.push(`section ${section}`);
    if (level) words.push(`level ${level}`);
    if (host) words.push(`host ${host}`);
    if (q) words.push(`text "${q}"`);
    return words.length ? ` with ${words.join(", ")}` : "";
  }

  /** @param {ListedControl} control */
  haystack(control) {
    const { states, engines } = this.benchmark;
    control.text ||= [
      control.item.textContent,
      ...control.rows.flatMap((row) => [
        textOf(engines[states.engine[row]][1]), textOf(states.reason[row]),
        ...[...states.evidences[row], ...states.excepted[row]].flatMap((item) => item.slice(0, 4).map(textOf)),
      ]),
    ].join("\n").toLowerCase();
    return control.text;
  }

  /** @param {ListedControl} control */
  showCounts(control) {
    const { states, statuses } = this.benchmark;
    const counts = statuses.map((_status, number) => control.shown.filter((row) => states.status[row] === number).length);
    const made = counts.flatMap((count, number) => (count
      ? [element("span", `${grouped(count)} ${STATUS_WORDS[statuses[number]].toLowerCase()}`, `status status-${statuses[number]}`)] : []));
    control.item.querySelector("[data-part=counts]").replaceChildren(...made);
  }

  /** @param {ListedControl} control */
  fill(control) {
    const list = element("ol", undefined, "engines");
    list.append(...control.shown.slice(0, ENGINES_LIMIT).map((row) => engineItem(this.benchmark, row)));
    const more = control.shown.length - ENGINES_LIMIT;
    const note = more > 0 ? [element("p", `${counted(more, "more engine")}: the filter's host shows them.`, "note")] : [];
    control.item.querySelector("[data-part=results]").replaceChildren(list, ...note);
  }

  /** @param {string} identifier of the element of a control */
  show(identifier) {
    const control = this.controls.find(({ details }) => details.id === identifier);
    if (!control) return;
    if (control.item.hidden) { this.filter = noControlFilter(); this.apply(); }
    control.details.open = true;
    control.details.scrollIntoView();
    control.details.querySelector("summary").focus({ preventScroll: true });
  }
}

function startChecklists() {
  checklists = [...document.querySelectorAll("section[data-benchmark]")].map((section, number) => new Checklist(section, report.benchmarks[number]));
  addEventListener("hashchange", followToControls);
  followToControls();
}

/** Follow an address that names a control, or a filter of a benchmark's controls. */
function followToControls() {
  const { hash } = location;
  if (hash.startsWith(CONTROL_FRAGMENT)) for (const checklist of checklists) checklist.show(hash.slice(1));
  if (!hash.startsWith(`${CONTROLS_FRAGMENT}?`)) return;
  const given = new URLSearchParams(hash.slice(CONTROLS_FRAGMENT.length + 1));
  const checklist = checklists.find(({ benchmark }) => benchmark.id === given.get("benchmark"));
  if (!checklist) return;
  checklist.take(given);
  checklist.part("title").scrollIntoView();
  checklist.part("title").focus({ preventScroll: true });
}
