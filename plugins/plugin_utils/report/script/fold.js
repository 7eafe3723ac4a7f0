// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// Long texts folded behind their beginning, the button that copies all of a text (macros.html.j2 does the same), and long
// tables folded behind their first rows.

const FOLD_LIMIT = 240;
const FOLD_PREVIEW = 160;

/** @param {string} text */
function valueElement(text) {
  return characters(text).length > FOLD_LIMIT ? copyable(text) : element("bdi", text);
}

/** As Python counts them. @param {string} text */
const characters = (text) => (text.length > FOLD_LIMIT ? [...text] : text);

/** @param {string} text */
function copyable(text) {
  const made = element("div", undefined, "copyable");
  const all = element("code", text, "copy-text");
  const counted = characters(text);
  if (counted.length > FOLD_LIMIT) {
    const folded = element("details", undefined, "long");
    const summary = element("summary");
    summary.append(
      element("code", `${counted.slice(0, FOLD_PREVIEW).join("")}…`, "long-preview"),
      element("span", `${grouped(counted.length)} characters`, "long-words"),
    );
    folded.append(summary, all);
    made.append(folded);
  } else {
    made.append(all);
  }
  const button = element("button", undefined, "copy");
  button.type = "button";
  button.append(icon("copy"), element("span", "Copy"));
  made.append(button);
  return made;
}

/**
 * Copy a text to the clipboard, also where the browser has none for a file.
 * @param {string} text
 * @returns {Promise<boolean>} whether it was copied
 */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** @param {MouseEvent} event */
async function copyClicked(event) {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const words = button.querySelector("span");
  const done = await copyText(button.parentElement.querySelector(".copy-text").textContent);
  words.textContent = done ? "Copied" : "Not copied";
  byId("copied").textContent = done ? "Copied." : "It could not be copied: select the text and copy it by hand.";
  button.focus();
  setTimeout(() => { words.textContent = "Copy"; }, 2000);
}

// A table with more rows shows its first ones only.
const FOLDED_FROM = 25;
const ROWS_SHOWN = 10;

/** Show the first rows of each long table, and a button that shows them all. Paper has them all. */
function foldTables() {
  for (const table of document.querySelectorAll(".table-card table.stacked")) {
    // A row without a head, such as a command, belongs to the row before it.
    const heads = [...table.querySelectorAll("tbody tr")].filter((row) => row.querySelector("th"));
    if (heads.length > FOLDED_FROM && !table.closest("details")) foldTable(table, heads);
  }
}

/**
 * @param {HTMLTableElement} table
 * @param {HTMLTableRowElement[]} heads
 */
function foldTable(table, heads) {
  for (let row = heads[ROWS_SHOWN]; row; row = row.nextElementSibling) row.classList.add("more-row");
  const button = element("button", undefined, "quiet table-more");
  button.type = "button";
  const fold = (whether) => {
    table.classList.toggle("folded-rows", whether);
    button.setAttribute("aria-expanded", String(!whether));
    button.textContent = whether ? `Show all ${grouped(heads.length)} rows` : `Show the first ${ROWS_SHOWN} rows`;
  };
  button.addEventListener("click", () => fold(!table.classList.contains("folded-rows")));
  fold(true);
  table.closest(".table-card").append(button);
}

function listenForCopying() {
  document.addEventListener("click", copyClicked);
}
