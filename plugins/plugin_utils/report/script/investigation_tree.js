// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The tree of an investigation, with the keys of https://www.w3.org/WAI/ARIA/apg/patterns/treeview/.

// A host can send a chain of any length; deeper things stand at this depth.
const DEEPEST = 24;

/**
 * @param {View} view
 * @param {string} prefix of ids
 */
function treeView(view, prefix) {
  const tree = element("ul", undefined, "tree");
  tree.setAttribute("role", "tree");
  tree.setAttribute("aria-label", "What belongs to the investigation, below what started it or led to it");
  const items = view.data.nodes.map((thing, number) => treeItem(thing, number, prefix));
  const groups = new Map();
  // Parents may come after their children.
  const depths = view.data.nodes.map(() => 0);
  const depthOf = (number) => {
    const way = [];
    let at = number;
    while (at !== null && !depths[at]) { way.push(at); at = view.data.nodes[at][2]; }
    let depth = at === null ? 0 : depths[at];
    for (const each of way.reverse()) { depth += 1; depths[each] = depth; }
    return depths[number];
  };
  view.data.nodes.forEach(([, , above], number) => {
    items[number].setAttribute("aria-level", String(Math.min(depthOf(number), DEEPEST)));
    // From the deepest level on, things stand beside each other.
    let parent = above;
    while (parent !== null && depths[parent] >= DEEPEST) parent = view.data.nodes[parent][2];
    if (parent === null) { tree.append(items[number]); return; }
    if (!groups.has(parent)) groups.set(parent, treeGroup(items[parent]));
    groups.get(parent).append(items[number]);
  });
  items[0].tabIndex = 0;
  tree.addEventListener("click", (event) => clickTree(view, tree, event));
  tree.addEventListener("keydown", (event) => treeKey(view, tree, event));
  view.followers.push((number) => {
    for (const item of items) item.setAttribute("aria-selected", String(item === items[number]));
    unfoldTo(items[number]);
    focusable(tree, items[number]);
  });
  return tree;
}

/**
 * @param {Thing} thing
 * @param {number} number
 * @param {string} prefix
 */
function treeItem(thing, number, prefix) {
  const [, label, , why, first, , gone] = thing;
  const item = element("li");
  item.setAttribute("role", "treeitem");
  item.tabIndex = -1;
  item.dataset.thing = String(number);
  const row = element("div", undefined, `tree-row${number ? "" : " is-begin"}`);
  row.id = `${prefix}-${number}`;
  const marker = element("span", undefined, "tree-marker");
  marker.setAttribute("aria-hidden", "true");
  row.append(marker, kindBadge(thing), " ", element("bdi", label, "tree-label"));
  if (gone) row.append(" ", element("span", "gone", "tree-gone"));
  row.append(" ", element("bdi", report.texts[why], "tree-why"));
  if (first !== null) row.append(" ", exactTime(first));
  item.setAttribute("aria-labelledby", row.id);
  item.append(row);
  return item;
}

/** @param {HTMLLIElement} item */
function treeGroup(item) {
  const group = element("ul");
  group.setAttribute("role", "group");
  item.setAttribute("aria-expanded", "true");
  item.append(group);
  return group;
}

/** @param {HTMLLIElement} item */
function unfoldTo(item) {
  for (let at = item.parentElement.closest("[role=treeitem]"); at; at = at.parentElement.closest("[role=treeitem]")) at.setAttribute("aria-expanded", "true");
}

/**
 * Only one item of a tree is in the order of the Tab key.
 * @param {HTMLElement} tree
 * @param {HTMLElement} item
 */
function focusable(tree, item) {
  for (const other of tree.querySelectorAll("[role=treeitem][tabindex='0']")) other.tabIndex = -1;
  item.tabIndex = 0;
}

/**
 * @param {View} view
 * @param {HTMLElement} tree
 * @param {MouseEvent} event
 */
function clickTree(view, tree, event) {
  const item = event.target.closest("[role=treeitem]");
  if (!item) return;
  if (event.target.closest(".tree-marker")) fold(item, item.getAttribute("aria-expanded") === "false");
  else view.select(Number(item.dataset.thing));
  focusable(tree, item);
  item.focus();
}

/**
 * @param {HTMLElement} item
 * @param {boolean} open
 */
function fold(item, open) {
  if (item.hasAttribute("aria-expanded")) item.setAttribute("aria-expanded", String(open));
}

/**
 * @param {View} view
 * @param {HTMLElement} tree
 * @param {KeyboardEvent} event
 */
function treeKey(view, tree, event) {
  const item = event.target.closest("[role=treeitem]");
  if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
  const seen = [...tree.querySelectorAll("[role=treeitem]")].filter((each) => !each.parentElement.closest("[aria-expanded=false]"));
  const at = seen.indexOf(item);
  const expanded = item.getAttribute("aria-expanded");
  const above = item.parentElement.closest("[role=treeitem]");
  const steps = { ArrowDown: seen[at + 1], ArrowUp: seen[at - 1], Home: seen[0], End: seen[seen.length - 1] };
  if (event.key === "ArrowRight" && expanded === "false") fold(item, true);
  else if (event.key === "ArrowRight") steps.ArrowRight = expanded ? seen[at + 1] : undefined;
  else if (event.key === "ArrowLeft" && expanded === "true") fold(item, false);
  else if (event.key === "ArrowLeft") steps.ArrowLeft = above;
  else if (event.key === "Enter" || event.key === " ") view.select(Number(item.dataset.thing));
  else if (!Object.hasOwn(steps, event.key)) return;
  event.preventDefault();
  const next = steps[event.key];
  if (!next) return;
  focusable(tree, next);
  next.focus();
}
