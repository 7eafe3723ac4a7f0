// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: bulwark.servers contributors
// The graph of an investigation as SVG. Python has placed its things; arrow keys go to the next one in a direction.

const COLUMN = 256;
// What an edge between things of one column needs beside them.
const MARGIN = 96;
const ROW = 56;
const BOX = { width: 176, height: 38 };
const LABEL_LENGTH = 22;

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function svg(tag, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** @param {View} view */
function graphView(view) {
  const made = element("div");
  const { graph, nodes } = view.data;
  const width = graph.columns * COLUMN - (COLUMN - BOX.width) + MARGIN;
  const height = graph.rows * ROW + 8;
  const words = `Graph of ${counted(graph.nodes.length, "thing")}`;
  const left = nodes.length > graph.nodes.length ? ` of ${grouped(nodes.length)}, the nearest ones` : "";
  made.append(element("p", `${words}${left}. Arrows go from who acts to what it acts on. Arrow keys move, Enter selects.`, "muted graph-words"));
  const scroll = element("div", undefined, "scroll graph-scroll");
  const picture = svg("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": words });
  const places = new Map(graph.nodes.map(([number, column, row]) => [number, { x: 8 + column * COLUMN, y: 8 + row * ROW }]));
  const edges = graph.edges.map((edge) => graphEdge(edge, places));
  const boxes = new Map(graph.nodes.map(([number]) => [number, graphBox(view, number, places.get(number))]));
  picture.append(...edges.map(({ line }) => line), ...boxes.values(), ...edges.map(({ label }) => label));
  scroll.append(picture);
  made.append(scroll);
  boxes.get(graph.nodes[0]?.[0])?.setAttribute("tabindex", "0");
  picture.addEventListener("keydown", (event) => graphKey(view, places, boxes, event));
  view.followers.push((number) => {
    for (const { line, label, source, target, nearSource, nearTarget } of edges) {
      const linked = source === number || target === number;
      line.classList.toggle("is-linked", linked);
      label.classList.toggle("is-linked", linked);
      // Beside the other thing, where no other label of these edges is.
      const at = source === number ? nearTarget : nearSource;
      label.setAttribute("x", String(at.x));
      label.setAttribute("y", String(at.y));
    }
    for (const [each, box] of boxes) {
      box.classList.toggle("is-selected", each === number);
      box.setAttribute("aria-pressed", String(each === number));
    }
    if (!boxes.has(number)) return;
    onlyFocusable(boxes, number);
    scroll.scrollLeft = places.get(number).x - (scroll.clientWidth - BOX.width) / 2;
  });
  return made;
}

/**
 * @param {View} view
 * @param {number} number
 * @param {{x: number, y: number}} place
 */
function graphBox(view, number, { x, y }) {
  const thing = view.data.nodes[number];
  const [, label, , , , , gone] = thing;
  const box = svg("g", { class: `box box-${kindOf(thing)}${gone ? " is-gone" : ""}${number ? "" : " is-begin"}`, role: "button", tabindex: -1, transform: `translate(${x} ${y})` });
  box.setAttribute("aria-label", `${kindWords(thing)} ${label}${gone ? ", gone" : ""}${number ? "" : ", the investigation begins with it"}`);
  const title = svg("title");
  title.textContent = label;
  const kind = svg("text", { class: "box-kind", x: 10, y: 14 });
  kind.textContent = kindWords(thing) + (gone ? ", gone" : "");
  const text = svg("text", { class: "box-label", x: 10, y: 30 });
  // Of a path, the end says more.
  const characters = [...label];
  const isPath = label.includes("/");
  if (characters.length <= LABEL_LENGTH) text.textContent = label;
  else text.textContent = isPath ? `…${characters.slice(1 - LABEL_LENGTH).join("")}` : `${characters.slice(0, LABEL_LENGTH - 1).join("")}…`;
  box.append(title, svg("rect", { width: BOX.width, height: BOX.height, rx: 6 }), kind, text);
  box.addEventListener("click", () => view.select(number));
  return box;
}

/**
 * @param {[number, number, number[]]} edge
 * @param {Map<number, {x: number, y: number}>} places
 */
function graphEdge([source, target, relations], places) {
  const [from, to] = [places.get(source), places.get(target)];
  const forward = to.x >= from.x;
  const same = to.x === from.x;
  const middle = BOX.height / 2;
  const begin = { x: from.x + (forward ? BOX.width : 0), y: from.y + middle };
  const end = { x: to.x + (forward && !same ? 0 : BOX.width), y: to.y + middle };
  if (!forward) { begin.x = from.x; end.x = to.x + BOX.width; }
  const bend = same ? 44 : Math.max(24, Math.abs(end.x - begin.x) / 2);
  const [one, other] = [begin.x + (forward ? bend : -bend), end.x + (forward && !same ? -bend : bend)];
  const tip = forward && !same ? -1 : 1;
  const line = svg("g", { class: "edge" });
  line.append(
    svg("path", { d: `M${begin.x} ${begin.y}C${one} ${begin.y} ${other} ${end.y} ${end.x + tip * 6} ${end.y}` }),
    svg("path", { class: "tip", d: `M${end.x} ${end.y}l${tip * 9} -4.5v9z` }),
  );
  const label = svg("text", { class: "edge-label", "aria-hidden": "true" });
  const aside = (COLUMN - BOX.width) / 2;
  const nearSource = { x: begin.x + (forward ? aside : -aside), y: begin.y - 5 };
  const nearTarget = { x: end.x + (forward && !same ? -aside : aside), y: end.y - 5 };
  label.textContent = relations.map((name) => relationWords(report.names[name])[0]).join(", ");
  return { line, label, source, target, nearSource, nearTarget };
}

/**
 * @param {Map<number, SVGElement>} boxes
 * @param {number} number
 */
function onlyFocusable(boxes, number) {
  for (const [each, box] of boxes) box.setAttribute("tabindex", each === number ? "0" : "-1");
}

/**
 * @param {View} view
 * @param {Map<number, {x: number, y: number}>} places
 * @param {Map<number, SVGElement>} boxes
 * @param {KeyboardEvent} event
 */
function graphKey(view, places, boxes, event) {
  const current = [...boxes].find(([, box]) => box === event.target)?.[0];
  if (current === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); view.select(current); return; }
  const direction = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (!direction && event.key !== "Home") return;
  event.preventDefault();
  const next = direction ? nextPlace(places, current, direction) : places.keys().next().value;
  if (next === undefined) return;
  onlyFocusable(boxes, next);
  boxes.get(next).focus();
}

/**
 * The nearest thing in a direction: what is straight ahead counts before what is aside.
 * @param {Map<number, {x: number, y: number}>} places
 * @param {number} current
 * @param {[number, number]} direction
 * @returns {number | undefined}
 */
function nextPlace(places, current, [right, down]) {
  const { x, y } = places.get(current);
  let best;
  let least = Infinity;
  for (const [number, place] of places) {
    const ahead = right * (place.x - x) / COLUMN + down * (place.y - y) / ROW;
    const aside = Math.abs(right ? (place.y - y) / ROW : (place.x - x) / COLUMN);
    if (ahead <= 0.1 || (down && aside)) continue;
    if (ahead * 3 + aside < least) [best, least] = [number, ahead * 3 + aside];
  }
  return best;
}
