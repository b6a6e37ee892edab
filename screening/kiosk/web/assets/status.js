import { aim } from "./aim.js";
import { connect, language, Painter } from "./live.js";
import { atRest } from "./rest.js";

const element = (id) => document.getElementById(id);
const painter = new Painter(element("picture"), { labels: language });
const KEPT = 50;

const words = {
  zh: { none: "—", connected: "已连接", away: "未连接", waiting: (n) => `${n} 条待发`, fps: "帧/秒", faces: (n) => `${n} 张人脸`, seconds: "秒", millis: "毫秒", stores: "正常", unstored: "没有写入磁盘", obeys: "正常", disobeys: "没有执行指令", nominal: "标称", assumed: "（假定）", read: "实测", correction: "修正" },
  en: { none: "–", connected: "connected", away: "not connected", waiting: (n) => `${n} waiting`, fps: "fps", faces: (n) => n === 1 ? "1 face" : `${n} faces`, seconds: "s", millis: "ms", stores: "on disk", unstored: "not on disk", obeys: "works", disobeys: "does not obey", nominal: "nominal", assumed: " (assumed)", read: "read", correction: "correction" },
}[language];

const locale = language === "zh" ? "zh-CN" : "en-GB";
const headings = [...document.querySelectorAll("th")].map((th) => th.textContent.trim());
const celsius = (v, digits = 2) => v === undefined ? words.none : `${v.toFixed(digits)} °C`;
const signed = (v) => v === undefined ? words.none : `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(2)}`;

function state(id, ok, text) {
  const item = element(id);
  item.dataset.ok = ok;
  item.lastElementChild.textContent = text;
}

function showGate(gate) {
  state("camera", gate.camera === "ok", gate.camera_label[language]);
  state("broker", gate.broker, [gate.broker ? words.connected : gate.turned_away?.[language] ?? words.away, ...(gate.backlog ? [words.waiting(gate.backlog)] : [])].join(" · "));
  showToDo(gate.to_do ?? []);
  const r = gate.reference;
  state("reference", r.ok, r.nominal_celsius !== undefined
    ? `${words.nominal} ${celsius(r.nominal_celsius, 1)}${r.assumed ? words.assumed : ""} · ${words.read} ${celsius(r.measured_celsius)} · ${words.correction} ${signed(r.correction_celsius)} °C`
    : r.label[language] || words.none);
  element("group").hidden = gate.group === undefined;
  state("group", false, gate.group?.[language] ?? "");
  const word = element("recalibrate"); // only where it is taken
  if (word) word.hidden = !gate.doubted;
  state("journal", gate.journal.ok, gate.journal.ok ? words.stores : [words.unstored, gate.journal.fault].join(" · "));
  element("door").hidden = gate.door === undefined;
  state("door", gate.door?.ok, gate.door?.ok ? words.obeys : [words.disobeys, gate.door?.fault].filter(Boolean).join(" · "));
  state("flow", gate.fps !== undefined, gate.fps === undefined ? words.none
    : `${gate.fps.toFixed(1)} ${words.fps}${gate.paused_until ? "" : ` · ${words.faces(gate.faces)}`}`);
  showStages(gate.stages);
  showPause(gate.paused_until);
  element("version").textContent = `thermogate ${gate.version}`;
}

// showToDo lists what the gate was not told yet.
function showToDo(all) {
  element("todo").hidden = all.length === 0;
  element("todo").lastElementChild.replaceChildren(...all.map((one) => {
    const item = document.createElement("li");
    item.textContent = one[language];
    return item;
  }));
}

// showStages tells how long each stage takes for one picture; one that has not run yet has no time.
function showStages(stages) {
  for (const [stage, millis] of Object.entries(stages)) {
    element(`stage-${stage}`).lastElementChild.textContent = millis ? `${millis.toFixed(millis < 10 ? 2 : 1)} ${words.millis}` : words.none;
  }
}

function showPause(until) {
  element("paused").hidden = until === undefined;
  if (until === undefined) return;
  element("paused").querySelector("time").textContent = moment(until, { hour: "2-digit", minute: "2-digit" });
}

// moment is a time of day, with the date where that is not today's.
function moment(text, parts) {
  const time = new Date(text), today = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(locale, { ...parts, hourCycle: "h23", ...(today ? {} : { month: "2-digit", day: "2-digit" }) });
}

function addVerdict(v) {
  const skin = v.skin_celsius === undefined ? words.none
    : `${v.skin_celsius.toFixed(2)}${v.skin_uncertainty_celsius === undefined ? "" : ` ± ${v.skin_uncertainty_celsius.toFixed(2)}`} °C`;
  const row = element("verdicts").insertRow(0);
  row.dataset.tone = v.tone;
  const time = moment(v.time, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const cells = [time, v.outcome[language], v.reason[language], skin, signed(v.correction_celsius), signed(v.offset_celsius),
    v.threshold_celsius?.toFixed(2) ?? words.none, v.seconds_to_verdict === undefined ? words.none : `${v.seconds_to_verdict.toFixed(2)} ${words.seconds}`];
  cells.forEach((text, i) => {
    const cell = row.insertCell();
    cell.textContent = text;
    cell.dataset.heading = headings[i];
  });
  if (v.skin_celsius !== undefined) {
    row.cells[3].append(document.createElement("small"));
    row.cells[3].lastChild.textContent = v.site[language];
  }
  while (element("verdicts").rows.length > KEPT) element("verdicts").deleteRow(-1);
  showTable(true);
}

function showTable(filled) {
  element("table").hidden = !filled;
  element("none").hidden = filled;
}

for (const time of document.querySelectorAll("#screens time")) time.textContent = moment(time.dateTime, { hour: "2-digit", minute: "2-digit" });

function showFound() {
  element("lost").hidden = true;
  element("verdicts").replaceChildren(); // the gate sends them all again
  showTable(false);
}

function showLost() {
  element("lost").hidden = false;
  showPause(undefined);
  for (const item of document.querySelectorAll("#states li")) state(item.id, false, words.none);
}

connect("status", {
  open() { atRest(showFound); },
  screen() {},
  gate(gate) { atRest(() => showGate(gate)); },
  verdict(verdict) { atRest(() => addVerdict(verdict)); },
  lost() { atRest(showLost); },
  refused() { location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}${location.hash}`); },
  picture(head, grey) {
    element("picture").hidden = !head;
    element("no-picture").hidden = Boolean(head);
    element("low").textContent = head?.low_celsius === undefined ? "" : celsius(head.low_celsius, 1);
    element("high").textContent = head?.high_celsius === undefined ? "" : celsius(head.high_celsius, 1);
    if (head) {
      painter.paint(head, grey);
      aim.mark(painter.canvas);
    }
  },
});
