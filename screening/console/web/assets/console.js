// Live updates and sound. Every page works without it, but then it neither changes by itself nor rings.

const root = document.documentElement;
const build = root.dataset.build, user = root.dataset.user;
const zh = root.lang.startsWith("zh");
const element = (id) => document.getElementById(id);

const SILENCE = 13000; // ms without a word from the console that mean a broken link
const PACE = { alerts: 300, alert: 300, gates: 1500 }; // ms between two updates of a part
const SETTLE = 350; // ms in which a button that has just moved takes no tap
const TESTED = 12 * 3600e3; // ms for which a test of the sound holds
const ASLEEP = 90e3; // ms: hidden tabs tick once a minute

// Ages

function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return zh ? `${s} 秒` : `${s} s`;
  if (s < 7200) return zh ? `${Math.floor(s / 60)} 分钟` : `${Math.floor(s / 60)} min`;
  if (s < 172800) return zh ? `${Math.floor(s / 3600)} 小时` : `${Math.floor(s / 3600)} h`;
  return zh ? `${Math.floor(s / 86400)} 天` : `${Math.floor(s / 86400)} days`;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-ago]")) time.textContent = ago(Date.now() - Date.parse(time.dateTime));
}
setInterval(tick, 1000);

// Where the pages have no room side by side, the one that is open is in view.
const current = document.querySelector("nav [aria-current]"), nav = current?.parentElement;
if (nav) nav.scrollLeft = current.offsetLeft + current.offsetWidth - nav.offsetLeft - nav.clientWidth;

document.querySelector("[name=value][autofocus]")?.select(); // what was refused is typed over

// Parts of the page that change

const PRESSED = 2000; // ms; a longer press keeps no news back
const RELEASED = 60; // ms in which the browser makes a click of it
let touching = 0, swapped = 0, settled = false;
const held = new Set(); // changes that wait for the release
addEventListener("pointerdown", ({ button }) => { if (button === 0) hold(PRESSED); }, true);
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { if (touching) hold(RELEASED); }, true);
function hold(ms) {
  clearTimeout(touching);
  touching = setTimeout(() => {
    touching = 0;
    for (const change of held) change();
    held.clear();
  }, ms);
}
// A bar that comes or goes would take the link from under the finger.
function atRest(change) {
  if (touching) held.add(change);
  else change();
}

// Nobody takes the alert that slid under their finger; a key hits what has the focus, wherever that is.
addEventListener("click", (event) => {
  if (event.detail && settled && Date.now() - swapped < SETTLE && event.target.closest("[data-part=alerts]")) {
    event.preventDefault();
    event.stopPropagation();
  }
}, true);

const due = new Map(); // parts that wait to be fetched
const fetched = {}; // when they were last
function refresh(name) {
  if (due.has(name)) return;
  due.set(name, setTimeout(async () => {
    const before = told;
    try {
      await swap(name);
    } catch {
      setTimeout(() => refresh(name), 1000);
    } finally {
      due.delete(name);
    }
    if (told !== before && wanted(name)) refresh(name);
  }, Math.max(0, PACE[name] - (Date.now() - (fetched[name] ?? 0)))));
}

// A form that somebody fills in, or has to fill in again, stays as it is. What is in a dialog is set by a script.
function busy(part) {
  return touching > 0 || part.querySelector("details[open], [name=value]:not([value=''])") !== null ||
    [...part.querySelectorAll("input:not([type=hidden]), select")].some((field) => !field.closest("dialog") && filledIn(field));
}

function filledIn(field) {
  if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.type !== "select-one") return field.value !== field.defaultValue;
  return field.options.length > 0 && field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
}

// What finds a link, button or field again in the part that comes instead.
function sameAs(control) {
  const of = (name) => `[${name}="${CSS.escape(control.getAttribute(name) ?? "")}"]`;
  return control.id ? of("id") : `main ${control.localName}` + (control.name ? of("name") + of("value") : of("href"));
}

let asked = 0; // the next look at what is filled in
async function swap(name) {
  const part = document.querySelector(`[data-part=${name}]`);
  if (!part) return;
  fetched[name] = Date.now();
  const outdated = part.querySelector(".outdated");
  const stays = () => touching || !outdated && busy(part);
  if (stays()) {
    setTimeout(() => refresh(name), 500);
    return;
  }
  const address = new URL(location);
  if (/\/(take|read|close|undo)$/.test(address.pathname)) address.pathname = address.pathname.replace(/\/\w+$/, "");
  address.searchParams.set("part", name);
  const answer = await fetch(address, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout?.(SILENCE) });
  if (answer.redirected || !answer.ok) throw new Error(answer.status);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  const fresh = template.content.firstElementChild;
  if (!fresh || stays()) throw new Error("later");
  shown[name] = version(fresh);
  if (busy(part)) { // what is filled in stays, and whoever does so is told
    outdated.hidden = fresh.dataset.version === part.dataset.version;
    clearTimeout(asked);
    asked = setTimeout(() => refresh(name), 5000);
    return;
  }
  const focused = part.contains(document.activeElement) ? sameAs(document.activeElement) : null;
  const moved = fresh.dataset.version !== part.dataset.version;
  for (const alert of fresh.querySelectorAll("li.new")) alert.classList.toggle("arrived", !document.querySelector(sameAs(alert.querySelector("a"))));
  part.replaceWith(fresh);
  if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
  settled = name === "alerts" && moved;
  swapped = Date.now();
}

let told = null; // what the console said last
const shown = {};
for (const part of document.querySelectorAll("[data-part]")) shown[part.dataset.part] = version(part);

// The page of one alert may change with any: what is beside a person, say.
function version(part) { return part.dataset.told ?? part.dataset.version; }
function wanted(name) { return told.parts[name === "alert" ? "alerts" : name] !== shown[name]; }

function hear(message) {
  // A page of a console that was replaced meanwhile goes on while somebody fills it in, or reads what is shown once.
  if (message.build !== build && !("posted" in root.dataset) && !busy(document.body)) return location.reload();
  told = message;
  for (const name in shown) if (wanted(name)) refresh(name);
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (message.open) document.title = `(${message.open}) ${document.title}`;
  atRest(() => {
    count("count-alerts", message.open);
    count("count-faults", message.faults);
    escalate(message.escalated);
  });
  ring();
}

function count(id, n) {
  element(id).hidden = !n;
  element(id).textContent = n;
}

// Alerts that nobody sees to are on every page, for whoever has the gate in their scope.
function escalate(alerts) {
  const bar = element("escalated"), links = bar.querySelector("span");
  bar.hidden = !alerts.length || location.pathname === "/";
  const ids = alerts.map((alert) => alert.id).join();
  if (links.dataset.ids === ids) return; // it is read out anew where it changes
  links.dataset.ids = ids;
  links.replaceChildren(...alerts.flatMap((alert) => {
    const link = document.createElement("a");
    link.href = `/alerts/${alert.id}`;
    link.textContent = alert.gate;
    return [link, " "];
  }));
}

// The stream

let lastWord = Date.now();
function word(message) {
  if (message.refused) return lost(true);
  lastWord = Date.now();
  lost(false);
  if (message.now) hear(JSON.parse(message.now));
}

function lost(is) { atRest(() => { element("lost").hidden = !is; }); }

function connect() {
  setInterval(() => { if (Date.now() - lastWord > SILENCE) lost(true); }, 1000);
  if (window.SharedWorker) {
    const worker = new SharedWorker(`/assets/stream.js?${build}`, { name: `${build} ${user}` });
    worker.port.onmessage = (event) => word(event.data);
    addEventListener("pagehide", () => worker.port.postMessage("bye"));
    return;
  }
  const source = new EventSource("/stream");
  source.addEventListener("now", (event) => word({ now: event.data }));
  source.addEventListener("beat", () => word({ beat: true }));
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) word({ refused: true }); };
  addEventListener("pagehide", () => source.close());
}
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// Sound

const audio = window.AudioContext ? new AudioContext() : null;
const tab = Math.random().toString(36).slice(2);
const watches = "watch" in (element("sound")?.dataset ?? {}); // else it rings for what is overdue alone
let sound = "untested";

function tested() { return Date.now() - Number(localStorage.getItem("sound-heard") ?? 0) < TESTED; }

// A page that can't be heard says so, and is a fault to all others.
function judgeSound() { atRest(showSound); }
function showSound() {
  const waking = (tested() || !watches) && performance.now() < 1000; // a bar that comes and goes would move what is tapped
  if (waking && audio?.state !== "running") return;
  if (sound !== "asking" && sound !== "deaf") sound = watches && !tested() ? "untested" : audio?.state !== "running" ? "muted" : "on";
  element("sound").hidden = sound === "on" || !watches && sound !== "muted";
  element("sound").classList.toggle("bad", sound !== "asking");
  for (const text of document.querySelectorAll("[data-sound]")) text.hidden = text.dataset.sound !== sound;
  element("test-sound").hidden = sound === "asking" || sound === "muted";
  element("heard").hidden = element("unheard").hidden = sound !== "asking";
}

let said = null, saidAt = 0;
function saySound() {
  const on = String(sound === "on" && watches);
  if (on === said && Date.now() - saidAt < 30e3) return;
  said = on;
  saidAt = Date.now();
  fetch("/sound", { method: "POST", body: new URLSearchParams({ tab, on }) }).catch(() => { said = null; });
}

function tone(hertz, from, seconds, volume) {
  const at = audio.currentTime + from;
  const oscillator = new OscillatorNode(audio, { frequency: hertz, type: "triangle" });
  const gain = new GainNode(audio, { gain: 0 });
  gain.gain.setTargetAtTime(volume, at, 0.01);
  gain.gain.setTargetAtTime(0, at + seconds, 0.03);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(at);
  oscillator.stop(at + seconds + 0.3);
}

let rung = 0, rings = 0, known = new Set();
// It rings at once for a new alert, and again, louder, until somebody has it.
function ring() {
  const waiting = (told?.new ?? []).filter((alert) => watches || alert.overdue);
  if (!waiting.length) { rings = 0; known = new Set(); return; }
  const fresh = waiting.some((alert) => !known.has(alert.id));
  known = new Set(waiting.map((alert) => alert.id));
  if (fresh) rings = 0;
  else if (Date.now() - rung < 5000) return;
  rung = Date.now();
  const volume = Math.min(1, 0.35 + 0.15 * rings++);
  if (audio?.state !== "running") return;
  if (waiting.some((alert) => alert.overdue)) for (const i of [0, 1, 2, 3]) tone(i % 2 ? 660 : 990, i * 0.22, 0.18, Math.max(volume, 0.8));
  else for (const i of [0, 1]) tone(880, i * 0.25, 0.18, volume);
}

function sounds() {
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => audio?.resume().then(judgeSound), { capture: true });
  audio?.addEventListener("statechange", judgeSound);
  element("test-sound").onclick = async () => {
    await audio?.resume();
    if (audio) for (const i of [0, 1, 2]) tone(880, i * 0.35, 0.2, 0.8);
    sound = "asking";
    judgeSound();
  };
  element("heard").onclick = () => {
    localStorage.setItem("sound-heard", Date.now());
    sound = "on";
    judgeSound();
    saySound();
  };
  element("unheard").onclick = () => { localStorage.removeItem("sound-heard"); sound = "deaf"; judgeSound(); saySound(); };
  judgeSound();
  let awake = Date.now();
  setInterval(() => {
    const slept = Date.now() - awake;
    awake = Date.now();
    if (slept > ASLEEP) {
      element("slept").hidden = false;
      element("slept").querySelector("span").textContent = ago(slept);
    }
    judgeSound();
    saySound();
    ring();
  }, 1000);
  element("slept").querySelector("button").onclick = () => { element("slept").hidden = true; };
  addEventListener("pagehide", () => navigator.sendBeacon?.("/sound", new URLSearchParams({ tab, on: "false" })));
  const stayAwake = () => { if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {}); };
  document.addEventListener("visibilitychange", stayAwake);
  stayAwake();
}

if (user && element("lost")) {
  connect();
  sounds();
}
