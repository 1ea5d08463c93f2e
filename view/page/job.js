// How far the job is: what was told of it last, and how the view is asked and listened to.

import { MINUTE, SECOND, showText } from "./nodes.js";

const RATES_MAX = 1_200;
/** Minutes that are shown of an ad. */
export const HOUR = 60;

/** What is looked at, as the address has it. */
export const choice = { ad: "", filter: "0", window: "" };
/** How far the job is, and when that was heard. */
export const job = {
  status: null,
  heard: 0,
  commitAt: 0,
  isConnected: false,
  waitsFor: "",
  filters: new Map(),
};
/** Total clicks by epoch, oldest first. */
export let points = [];

/** The time of day, with the day where it is not the one of the epoch. */
export function showTime(time, length = 8) {
  const text = new Date(time).toISOString();
  const day = text.slice(0, 10);
  const clock = text.slice(11, 11 + length);
  return day === job.status?.epoch.slice(0, 10) ? clock : `${day} ${clock}`;
}

export const showMinute = (time) => showTime(time, 5);

export function showFilter(id) {
  const filter = job.filters.get(String(id));
  if (!filter) return `filter ${id}`;
  if (filter.name) return showText(filter.name);
  const says = (fields) =>
    Object.entries(fields ?? {}).map(
      ([field, values]) => `${field} ${[values].flat().join(" or ")}`,
    );
  const parts = [...says(filter.where), ...says(filter.not).map((part) => `not ${part}`)];
  return showText(parts.join(", ")) || `filter ${id}`;
}

/** What the view answers, and the epoch that it speaks of. Fails with what is wrong, in words. */
export async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(15 * SECOND) });
  const body = await answer.json().catch(() => null);
  if (!answer.ok || !body) {
    const problem = new Error(body?.detail ?? `${answer.status} ${answer.statusText}`);
    throw Object.assign(problem, { status: answer.status });
  }
  return { body, epoch: answer.headers.get("clicks-epoch") };
}

/** Waits longer with each failure, and no longer than half a minute. */
export const backOff = (failures) =>
  Math.min(30, 2 ** failures) * SECOND * (0.75 + Math.random() / 2);

/**
 * Listens to a stream until it is closed. The browser comes back to one that broke off; one that
 * it gave up is opened again here, at the address that `locate` gives by then.
 */
export function listen(locate, events, onChange = () => {}) {
  let source = null;
  let timer = 0;
  let failures = 0;
  const open = () => {
    source = new EventSource(locate());
    source.onopen = () => {
      failures = 0;
      onChange(true);
    };
    source.onerror = () => {
      onChange(false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, backOff(failures++));
    };
    for (const [name, heed] of Object.entries(events)) {
      source.addEventListener(name, (event) => heed(JSON.parse(event.data)));
    }
  };
  const close = () => {
    clearTimeout(timer);
    source.close();
  };
  open();
  return { close, reopen: () => (close(), open()) };
}

/** The first of the minutes that are plotted; the last one is that of the epoch. */
export const firstMinute = () => lastMinute() - (HOUR - 1) * MINUTE;
export const lastMinute = () => Math.floor((Date.parse(job.status.epoch) - 1) / MINUTE) * MINUTE;

/** The state of a minute: what did not change when it settled was not told again. */
export function stateOf(minute, told) {
  const isSettled = minute <= Date.parse(job.status.settled);
  return told === "provisional" && isSettled ? "final" : told;
}

/** How far the epoch is behind: it falls behind further until the next commit. */
export const lag = () => job.status.lag_ms + performance.now() - job.heard;

/** Adds totals by epoch, each epoch once. */
export function addPoints(commits) {
  const known = new Set(points.map(({ at }) => at));
  for (const { epoch, totals, clicks } of commits) {
    const at = Date.parse(epoch);
    if (!known.has(at)) points.push({ at, clicks: clicks ?? totals.clicks });
  }
  points.sort((one, other) => one.at - other.at);
  points = points.slice(-RATES_MAX);
}

/** Clicks of a second between the last epoch and one at least `span` before it. */
export function rateOver(span) {
  const last = points.at(-1);
  const first = points.findLast(({ at }) => at <= last.at - span) ?? points[0];
  const seconds = (last.at - first.at) / SECOND;
  return { rate: (last.clicks - first.clicks) / seconds, ms: seconds * SECOND };
}

export function forgetPoints() {
  points = [];
}
