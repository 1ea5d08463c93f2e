// An ad that is looked up: its clicks of the last hour, by minute.

import {
  HOUR,
  ask,
  backOff,
  choice,
  firstMinute,
  job,
  lastMinute,
  listen,
  showFilter,
  showMinute,
  stateOf,
} from "./job.js";
import {
  MARGIN,
  MINUTE,
  SECOND,
  draw,
  find,
  layOut,
  roundUp,
  say,
  schedule,
  showCount,
  showText,
} from "./nodes.js";

/** The ad: its minutes in milliseconds, with clicks and state. */
let looked = null;
/** The minute that the viewer points at. */
let pointed = null;
let stream = null;

export async function lookUp() {
  stream?.close();
  stream = null;
  looked = null;
  pointed = null;
  schedule(drawAd);
  if (!choice.ad || !job.status) return;
  const mine = { ad: choice.ad, filter: choice.filter, minutes: null, before: 0, problem: "" };
  looked = mine;
  if (/^\.{1,2}$/.test(mine.ad)) {
    mine.problem = "cannot be asked for: addresses take it for a folder";
    return;
  }
  const path = `/v1/ads/${encodeURIComponent(mine.ad)}/aggregated_count`;
  for (let failures = 0; mine === looked; failures++) {
    try {
      const from = Math.max(firstMinute(), Date.parse(job.status.kept_from));
      const asked = new URLSearchParams({ from, group_by: "minute", filter: mine.filter });
      const { body, epoch } = await ask(`${path}?${asked}`);
      if (body.count === 0) {
        const all = new URLSearchParams({ from: job.status.kept_from, filter: mine.filter });
        mine.before = (await ask(`${path}?${all}`)).body.count;
      }
      if (mine !== looked) return;
      mine.problem = "";
      mine.minutes = new Map(
        body.minutes.map((at) => [Date.parse(at.minute), { clicks: at.count, state: at.state }]),
      );
      followAd(mine, epoch);
      return;
    } catch (problem) {
      mine.problem = problem.message;
      schedule(drawAd);
      // What is wrong with the question stays wrong.
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 410) return;
    }
    await new Promise((resume) => setTimeout(resume, backOff(failures)));
  }
}

/** Follows the changes after what is known at `epoch`. */
function followAd(mine, epoch) {
  const query = () => new URLSearchParams({ ad_id: mine.ad, filter: mine.filter, since: epoch });
  stream = listen(() => `/v1/stream/counts?${query()}`, {
    counts: (changes) => {
      epoch = changes.epoch;
      mine.problem = "";
      for (const { minute, clicks, state } of changes.counts) {
        mine.minutes.set(Date.parse(minute), { clicks, state });
      }
      schedule(drawAd);
    },
    problem: ({ detail }) => {
      mine.problem = detail;
      schedule(drawAd);
    },
    gap: () => setTimeout(() => mine === looked && lookUp(), SECOND),
  });
  schedule(drawAd);
}

function describeAd() {
  const ad = `\u2068${showText(looked.ad)}\u2069, \u2068${showFilter(looked.filter)}\u2069`;
  if (looked.problem) return `${ad}: ${looked.problem}`;
  if (!looked.minutes) return `${ad}: being looked up`;
  if (sumAd() > 0) return ad;
  if (looked.before > 0)
    return `${ad}: no clicks in the last hour, ${showCount(looked.before)} before.`;
  return `${ad}: nobody has clicked this ad.`;
}

function sumAd() {
  let total = 0;
  for (const [minute, { clicks }] of looked.minutes) if (minute >= firstMinute()) total += clicks;
  return total;
}

export function drawAd() {
  const isShown = Boolean(looked?.minutes && job.status);
  find("lookup-shown").hidden = !isShown;
  say(find("ad-says"), looked ? describeAd() : "Enter an ad, or choose one of the list.");
  if (!isShown) return;
  const [first, last] = [firstMinute(), lastMinute()];
  for (const minute of looked.minutes.keys()) if (minute < first) looked.minutes.delete(minute);
  const total = sumAd();
  find("ad-total").dataset.clicks = total;
  say(find("ad-total"), showCount(total));
  say(
    find("ad-span"),
    `clicks from ${showMinute(first)} to ${showMinute(last)}, the minute of the epoch`,
  );
  plotAd(first, last);
  drawReadout(first);
}

function plotAd(first, last) {
  const bars = [...looked.minutes]
    .map(([minute, { clicks, state }]) => ({ minute, clicks, state: stateOf(minute, state) }))
    .filter(({ minute, clicks }) => minute <= last && clicks > 0);
  const most = roundUp(Math.max(2, ...bars.map(({ clicks }) => clicks)));
  const plot = layOut(find("ad-plot"), { first, last: last + MINUTE, most });
  const width = plot.x(first + MINUTE) - plot.x(first);
  const marks = bars.flatMap(({ minute, clicks, state }) => {
    const [x, y] = [plot.x(minute) + width * 0.12, plot.y(clicks)];
    const height = Math.max(plot.y(0) - y, 1);
    const box = { class: `bar ${state}`, x, y: plot.y(0) - height, width: width * 0.76, height };
    const fill = { provisional: "url(#hatch)", correction: "url(#cross)" }[state];
    const bar = draw("rect", fill ? { ...box, fill } : box);
    if (state !== "correction") return [bar];
    const middle = plot.x(minute) + width / 2;
    return [bar, draw("path", { class: "flag", d: `M${middle} ${y - 2}l-3.5 -5h7z` })];
  });
  if (pointed !== null && pointed >= first) {
    const [x, y] = [plot.x(pointed), plot.y(most)];
    marks.push(draw("rect", { class: "cursor", x, y, width, height: plot.y(0) - y }));
  }
  plot.marks.replaceChildren(...marks);
}

function drawReadout(first) {
  const node = find("ad-readout");
  const minute = pointed === null || pointed < first ? null : pointed;
  node.classList.toggle("hint", minute === null);
  const shown = minute ?? lastMinute();
  const known = looked.minutes.get(shown);
  const state = stateOf(shown, known?.state ?? "provisional");
  const words = { correction: "corrected after it was final" }[state] ?? state;
  const value = `${showMinute(shown)}: ${showCount(known?.clicks ?? 0)} clicks, ${words}`;
  say(node, minute === null ? "Point at a minute, or move along with the arrow keys." : value);
  find("ad-plot").setAttribute("aria-valuenow", (shown - first) / MINUTE);
  find("ad-plot").setAttribute("aria-valuetext", value);
}

export function pointAt(minute) {
  pointed = minute === null ? null : Math.min(Math.max(minute, firstMinute()), lastMinute());
  schedule(drawAd);
}

/** Points along the minutes, as sliders do. */
export function pointByKey(event) {
  const steps = {
    ArrowLeft: -1,
    ArrowDown: -1,
    ArrowRight: 1,
    ArrowUp: 1,
    PageDown: -10,
    PageUp: 10,
    Home: -HOUR,
    End: HOUR,
  };
  const step = steps[event.key];
  if (!step || !job.status) return;
  event.preventDefault();
  pointAt((pointed ?? lastMinute()) + step * MINUTE);
}

export function pointByPointer(event) {
  if (!job.status) return;
  const { left, width } = event.currentTarget.getBoundingClientRect();
  const part = (event.clientX - left - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
  pointAt(firstMinute() + Math.floor(part * HOUR) * MINUTE);
}
