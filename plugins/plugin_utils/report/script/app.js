// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// Puts it together: reads the state, shows the page of findings, listens.

const root = document.documentElement;
const TEXT_FIELDS = { q: "filter-text", host: "filter-host", capability: "filter-capability", tactic: "filter-tactic", sort: "filter-sort" };

let state = initialState();
/** @type {number[]} */
let rows = [];
let unfolded = false;
/** @type {HTMLDetailsElement[]} what was unfolded for paper only */
let folded = [];

/** Find what matches, and show it. */
function apply() {
  rows = matchingRows(state);
  const at = state.finding ? rows.findIndex((row) => report.findings.uid[row] === state.finding) : -1;
  if (at >= 0) state.page = Math.floor(at / PAGE_SIZE) + 1;
  state.page = Math.min(state.page, pageCount());
  showControls();
  showHost(state);
  showPage();
}

const pageCount = () => Math.max(1, Math.ceil(rows.length / PAGE_SIZE));

/** Show the rows of the current page. */
function showPage() {
  const first = (state.page - 1) * PAGE_SIZE;
  byId("finding-list").replaceChildren(...rows.slice(first, first + PAGE_SIZE).map(card));
  unfold(unfolded);
  const linked = linkedCard();
  if (linked) linked.open = true;
  byId("page-words").textContent = `Page ${grouped(state.page)} of ${grouped(pageCount())}`;
  byId("page-previous").disabled = state.page <= 1;
  byId("page-next").disabled = state.page >= pageCount();
  byId("result").textContent = resultWords(first);
}

/** @returns {?HTMLDetailsElement} the finding that the address names, where it is on this page */
function linkedCard() {
  const row = state.finding ? report.findings.uid.indexOf(state.finding) : -1;
  return byId("finding-list").querySelector(`[data-row="${row}"] details`);
}

/**
 * @param {number} first
 * @param {number} [size]
 */
function resultWords(first, size = PAGE_SIZE) {
  const total = report.findings.uid.length;
  const filter = stateWords(state);
  if (!rows.length) return `No finding${filter} among ${grouped(total)}.`;
  const range = rows.length > size ? `, here ${grouped(first + 1)} to ${grouped(Math.min(first + size, rows.length))}` : "";
  return `${grouped(rows.length)} of ${grouped(total)} findings${filter}${range}.`;
}

/** Let the form say what the state is. */
function showControls() {
  for (const [name, id] of Object.entries(TEXT_FIELDS)) if (byId(id).value !== state[name]) byId(id).value = state[name];
  for (const box of byId("filter").querySelectorAll("input[type=checkbox]")) box.checked = state[box.name].includes(box.value);
  byId("filter-alert").hidden = !state.alert;
  byId("filter-alert-title").textContent = alertTitle(state.alert);
}

/**
 * Change the state by what a control says; the first page of the new result is shown.
 * @param {Partial<State>} change
 */
function change(change) {
  state = { ...state, page: 1, finding: "", ...change };
  apply();
  history.replaceState(null, "", writeFragment(state));
}

/** @param {boolean} whether */
function unfold(whether) {
  for (const details of byId("finding-list").querySelectorAll("details.finding")) details.open = whether;
}

/** @param {number} step */
function turn(step) {
  change({ page: state.page + step });
  byId("findings-title").focus({ preventScroll: true });
  byId("findings").scrollIntoView();
}

/** Follow the address: a filter is applied and gone to, a section's link is the browser's own business. */
function follow() {
  const given = parseFragment(location.hash);
  if (!given) return;
  state = given;
  apply();
  const target = linkedCard();
  (target || byId("findings")).scrollIntoView();
  (target ? target.querySelector("summary") : byId("findings-title")).focus({ preventScroll: true });
}

/** Paper has no pages to turn and nothing to unfold: lay out all that matches. */
function layOutForPaper() {
  byId("finding-list").replaceChildren(...rows.slice(0, PRINT_LIMIT).map(card));
  folded = [...document.querySelectorAll("main details:not([open])")];
  for (const details of folded) details.open = true;
  const cut = rows.length > PRINT_LIMIT ? ` The first ${grouped(PRINT_LIMIT)} are printed; narrow the filter to print others.` : "";
  byId("result").textContent = `${resultWords(0, rows.length)}${cut}`;
}

/** Back to the screen. */
function foldAfterPaper() {
  for (const details of folded) details.open = false;
  folded = [];
  showPage();
}

/** Three themes in turn; the choice is kept where the browser lets a file keep anything. */
function listenForTheme() {
  const themes = ["auto", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("bulwark-theme"); } catch { return null; } };
  const use = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    byId("theme").querySelector("span").textContent = `Theme: ${theme}`;
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  use(theme);
  byId("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    use(theme);
    try { localStorage.setItem("bulwark-theme", theme); } catch { /* it lasts until the page is closed */ }
  });
}

/** @param {string} name of a group of checkboxes */
const checkedValues = (name) => [...byId("filter").querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value);

function listenForFilter() {
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  for (const [name, id] of Object.entries(TEXT_FIELDS)) byId(id).addEventListener("input", () => change({ [name]: byId(id).value }));
  for (const name of ["severity", "status"]) {
    for (const box of byId("filter").querySelectorAll(`input[name=${name}]`)) {
      box.addEventListener("change", () => change({ [name]: checkedValues(name) }));
    }
  }
  byId("filter-alert-clear").addEventListener("click", () => { change({ alert: "" }); byId("filter-text").focus(); });
  byId("filter-reset").addEventListener("click", () => { change(initialState()); byId("filter-text").focus(); });
  byId("expand").addEventListener("click", () => {
    unfolded = !unfolded;
    byId("expand").setAttribute("aria-pressed", String(unfolded));
    unfold(unfolded);
  });
  byId("print").addEventListener("click", () => print());
  byId("page-previous").addEventListener("click", () => turn(-1));
  byId("page-next").addEventListener("click", () => turn(1));
  addEventListener("beforeprint", layOutForPaper);
  addEventListener("afterprint", foldAfterPaper);
  addEventListener("hashchange", follow);
}

function fillChoices() {
  byId("host-names").append(...report.hosts.filter(({ cells }) => cells.length).slice(0, 1000).map(({ name }) => { const option = element("option"); option.value = name; return option; }));
  fillSelect("filter-capability", report.capabilities);
  fillSelect("filter-tactic", allTactics().map((name) => ({ id: name, name })));
}

/**
 * @param {string} id of a select element
 * @param {{id: string, name: string}[]} choices
 */
function fillSelect(id, choices) {
  byId(id)?.append(...choices.map(({ id: value, name }) => { const option = element("option", name); option.value = value; return option; }));
}

/** @returns {Promise<Report>} the page's data: compressed JSON in Base64 */
async function readReport() {
  const text = atob(byId("data").textContent);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

async function start() {
  // A browser that cannot read the data shows what it would show without a script.
  if (!window.DecompressionStream) return;
  root.dataset.script = "on";
  listenForTheme();
  listenForCopying();
  foldTables();
  const hasFindings = Boolean(byId("filter"));
  if (hasFindings) byId("result").textContent = "The findings are being read.";
  if (hasFindings || document.querySelector("section[data-benchmark], #investigations, #explained")) {
    report = await readReport();
    byId("explained-filter")?.addEventListener("input", filterExplained);
    fillChoices();
    startChecklists();
    startInvestigations();
  }
  if (hasFindings) {
    listenForFilter();
    listenForDownloads();
    apply();
    follow();
    prepareSearch(0);
  }
  performance.mark("report-ready");
}

start();
