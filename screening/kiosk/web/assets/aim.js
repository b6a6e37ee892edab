// While somebody puts the camera up (#aim) the page asks a few times a second how it stands, and says what to do next.

import { language } from "./live.js";
import { atRest } from "./rest.js";

const element = (id) => document.getElementById(id);
const INTERVAL = 150; // ms between two questions; the gate answers once it has something new
const RETRY = 500;
const PATIENCE = 4000;
const STEADY = 1200; // ms that an advice stays, so that it can be read

const words = {
  zh: { px: "像素", best: "最高", least: "至少", none: "看不到", unknown: "—", configured: "未配置", noEdges: "画面里没有轮廓", silent: "没有画面。检查相机的线和电源", range: (a, b) => `需要 ${a} 到 ${b}` },
  en: { px: "px", best: "best", least: "at least", none: "none seen", unknown: "–", configured: "none configured", noEdges: "nothing with an edge in view", silent: "There is no picture. Check the camera's cable and power", range: (a, b) => `${a} to ${b} needed` },
}[language];

class Aim {
  constructor() {
    this.report = null;
    this.round = 0; // of questions; another one ends those before it
    this.asking = false;
    this.said = -STEADY;
    addEventListener("hashchange", () => this.turn());
    document.addEventListener("visibilitychange", () => this.turn());
    this.turn();
  }

  // turn shows what belongs to aiming while the address says so, and asks while somebody looks.
  turn() {
    const on = location.hash === "#aim";
    document.body.dataset.aiming = on;
    for (const id of ["advice", "aim", "aim-end"]) element(id).hidden = !on;
    element("aim-start").hidden = on;
    for (const link of document.querySelectorAll("a[hreflang]")) link.hash = on ? "aim" : "";
    const asks = on && !document.hidden;
    if (asks === this.asking) return;
    this.asking = asks;
    this.report = null;
    this.ask(++this.round);
  }

  async ask(round) {
    while (this.asking && this.round === round) {
      const report = await fetchReport(this.report?.number ?? 0);
      if (this.round !== round) return;
      this.report = report;
      atRest(() => this.show(report));
      await new Promise((resolve) => setTimeout(resolve, report ? INTERVAL : RETRY));
    }
  }

  show(report) {
    this.say(report ? report.advice[language] : words.silent, Boolean(report?.done));
    const { sharpness, face, reference, hottest, coldest } = report ?? {};
    figure("sharpness", sharpness && sharpness.now >= sharpness.least, sharpness ? Math.round(sharpness.now) : words.unknown,
      sharpness ? `${words.best} ${Math.round(sharpness.best)} · ${words.least} ${Math.round(sharpness.least)}` : report ? words.noEdges : "");
    bar(sharpness);
    figure("face", face?.width >= face?.least, face?.width === undefined ? words.none : `${face.width} ${words.px}`, face ? `${words.least} ${face.least}` : "");
    if (report && !reference) figure("reference", true, words.configured, "");
    else figure("reference", reference?.ok, reference?.width === undefined ? words.none : `${reference.width} ${words.px}`,
      reference ? [reference.place?.[language], words.range(reference.least, reference.most), reference.label[language]].filter(Boolean).join(" · ") : "");
    for (const [id, spot] of [["hottest", hottest], ["coldest", coldest]]) {
      figure(id, null, spot?.celsius === undefined ? words.unknown : `${spot.celsius.toFixed(1)} °C`, spot?.place[language] ?? "");
    }
  }

  say(text, done) {
    const advice = element("advice");
    if (text === advice.textContent || performance.now() - this.said < STEADY) return;
    advice.textContent = text;
    advice.dataset.done = done;
    this.said = performance.now();
  }

  // mark draws the coldest and the hottest spot into the picture.
  mark(canvas) {
    const { hottest, coldest } = this.report ?? {};
    if (hottest) spot(canvas, hottest, -1, "#ff5a4d");
    if (coldest) spot(canvas, coldest, 1, "#6db8ff");
  }
}

// fetchReport is null where the gate has nothing fresh, or can't be reached.
async function fetchReport(after) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  try {
    const answer = await fetch(`aim?page=status&after=${after}`, { signal: patience.signal });
    return answer.status === 200 ? await answer.json() : null;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

// figure shows a number; it is neither good nor bad where ok is null.
function figure(id, ok, value, more) {
  const item = element(`aim-${id}`);
  if (ok === null) delete item.dataset.ok;
  else item.dataset.ok = Boolean(ok);
  item.querySelector("output").textContent = value;
  item.querySelector("small").textContent = more;
}

// bar shows the sharpness beside the best of late, and beside what is needed.
function bar(sharpness) {
  const [now, best, least] = document.querySelectorAll("#aim-sharpness .bar > i");
  const full = sharpness ? 1.15 * Math.max(sharpness.best, sharpness.least) : 1;
  const part = (value) => `${Math.min(100, 100 * (value ?? 0) / full)}%`;
  now.style.width = part(sharpness?.now);
  best.style.left = part(sharpness?.best);
  least.style.left = part(sharpness?.least);
}

// spot is a triangle whose tip is at the spot: from above for the hottest, from below for the coldest.
function spot(canvas, { x, y }, side, colour) {
  const pen = canvas.getContext("2d"), size = Math.max(10, canvas.width / 26);
  const tip = [x * canvas.width, y * canvas.height];
  if (tip[1] + side * size < 0 || tip[1] + side * size > canvas.height) side = -side; // no room there
  pen.beginPath();
  pen.moveTo(...tip);
  pen.lineTo(tip[0] - size / 2, tip[1] + side * size);
  pen.lineTo(tip[0] + size / 2, tip[1] + side * size);
  pen.closePath();
  pen.fillStyle = colour;
  pen.strokeStyle = "#000c";
  pen.lineWidth = Math.max(2, canvas.width / 200);
  pen.stroke();
  pen.fill();
}

export const aim = new Aim();
