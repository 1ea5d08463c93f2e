// The page of a job: what the view tells, drawn as it is told.
//
//   /v1/stream/status ─▶ state, totals, rates, partitions; then commits, rejects, corrections
//   /v1/stream/ranks  ─▶ top ads
//   /v1/stream/counts ─▶ the ad that was looked up, in lookup.js
//
// What arrives changes what is known and asks for a drawing; a frame of the browser draws once,
// however much has arrived.

import { drawAd, lookUp, pointAt, pointByKey, pointByPointer } from "./lookup.js";
import {
  addPoints,
  ask,
  backOff,
  choice,
  forgetPoints,
  job,
  lag,
  listen,
  points,
  rateOver,
  showFilter,
  showMinute,
  showTime,
  stateOf,
} from "./job.js";
import {
  MINUTE,
  SECOND,
  arrange,
  calm,
  create,
  draw,
  fillCells,
  find,
  isolate,
  layOut,
  linkAd,
  makeRow,
  moveSmoothly,
  roundUp,
  say,
  sayTime,
  schedule,
  showBytes,
  showCount,
  showRate,
  showSpan,
  showText,
} from "./nodes.js";

/** An epoch further behind than this is history that is being read. */
const LIVE_LAG_MS = 2 * MINUTE;
/** A job without a commit for so long reads nothing. */
const QUIET_MS = 45 * SECOND;
/** Tables are asked for this often at most. */
const REFRESH_MS = 2 * SECOND;
/** The plot of the rates goes back so far. */
const RATES_MS = 10 * MINUTE;
const TOP_SHORT = 10;
const PARTITIONS_SHOWN = 20;
const ROWS_SHOWN = 12;
const COMMITS_SHOWN = 28;

/** The newest list. */
let list = null;
let isTopLong = false;
let ranksStream = null;
/** Why lists are not told. */
let listProblem = "";

// --- Asking and listening --------------------------------------------------------------------

const statusStream = listen(
  () => "/v1/stream/status",
  { status: heedStatus },
  (isConnected) => {
    if (isConnected !== job.isConnected) {
      job.isConnected = isConnected;
      schedule(drawState);
      if (isConnected) begin();
    }
  },
);

let isBeginning = false;

/** Asks what streams do not tell, until it is answered. */
async function begin() {
  if (isBeginning) return;
  isBeginning = true;
  for (let failures = 0; job.isConnected; failures++) {
    try {
      const { body } = await ask("/v1/filters");
      job.filters = new Map(body.filters.map((filter) => [String(filter.id), filter]));
      if (job.status && !job.filters.has(choice.filter)) readAddress();
      schedule(drawChoices, drawTop, drawAd);
      const ready = await fetch("/readyz", { signal: AbortSignal.timeout(15 * SECOND) });
      job.waitsFor = ready.ok ? "" : ((await ready.json()).detail ?? "");
      schedule(drawState);
      if (ready.ok) break;
    } catch (problem) {
      job.waitsFor = problem.message;
    }
    // What it waits for is over soon, or takes long.
    await new Promise((resume) => setTimeout(resume, Math.min(backOff(failures), 3 * SECOND)));
  }
  isBeginning = false;
}

function heedStatus(status) {
  const before = job.status;
  job.status = status;
  job.heard = performance.now();
  if (status.commit !== before?.commit) job.commitAt = job.heard;
  const isAnother = before && (status.job !== before.job || status.commit < before.commit);
  if (isAnother) forget();
  addPoints([status]);
  if (!before || isAnother) {
    dropUnknown();
    followTop();
    lookUp();
    schedule(drawChoices);
  }
  schedule(drawState, drawStatus, drawPartitions, drawRates, drawTop, drawAd);
  refresh();
}

/** Forgets what was told by a view that began again. */
function forget() {
  forgetPoints();
  list = null;
}

/** Lets go of a filter or a window that the job does not have. */
function dropUnknown() {
  if (job.filters.size && !job.filters.has(choice.filter)) choice.filter = "0";
  if (!job.status?.windows.map(String).includes(choice.window)) choice.window = "";
}

/** Follows the lists of the window and filter that are chosen. */
function followTop() {
  ranksStream?.close();
  list = null;
  listProblem = "";
  const query = new URLSearchParams({
    filter: choice.filter,
    window: choice.window || job.status.windows[0],
  });
  ranksStream = listen(() => `/v1/stream/ranks?${query}`, {
    ranks: ({ ranks }) => {
      // An epoch tells corrected lists of old minutes too.
      for (const told of ranks) if (!list || told.minute >= list.minute) list = told;
      listProblem = "";
      schedule(drawTop);
    },
    problem: ({ detail }) => {
      listProblem = detail;
      schedule(drawTop);
    },
    gap: () => setTimeout(followTop, SECOND),
  });
  schedule(drawTop);
}

// --- Tables that are asked for ---------------------------------------------------------------

const tables = [
  { path: "/v1/commits", says: "commits-says", draw: drawCommits },
  { path: `/v1/corrections?limit=${ROWS_SHOWN}`, says: "corrections-says", draw: drawCorrections },
  { path: `/v1/rejects?limit=${ROWS_SHOWN}`, says: "rejects-says", draw: drawRejects },
];
let isRefreshing = false;
let isStale = false;

/** Asks for the tables again, one refresh at a time; a hidden page waits until it is seen. */
async function refresh() {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  while (isStale && !document.hidden) {
    isStale = false;
    await Promise.all(
      tables.map(async (table) => {
        try {
          const { body } = await ask(table.path);
          schedule(() => table.draw(body));
        } catch (problem) {
          say(find(table.says), problem.message);
        }
      }),
    );
    await new Promise((resume) => setTimeout(resume, REFRESH_MS));
  }
  isRefreshing = false;
}

function drawCommits({ commits }) {
  addPoints(commits);
  schedule(drawRates);
  say(
    find("commits-says"),
    commits.length ? "The newest first, with the rows of each." : "Nothing is committed yet.",
  );
  arrange(find("commits").tBodies[0], commits.slice(0, COMMITS_SHOWN), {
    key: ({ commit, digest }) => `${commit} ${digest}`,
    make: (commit) => {
      const row = makeRow(["number", "", "number", "number", "number", ""]);
      const { counts, ranks, rejects } = commit;
      fillCells(
        row,
        [commit.commit, showTime(commit.epoch), counts, ranks, rejects].map((value) =>
          typeof value === "number" ? showCount(value) : value,
        ),
      );
      const digest = create("code", "", commit.digest.slice(0, 10));
      digest.title = commit.digest;
      row.lastChild.append(digest);
      return row;
    },
  });
}

function drawCorrections({ rows }) {
  const says = rows.length
    ? "Minutes that had settled and were told again, the newest first."
    : "No corrections so far.";
  say(find("corrections-says"), says);
  arrange(find("corrections").tBodies[0], rows, {
    key: ({ ad_id, minute, filter, epoch }) => JSON.stringify([epoch, minute, filter, ad_id]),
    make: ({ ad_id, minute, clicks, was, epoch }) => {
      const row = makeRow(["", "", "cut", "cut", "number"]);
      const [, , ad, , change] = row.children;
      fillCells(row, [showTime(epoch), showMinute(minute)]);
      ad.append(linkAd(ad_id));
      change.append(
        create("span", "was", `${showCount(was)} → `),
        create("strong", "", showCount(clicks)),
      );
      return row;
    },
    fill: (row, { filter }) => isolate(row.children[3], showFilter(filter)),
  });
}

function drawRejects({ rows }) {
  const { rejected, records } = job.status.totals;
  const part = records ? ((100 * rejected) / records).toFixed(2) : "0";
  const says = `${showCount(rejected)} rejected, ${part} % of all records; the newest first.`;
  say(find("rejects-says"), rows.length ? says : "No rejects so far.");
  arrange(find("rejects"), rows, {
    key: ({ log, partition, offset, epoch }) => JSON.stringify([log, partition, offset, epoch]),
    make: makeReject,
    keeps: (node) => node.querySelector("details").open,
  });
}

function makeReject(row) {
  const [item, details, summary] = ["li", "details", "summary"].map((tag) => create(tag));
  const place = `${row.log ? `${row.log} ` : ""}partition ${row.partition} at ${row.offset}`;
  const kind = create("span", "reason", row.reason.replaceAll("_", " "));
  const where = isolate(create("span", "place"), place);
  summary.append(
    create("span", "", showTime(row.epoch)),
    kind,
    where,
    isolate(create("span", "fault"), row.detail),
  );
  const text = row.record !== undefined ? showText(row.record) : showBytes(row.record_base64 ?? "");
  const record = create("pre");
  record.append(create("bdi", "", text || "(an empty record)"));
  if (row.bytes) record.append(`\n… the beginning of ${showCount(row.bytes)} bytes`);
  details.append(summary, record);
  item.append(details);
  return item;
}

// --- Drawing the job -------------------------------------------------------------------------

/** The state in a word for style, in words for people, and what there is to add. */
function describeState() {
  const { status, isConnected, waitsFor } = job;
  if (!isConnected && !job.heard) return ["connecting", "connecting", ""];
  if (!isConnected) {
    return [
      "disconnected",
      "disconnected, reconnecting",
      `what is shown is of ${showTime(status.epoch)}`,
    ];
  }
  if (!status) return ["waiting", "waiting", waitsFor || "nothing is committed yet"];
  if (status.closed) return ["complete", "input is complete", "everything is told and final"];
  if (lag() <= LIVE_LAG_MS) return ["live", "live", ""];
  const quiet = performance.now() - job.commitAt;
  if (quiet > QUIET_MS) return ["quiet", "no new commits", `for ${showSpan(quiet)}`];
  return ["history", "reading history", waitsFor];
}

function drawState() {
  const [kind, words, detail] = describeState();
  find("state-line").dataset.state = kind;
  say(find("state"), words);
  say(find("state-detail"), detail);
  if (!job.status) return;
  say(find("lag"), job.status.closed ? "none" : showSpan(lag()));
  document.title = `${showText(job.status.job)}: ${words}`;
}

function drawStatus() {
  const { status } = job;
  isolate(find("job").parentNode, status.job);
  sayTime(find("epoch"), status.epoch, status.epoch.replace("T", " ").replace("Z", ""));
  sayTime(find("settled"), status.settled, showMinute(status.settled));
  for (const [kind, total] of Object.entries(status.totals)) {
    const node = find(`total-${kind}`);
    if (!node) continue;
    say(node, showCount(total));
    node.dataset.count = total;
  }
}

function drawPartitions() {
  const { partitions, closed } = job.status;
  const worst = [...partitions].sort((one, other) => other.lag_ms - one.lag_ms);
  const more = worst.length - PARTITIONS_SHOWN;
  const shown = worst.slice(0, PARTITIONS_SHOWN);
  const rest = more > 0 ? `, and ${showCount(more)} more that are less behind` : "";
  const says = `${showCount(shown.length)} shown, the furthest behind first${rest}.`;
  say(find("partitions-says"), worst.length ? says : "No partitions yet.");
  arrange(find("partitions").tBodies[0], shown, {
    key: ({ partition }) => partition,
    make: ({ partition }) => {
      const row = makeRow(["cut", "number", "", "number"]);
      isolate(row.firstChild, partition);
      return row;
    },
    fill: (row, { offset, clock, lag_ms }) => {
      const texts = [showCount(offset), showTime(clock, 12), closed ? "none" : showSpan(lag_ms)];
      texts.forEach((text, index) => say(row.children[index + 1], text));
    },
  });
}

// --- Drawing rates ---------------------------------------------------------------------------

function drawRates() {
  if (points.length < 2) {
    if (points.length) say(find("rates-says"), "One epoch is known; two make a rate.");
    return;
  }
  // After the last click the epoch goes on until all has settled: a mean says more than that.
  const { closed } = job.status;
  const spans = closed ? [Infinity, Infinity] : [10 * SECOND, MINUTE];
  [
    ["per-second", 1],
    ["per-minute", 60],
  ].forEach(([id, seconds], index) => {
    const { rate, ms } = rateOver(spans[index]);
    say(find(id), showRate(rate * seconds));
    say(find(`${id}-span`), `${closed ? "mean of all" : "mean of the last"} ${showSpan(ms)}`);
  });
  plotRates();
}

function plotRates() {
  const last = points.at(-1).at;
  const recent = points.filter(({ at }) => at >= last - RATES_MS);
  // Commits of a replay lie further apart.
  const shown = recent.length > 10 ? recent : points.slice(-120);
  const first = shown[0].at;
  const steps = shown.slice(1).map(({ at, clicks }, index) => {
    const before = shown[index];
    return {
      from: before.at,
      to: at,
      rate: ((clicks - before.clicks) * SECOND) / (at - before.at),
    };
  });
  const most = roundUp(Math.max(...steps.map(({ rate }) => rate)));
  const plot = layOut(find("rates-plot"), { first, last, most });
  const path = steps.map(({ from, to, rate }) => `V${plot.y(rate)}H${plot.x(to)}`).join("");
  const floor = plot.y(0);
  plot.marks.replaceChildren(
    draw("path", { class: "area", d: `M${plot.x(first)} ${floor}${path}V${floor}Z` }),
    draw("path", { class: "curve", d: `M${plot.x(first)} ${plot.y(steps[0].rate)}${path}` }),
  );
  const rates = steps.map(({ rate }) => rate);
  const range = `${showRate(Math.min(...rates))} to ${showRate(Math.max(...rates))}`;
  say(
    find("rates-says"),
    `Clicks per second by epoch, ${showTime(first)} to ${showTime(last)}: ${range}.`,
  );
}

// --- Drawing the list ------------------------------------------------------------------------

/** Fills the choices; options stay as they are while they say the same. */
function drawChoices() {
  const { windows } = job.status ?? { windows: [] };
  const option = ({ value }) => Object.assign(create("option"), { value });
  const fill = (node, { text }) => say(node, text);
  // Options hold no bdi: isolates of the text itself do the same.
  const filters = [...job.filters.keys()].map((value) => ({
    value,
    text: `\u2068${showFilter(value)}\u2069`,
  }));
  const lengths = windows.map((window) => ({
    value: String(window),
    text: window === 1 ? "1 minute" : `${window} minutes`,
  }));
  arrange(find("filter"), filters, { key: ({ value }) => value, make: option, fill });
  arrange(find("window"), lengths, { key: ({ value }) => value, make: option, fill });
  find("filter").value = choice.filter;
  find("window").value = choice.window || String(windows[0] ?? "");
}

function describeList() {
  const first = Date.parse(list.minute) - (list.window - 1) * MINUTE;
  const minutes =
    list.window === 1
      ? `Minute ${showMinute(list.minute)}`
      : `${list.window} minutes ${showMinute(first)} to ${showMinute(list.minute)}`;
  const state = {
    provisional:
      list.window === 1
        ? "provisional until it settles"
        : "provisional until its last minute settles",
    final: "final",
    correction: "final, and corrected since",
  }[stateOf(Date.parse(list.minute), list.state)];
  return `${minutes}, \u2068${showFilter(list.filter)}\u2069: ${state}.`;
}

function drawTop() {
  const ads = list?.ads ?? [];
  const nothing = job.status ? "Nobody has clicked yet." : "Nothing is committed yet.";
  say(find("top-says"), listProblem || (list && job.status ? describeList() : nothing));
  const shown = isTopLong ? ads : ads.slice(0, TOP_SHORT);
  const most = ads[0]?.clicks ?? 1;
  moveSmoothly(find("top"), () =>
    arrange(
      find("top"),
      shown.map((ad, index) => ({ ...ad, rank: index + 1 })),
      {
        key: ({ ad_id }) => ad_id,
        make: makeTop,
        fill: (row, { ad_id, clicks, rank }) => {
          const [place, , track, number] = row.children;
          say(place, String(rank));
          track.firstChild.style.transform = `scaleX(${clicks / most})`;
          say(number, showCount(clicks));
          number.dataset.clicks = clicks;
          row.classList.toggle("chosen", ad_id === choice.ad);
        },
      },
    ),
  );
  const more = find("top-more");
  more.hidden = ads.length <= TOP_SHORT;
  more.setAttribute("aria-expanded", String(isTopLong));
  say(
    more,
    isTopLong
      ? `Show the first ${TOP_SHORT}`
      : `Show ${Math.min(ads.length, job.status?.top ?? 0)}`,
  );
}

function makeTop({ ad_id }) {
  const row = create("li");
  row.dataset.ad = ad_id;
  const track = create("span", "track");
  track.setAttribute("aria-hidden", "true");
  track.append(create("span"));
  row.append(create("span", "rank"), linkAd(ad_id), track, create("span", "clicks"));
  return row;
}

// --- What the viewer does --------------------------------------------------------------------

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  const number = (name) => /^\d{1,10}$/.exec(address.get(name) ?? "")?.[0];
  const before = { ...choice };
  choice.ad = address.get("ad") ?? "";
  choice.filter = number("filter") ?? "0";
  choice.window = number("window") ?? "";
  find("ad-input").value = choice.ad;
  schedule(drawChoices, drawTop);
  if (!job.status) return;
  dropUnknown();
  const isOtherFilter = choice.filter !== before.filter;
  if (isOtherFilter || choice.window !== before.window) followTop();
  if (isOtherFilter || choice.ad !== before.ad) lookUp();
}

/** Puts a choice into the address, so that what is looked at can be linked. */
function choose(change) {
  const { ad, filter, window } = { ...choice, ...change };
  const address = new URLSearchParams();
  if (ad) address.set("ad", ad);
  if (filter !== "0") address.set("filter", filter);
  if (window && window !== String(job.status?.windows[0])) address.set("window", window);
  location.hash = address;
}

// A fragment would take the place of the choice.
find("skip").addEventListener("click", (event) => {
  event.preventDefault();
  find("main").focus();
});
find("filter").addEventListener("change", (event) => choose({ filter: event.target.value }));
find("window").addEventListener("change", (event) => choose({ window: event.target.value }));
find("ad-form").addEventListener("submit", (event) => {
  event.preventDefault();
  choose({ ad: find("ad-input").value.trim() });
});
find("top-more").addEventListener("click", () => {
  isTopLong = !isTopLong;
  schedule(drawTop);
});
document.addEventListener("click", (event) => {
  const ad = event.target.closest("[data-look-up]")?.dataset.lookUp;
  if (ad === undefined) return;
  choose({ ad });
  find("lookup").scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
});
find("ad-plot").addEventListener("keydown", pointByKey);
find("ad-plot").addEventListener("pointermove", pointByPointer);
find("ad-plot").addEventListener("pointerdown", pointByPointer);
find("ad-plot").addEventListener("pointerleave", () => pointAt(null));
find("ad-plot").addEventListener("blur", () => job.status && pointAt(null));
addEventListener("hashchange", readAddress);
addEventListener("resize", () => job.status && schedule(drawRates, drawAd));
document.addEventListener("visibilitychange", () => job.status && refresh());
setInterval(() => schedule(drawState), SECOND);

/** A connection can be dead without a word: one that is silent is asked about, and made again. */
setInterval(async () => {
  if (!job.isConnected || !job.status || job.status.closed) return;
  if (performance.now() - job.heard < QUIET_MS) return;
  const told = await ask("/v1/status").catch(() => null);
  if (!told || told.body.commit !== job.status.commit) statusStream.reopen();
}, 15 * SECOND);

readAddress();
