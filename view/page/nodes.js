// Text and nodes: what the page is drawn with.
//
// Ids, names and records are the text of strangers: they become text nodes and attribute values,
// never markup. Nodes are kept and filled again, so that focus and motion survive a drawing.

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

export const find = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");
export const showCount = (number) => count.format(number);
export const showRate = (rate) => (rate >= 100 ? showCount(Math.round(rate)) : rate.toFixed(1));

/** Makes visible what would be invisible, or would turn the text around it. */
export function showText(text) {
  return text
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421")
    .replace(
      /[\u0080-\u009f\u00ad]|\p{Cf}|[\u2028\u2029]/gu,
      (c) => `\\u{${c.codePointAt(0).toString(16)}}`,
    );
}

/** A record that is not UTF-8: what is printed as it is, other bytes as \xNN. */
export function showBytes(base64) {
  const escape = (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return atob(base64).replace(/[^\x20-\x7e]/g, escape);
}

export function showSpan(ms) {
  if (ms < 9_950) return `${(ms / SECOND).toFixed(1)} s`;
  const seconds = Math.round(ms / SECOND);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const hours = Math.round(seconds / 3_600);
  return hours < 48 ? `${hours} h` : `${showCount(Math.round(hours / 24))} days`;
}

/** Sets a text, leaving the node alone where it says that already. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function sayTime(node, time, text) {
  say(node, text);
  node.setAttribute("datetime", time);
}

export function create(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export function draw(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Text of a stranger, which does not turn what is around it; the whole is in the title. */
export function isolate(node, text) {
  const bdi = node.querySelector("bdi") ?? node.appendChild(document.createElement("bdi"));
  say(bdi, showText(text));
  node.title = bdi.textContent;
  return node;
}

export function linkAd(ad) {
  const button = isolate(create("button", "link"), ad);
  button.type = "button";
  button.dataset.lookUp = ad;
  return button;
}

/** Makes `parent` hold one node for each item, in order; nodes are found again by key. */
export function arrange(parent, items, { key, make, fill, keeps = () => false }) {
  const wanted = new Map(items.map((item) => [key(item), item]));
  const nodes = new Map();
  for (const node of [...parent.children]) {
    if (wanted.has(node.dataset.key)) nodes.set(node.dataset.key, node);
    else if (!keeps(node)) node.remove();
  }
  let next = parent.firstElementChild;
  for (const [name, item] of wanted) {
    const node = nodes.get(name) ?? make(item);
    node.dataset.key = name;
    fill?.(node, item);
    if (node === next) next = next.nextElementSibling;
    // A move keeps focus, where the browser can move at all.
    else if (node.parentNode && parent.moveBefore) parent.moveBefore(node, next);
    else parent.insertBefore(node, next);
  }
}

export function fillCells(row, texts) {
  texts.forEach((text, index) => say(row.children[index], text));
}

export function makeRow(classes) {
  const row = create("tr");
  classes.forEach((name, index) => {
    const cell = create(index === 0 ? "th" : "td", name);
    if (index === 0) cell.scope = "row";
    row.append(cell);
  });
  return row;
}

const due = new Set();

/** Has `drawing` done with the next frame, once. */
export function schedule(...drawings) {
  if (due.size === 0) requestAnimationFrame(drawDue);
  drawings.forEach((drawing) => due.add(drawing));
}

function drawDue() {
  const drawings = [...due];
  due.clear();
  drawings.forEach((drawing) => drawing());
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Lets rows that `change` moves glide from where they were. */
export function moveSmoothly(parent, change) {
  const measure = () =>
    new Map([...parent.children].map((row) => [row, row.getBoundingClientRect().top]));
  const before = calm.matches ? new Map() : measure();
  const focused = document.activeElement;
  const hadFocus = parent.contains(focused);
  for (const row of before.keys()) row.getAnimations().forEach((animation) => animation.cancel());
  change();
  if (hadFocus && document.activeElement !== focused) focused.focus({ preventScroll: true });
  if (calm.matches) return;
  for (const [row, top] of measure()) {
    const moved = (before.get(row) ?? top) - top;
    if (moved === 0) continue;
    const frames = [{ transform: `translateY(${moved}px)` }, { transform: "none" }];
    row.animate(frames, { duration: 400, easing: "ease-out" });
  }
}

export const MARGIN = { left: 44, right: 10, top: 10, bottom: 20 };

/** The next of 1, 2, 4, 5, 10, 20, … that is as great: its half is round too. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return power * [1, 2, 4, 5, 6, 8, 10].find((step) => step * power >= value);
}

/** Draws the axes of a plot; says where times and values are on it, and what its marks go into. */
export function layOut(plot, { first, last, most }) {
  if (!plot.firstChild) plot.append(draw("g", {}), draw("g", {}));
  const { height, ...box } = plot.getBoundingClientRect().toJSON();
  // A plot that is not laid out has no width.
  const width = Math.max(box.width, 2 * (MARGIN.left + MARGIN.right));
  const [right, floor] = [width - MARGIN.right, height - MARGIN.bottom];
  const x = (time) => MARGIN.left + ((time - first) / (last - first)) * (right - MARGIN.left);
  const y = (value) => floor - (value / most) * (floor - MARGIN.top);
  const [axes, marks] = plot.children;
  const lines = [0, most / 2, most].flatMap((value) => [
    draw("line", {
      class: value ? "grid" : "axis",
      x1: MARGIN.left,
      x2: right,
      y1: y(value),
      y2: y(value),
    }),
    draw("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, showCount(value)),
  ]);
  const span = last - first;
  const wanted = Math.max(2, Math.floor((right - MARGIN.left) / 90));
  const steps = [
    ...[1, 2, 5, 10, 30].map((n) => n * SECOND),
    ...[1, 2, 5, 10, 15, 30, 60, 180, 720, 1_440].map((n) => n * MINUTE),
  ];
  const step = steps.find((length) => span / length <= wanted) ?? span;
  for (let time = Math.ceil(first / step) * step; time <= last; time += step) {
    const text = new Date(time).toISOString().slice(11, step < MINUTE ? 19 : 16);
    const anchor = right - x(time) < 20 ? "end" : "middle";
    lines.push(draw("line", { class: "axis", x1: x(time), x2: x(time), y1: floor, y2: floor + 4 }));
    lines.push(draw("text", { x: x(time), y: floor + 16, "text-anchor": anchor }, text));
  }
  axes.replaceChildren(...lines);
  return { x, y, marks };
}
