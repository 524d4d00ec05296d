"use strict";
// The page shows looks at the system, one at a time: the latest, or the one that the slider is at.
// What it has: `looks` (number and tick of each), `shown` (the look on the page), `points` (outputs by GRAPH/SQ).

const $ = (id) => document.getElementById(id);
const MOST_POINTS = 300, MOST_STREAMS = 24, MOST_ROWS = 500, RECENT = 5e6, READABLE = 0.55, FAR = 0.2, MOST_LEVELS = 8, MOST_NAMED = 4, CLICK = 3;
let asked = 0, looks = [], shown = null, before = null, live = true, drawn = "", chosen = null, view = { x: 0, y: 0, scale: 1 };
const points = new Map(), recent = [], figures = new Map(), nodes = new Map();

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function put(id, text) { if ($(id).textContent !== text) $(id).textContent = text; }

function about(us) {
  const size = Math.abs(us);
  if (size >= 6e7) return (us / 6e7).toFixed(1) + " min";
  if (size >= 1e6) return (us / 1e6).toFixed(size >= 1e7 ? 0 : 1) + " s";
  return size >= 1e3 ? (us / 1e3).toFixed(size >= 1e4 ? 0 : 1) + " ms" : Math.round(us) + " us";
}

function clock(us) {
  return us > 1e14 ? new Date(us / 1000).toLocaleTimeString() : about(us);
}

function tell(text, wrong = false) {
  $("told").className = wrong ? "wrong" : "";
  put("told", text);
}

// What is asked of the manager.

async function ask(act, body) {
  const answer = await fetch("/api/do/" + act, { method: "POST", body: JSON.stringify(body) });
  const told = await answer.json();
  tell(told.error || told.told || "", Boolean(told.error));
}

function dialog(title, text, fields = []) {
  put("ask-title", title); put("ask-text", text);
  $("ask-fields").replaceChildren(...fields.map((field) => element("label", {}, field.label, field.input)));
  $("ask").returnValue = "no";
  $("ask").showModal();
  return new Promise((done) => $("ask").addEventListener("close", () => done($("ask").returnValue === "yes"), { once: true }));
}

function graph() { return shown && shown.graphs.find((each) => each.name === $("graphs").value); }

$("ask-no").onclick = () => $("ask").close("no");
$("start").onclick = async () => {
  const of = graph();
  if (!of) return;
  const fields = of.inputs.map((name) => ({ label: name, input: element("input", { value: name === "trigger" ? "1" : "" }) }));
  if (!(await dialog("Start " + of.name, fields.length ? "Its inputs, as Python writes them." : "", fields))) return;
  const inputs = Object.fromEntries(fields.map((field) => [field.label, field.input.value]).filter(([, value]) => value !== ""));
  ask("start", { graph: of.name, inputs });
};
$("stop").onclick = async () => {
  const of = graph();
  if (of && (await dialog("Stop " + of.name + "?", "It ends on all ensembles, and its name is free."))) ask("stop", { graph: of.name });
};
$("deploy").onclick = async () => {
  const file = element("input", { type: "file", accept: ".py,.json" }), name = element("input", { placeholder: "its file's name" });
  const yes = await dialog("Deploy", "A program of one file, or a compiled graph (ticktalk compile).", [{ label: "file", input: file }, { label: "name", input: name }]);
  if (yes && file.files[0]) ask("deploy", { file: file.files[0].name, text: await file.files[0].text(), name: name.value });
};
$("set").onclick = async () => {
  const period = element("input", { placeholder: "250ms or 60Hz" }), of = graph();
  if (of && chosen && (await dialog("Period of " + chosen, "From its next instant on.", [{ label: "period", input: period }])) && period.value)
    ask("set", { graph: of.name, sq: chosen, period: period.value });
};

// Looks.

function connect() {
  const socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/api/live");
  socket.onmessage = (message) => take(JSON.parse(message.data));
  socket.onopen = async () => {
    points.clear();  // the first message has all that are remembered there
    looks = await (await fetch("/api/looks")).json();
    slide();
    if ($("told").dataset.gone) { delete $("told").dataset.gone; tell(""); }
  };
  socket.onclose = () => {
    $("told").dataset.gone = "yes";
    tell("the manager does not answer: this is how it was last", true);
    setTimeout(connect, 1500);
  };
}

function take({ look, outputs }) {
  for (const [name, { points: more }] of Object.entries(outputs)) {
    const row = points.get(name) || [];
    row.push(...more);
    points.set(name, row.slice(-MOST_POINTS));
  }
  const last = looks[looks.length - 1];
  if (!last || look.number > last[0]) {
    looks.push([look.number, look.now]);
    if (looks.length > 2000) looks.shift();
    recent.push(look);
    if (recent.length > 60) recent.shift();
  }
  if (live) show(look);
  slide();
}

function slide() {
  const time = $("time");
  time.max = Math.max(0, looks.length - 1);
  if (live) time.value = time.max;
  const at = looks[Number(time.value)];
  put("at", at ? clock(at[1]) + (live ? "" : " (past)") : "");
}

$("time").oninput = async () => {
  const mine = ++asked, index = Number($("time").value);
  live = index >= looks.length - 1;
  slide();
  const look = looks[index];
  if (!look) return;
  const [answer, former] = await Promise.all([look, looks[Math.max(0, index - 4)]].map(([number]) => fetch("/api/looks/" + number)));
  if (mine !== asked) return;  // the slider has been moved on: answers may come in another order
  if (!answer.ok) return tell("that is too long ago", true);
  const look_then = await answer.json(), past = former.ok ? await former.json() : null;
  if (mine === asked) show(look_then, past);
};
$("now").onclick = () => { asked++; live = true; slide(); if (recent.length) show(recent[recent.length - 1]); };

function former(look) {
  return recent.find((each) => look.now - each.now <= RECENT && each.number < look.number) || null;
}

function show(look, past = former(look)) {
  shown = look; before = past;
  put("manager", look.manager);
  for (const [id, act] of [["start", "start"], ["stop", "stop"], ["deploy", "deploy"], ["set", "set"]]) $(id).hidden = !look.acts.includes(act);
  const names = look.graphs.map((each) => each.name), select = $("graphs");
  if (names.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
    const was = select.value;
    select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    if (names.includes(was)) select.value = was;
  }
  showEnsembles(look); showErrors(look); showGraph();
}
$("graphs").onchange = () => { chosen = null; showGraph(); };

function showEnsembles(look) {
  const items = look.ensembles.map((each) => {
    const own = each.name === look.manager, late = each.heard_us_ago > 1.5e6 && !own;
    const facts = own ? "the manager: its clock is the root clock" :
      each.clock_uncertainty_us ? `clock ${about(each.clock_offset_us)} ± ${about(each.clock_uncertainty_us)}, heard ${about(each.heard_us_ago)} ago` : "";
    const refused = Object.entries(each.refused).map(([kind, count]) => `${kind}: ${count}`).join(", ");
    const drain = own || !look.acts.includes("drain") ? "" : element("button", { title: "move all that lives there to others, then let it end", onclick: async () => {
      if (await dialog("Drain " + each.name + "?", "All that lives there moves to others, and it ends.")) ask("drain", { ensemble: each.name });
    } }, "Drain");
    return element("li", { class: "ensemble" + (late ? " late" : ""), "data-ensemble": each.name }, drain, element("strong", {}, each.name),
      element("small", {}, facts), element("small", {}, [each.cores === 1 ? "1 core" : `${each.cores} cores`,
      each.memory && `${(each.memory / 2 ** 30).toFixed(1)} GiB`, ...each.components].filter(Boolean).join(", ")), refused ? element("small", {}, "not taken there: " + refused) : "");
  });
  for (const name of look.lost || [])
    items.push(element("li", { class: "ensemble gone", "data-ensemble": name }, element("strong", {}, name), element("small", {}, "gone")));
  if (!$("ensembles").matches(":active")) $("ensembles").replaceChildren(...items);  // else a click there would be lost
}

function showErrors(look) {
  put("errors-count", look.errors ? String(look.errors) : "");
  const texts = look.latest_errors.map((each) => each.text ?? String(each));
  if ($("errors").dataset.shown === texts.join("\n")) return;
  $("errors").dataset.shown = texts.join("\n");
  $("errors").replaceChildren(...look.latest_errors.map((each) => each.traceback ?
    element("li", {}, element("details", {}, element("summary", {}, each.text), element("pre", {}, each.traceback))) :
    element("li", {}, each.text ?? String(each))));
}

// Tokens that an SQ has sent to other ensembles (what stays on one is not counted), and outputs.
function tokens(of) {
  const found = new Map(Object.entries(of.latency_us || {}).map(([sq, each]) => [sq, each.outputs || 0]));
  for (const [arc, count] of Object.entries(of.sent)) {
    const sq = arc.slice(0, arc.lastIndexOf("/"));
    found.set(sq, Math.max(count, found.get(sq) || 0));
  }
  return found;
}

function sum(counters, sq, ...kinds) { return kinds.reduce((all, kind) => all + ((counters[sq] || {})[kind] || 0), 0); }

function showGraph() {
  const of = graph();
  for (const id of ["start", "stop"]) $(id).disabled = !of;
  if (!of) {
    put("state", ""); put("summary", "no graph is deployed"); $("canvas").replaceChildren(); drawn = ""; $("sqs").replaceChildren();
    return;
  }
  const past = before && before.graphs.find((each) => each.name === of.name), span = past ? (shown.now - before.now) / 1e6 : 0;
  put("state", of.state); $("state").className = "badge " + of.state;
  const rate = span > 0 ? `, ${((of.outputs - past.outputs) / span).toFixed(1)} a second` : "";
  put("summary", `${of.outputs} outputs${rate}`);
  if (drawn !== of.name + of.placed) { drawn = of.name + of.placed; draw(of.name); }
  const places = [...Object.entries(of.mapping), ...of.waits.map((name) => [name, "(waits for an ensemble)"])];
  const count = Math.min(places.length, MOST_ROWS), rows = [];
  const listed = document.querySelector("#table details").open || $("sqs").childElementCount !== count;
  const sent = tokens(of), sentBefore = past ? tokens(past) : sent;
  for (const [sq, host] of places) {
    const rate = span > 0 ? ((sent.get(sq) || 0) - (sentBefore.get(sq) || 0)) / span : 0;
    const grew = (...kinds) => past && sum(of.counters, sq, ...kinds) > sum(past.counters, sq, ...kinds);
    const failing = grew("errors"), missed = grew("missed", "plan_b", "late", "skipped");
    const missing = (of.waits_for || {})[sq], silent = (of.silent || []).find((each) => each.sq === sq);
    const waits = [...Object.entries(of.waiting[sq] || {}).map(([port, count]) => `${count} on ${port}`),
      missing && `nothing on ${missing.ports.join(", ")} since ${missing.since === null ? "the start" : clock(missing.since)}`].filter(Boolean).join("; ");
    const counters = Object.entries(of.counters[sq] || {}).map(([kind, count]) => `${kind}: ${count}`).join(", ");
    const work = (of.work || {})[sq] || {}, worked = past && ((past.work || {})[sq] || {}).firings;
    const fires = work.firings === undefined ? "" : `${work.firings}` + (span > 0 && worked >= 0 ? `, ${(Math.max(0, work.firings - worked) / span).toFixed(1)} a second` : "");
    const fact = { sq, host, work, fires, rate: rate > 0 ? rate.toFixed(1) + " tokens/s" : "", waits, silent: silent && silent.why, counters, lateness: of.lateness_us[sq], running: of.running[sq] };
    const node = nodes.get(sq);
    if (node) {
      node.group.classList.toggle("failing", Boolean(failing)); node.group.classList.toggle("missed", Boolean(missed && !failing));
      node.group.classList.toggle("chosen", sq === chosen);
      const label = [fact.rate, missing ? "waits for " + missing.ports.join(", ") : ""].filter(Boolean).join("  ·  ");
      if (node.label.textContent !== label) node.label.textContent = label;
      for (const arc of node.arcs) arc.classList.toggle("flows", rate > 0);
    }
    if (sq === chosen) showChosen(fact);
    if (listed && rows.length < MOST_ROWS) rows.push(element("tr", {}, ...[sq, host, fact.rate, waits, counters].map((cell) => element("td", {}, cell))));
  }
  if (listed) $("sqs").replaceChildren(...rows);
  for (const frame of $("canvas").querySelectorAll(".host"))
    frame.classList.toggle("gone", (shown.lost || []).includes(frame.dataset.host));
  $("chosen").hidden = !chosen;
  showStreams(of.name);
}

function metric(told) {  // that a body has set
  const figure = (number) => Number(number.toPrecision(6)).toString();
  return told.kind === "histogram" ? `${told.count} values, ${figure(told.sum / told.count)} on average` : figure(told.value);
}

function showChosen(fact) {
  put("chosen-name", fact.sq);
  const spent = (graph().latency_us || {})[fact.sq];
  const facts = { latency: spent && `median ${about(spent.median)}, 99 % ${about(spent.p99)}, worst ${about(spent.worst)}`, ensemble: fact.host,
    "runs in": fact.work.worker && fact.work.worker + (fact.work.together ? ", with others" : "") + (fact.work.left_home ? ` (left home: ${fact.work.left_home})` : ""), firings: fact.fires,
    body: fact.work.mean_us >= 0 && fact.work.mean_us !== null && about(fact.work.mean_us), queue: fact.work.queue && `${fact.work.queue} firings`, errors: fact.work.errors && String(fact.work.errors),
    deadlines: fact.work.kept !== undefined && `${fact.work.kept} kept, ${fact.work.missed} missed`, sends: fact.rate, waiting: fact.waits, silent: fact.silent, counted: fact.counters,
    lateness: fact.lateness && `${about(fact.lateness.mean)} on average, ${about(fact.lateness.worst)} at worst`,
    running: fact.running && `one firing for ${about(fact.running.us)}` };
  const set = Object.entries((graph().metrics || {})[fact.sq] || {}).map(([name, told]) => [name, metric(told)]);
  const known = [...Object.entries(facts), ...set].filter(([, text]) => text);  // one may be called as a fact is
  $("chosen-facts").replaceChildren(...known.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
}

// The picture of the graph.

async function draw(name) {
  const answer = await fetch(`/api/graphs/${encodeURIComponent(name)}.svg`);
  if (!answer.ok) return;
  const drawn = (await answer.text()).replace(/<style>[^]*?<\/style>/, "");  // the page has colours of its own
  const picture = new DOMParser().parseFromString(drawn, "image/svg+xml").documentElement;
  if (!graph() || graph().name !== name) return;
  $("canvas").replaceChildren(document.importNode(picture, true));
  laid = 1;
  nodes.clear();
  for (const group of $("canvas").querySelectorAll(".sq")) {
    const box = group.querySelector("rect.box"), label = document.createElementNS("http://www.w3.org/2000/svg", "text");
    label.setAttribute("class", "rate"); label.setAttribute("text-anchor", "end");
    label.setAttribute("x", Number(box.getAttribute("x")) + Number(box.getAttribute("width"))); label.setAttribute("y", Number(box.getAttribute("y")) + Number(box.getAttribute("height")) + 10);
    group.append(label);
    group.addEventListener("click", () => { chosen = chosen === group.dataset.sq ? null : group.dataset.sq; showGraph(); });
    nodes.set(group.dataset.sq, { group, label, arcs: [] });
  }
  for (const arc of $("canvas").querySelectorAll(".arc")) nodes.get(arc.dataset.from)?.arcs.push(arc);
  fit(READABLE); showGraph();
}

function place() { $("canvas").style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale / laid})`; }

// While it moves, the picture is an image that the browser has painted at its laid-out size. So that is made the size
// at which it is seen, soon after each change: else the image of a large graph that is shown small would be enormous.
let laid = 1, settling = 0;
function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    const svg = $("canvas").querySelector("svg");
    if (!svg) return;
    laid = view.scale;
    $("canvas").classList.toggle("far", laid < FAR);
    svg.style.width = `${svg.width.baseVal.value * laid}px`; svg.style.height = `${svg.height.baseVal.value * laid}px`;
    place();
  }, 120);
}

function fit(least = 0) {
  const svg = $("canvas").querySelector("svg"), room = $("picture");
  if (!svg) return;
  const width = svg.width.baseVal.value, height = svg.height.baseVal.value;
  view.scale = Math.max(least, Math.min(1.4, room.clientWidth / width, room.clientHeight / height));
  view.x = Math.max(0, (room.clientWidth - width * view.scale) / 2); view.y = Math.max(0, (room.clientHeight - height * view.scale) / 2);
  place(); settle();
}

function zoom(factor, x = $("picture").clientWidth / 2, y = $("picture").clientHeight / 2) {
  const scale = Math.min(8, Math.max(0.02, view.scale * factor));
  view.x = x - (x - view.x) * scale / view.scale; view.y = y - (y - view.y) * scale / view.scale; view.scale = scale;
  place(); settle();
}
$("fit").onclick = () => fit(); $("in").onclick = () => zoom(1.3); $("out").onclick = () => zoom(1 / 1.3);
$("picture").addEventListener("wheel", (event) => {
  event.preventDefault();
  const frame = $("picture").getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
}, { passive: false });
let drag = null;
$("picture").addEventListener("pointerdown", (event) => { if (!event.target.closest("button")) drag = { x: event.clientX - view.x, y: event.clientY - view.y }; });
addEventListener("pointermove", (event) => {
  if (!drag || !(drag.moved ||= Math.hypot(event.clientX - view.x - drag.x, event.clientY - view.y - drag.y) > CLICK)) return;
  $("picture").classList.add("dragged");  // else the browser looks at each step which of thousands of SQs is under the pointer
  view.x = event.clientX - drag.x; view.y = event.clientY - drag.y; place();
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { drag = null; $("picture").classList.remove("dragged"); });
addEventListener("resize", () => { fit(READABLE); for (const figure of figures.values()) figure.drawn = ""; if (shown) showGraph(); });

// Outputs over time.

function shownOf(name) { return [...figures.keys()].filter((place) => place.startsWith(name + "/")).length; }

function showStreams(name) {
  const until = live ? Infinity : shown.now;
  for (const [place, row] of points) {
    if (!place.startsWith(name + "/") || (!figures.has(place) && shownOf(name) >= MOST_STREAMS)) continue;
    let figure = figures.get(place);
    if (!figure) {
      const canvas = element("canvas", { role: "img" }), value = element("output"), title = element("b", {}, place.slice(name.length + 1));
      figure = { canvas, value, root: element("figure", {}, element("figcaption", {}, title, value), canvas), drawn: "" };
      figures.set(place, figure);
      $("streams").append(figure.root);
    }
    const seen = row.filter(([tick]) => tick <= until), last = seen[seen.length - 1], mark = `${seen.length} ${last}`;
    if (figure.drawn === mark) continue;
    figure.drawn = mark;
    figure.value.textContent = last ? last[2] : "";
    figure.canvas.setAttribute("aria-label", `${place}: ${seen.length} outputs, the latest ${last ? last[2] : "none"}`);
    plot(figure.canvas, seen);
  }
  for (const [place, figure] of figures) figure.root.hidden = !place.startsWith(name + "/");
}

function plot(canvas, row) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth || 280, height = canvas.clientHeight || 72;
  canvas.width = width * ratio; canvas.height = height * ratio;
  const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  context.scale(ratio, ratio);
  const numbers = row.filter(([, number]) => number !== null);
  if (!row.length) return;
  const first = row[0][0], span = Math.max(1, row[row.length - 1][0] - first), x = (tick) => 4 + (width - 8) * (tick - first) / span;
  context.strokeStyle = context.fillStyle = style.getPropertyValue("--lit");
  if (numbers.length > row.length / 2) {
    const values = numbers.map(([, number]) => number), low = Math.min(...values), range = Math.max(...values) - low || 1;
    context.beginPath();
    numbers.forEach(([tick, number], index) => context[index ? "lineTo" : "moveTo"](x(tick), height - 6 - (height - 12) * (number - low) / range));
    context.stroke();
  } else {  // states: a level for each that differs
    const levels = [...new Set(row.map(([, , text]) => text))], many = levels.length > MOST_LEVELS;
    const level = (text) => many ? 1 : levels.indexOf(text);  // of many values it is only shown when they came
    const last = many ? 2 : Math.max(1, levels.length - 1);
    const y = (text) => 4 + (height - 19) * level(text) / last;  // below each there is room for its name
    for (const [tick, , text] of row) context.fillRect(x(tick) - 1.5, y(text), 3, 3);
    if (levels.length < 2 || levels.length > MOST_NAMED) return;
    context.fillStyle = style.getPropertyValue("--soft"); context.font = "10px system-ui, sans-serif";
    for (const text of levels) context.fillText(text, 4, y(text) + 12, width - 8);
  }
}

connect();
