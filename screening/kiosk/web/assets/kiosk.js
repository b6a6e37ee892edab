import "./awake.js";
import { connect, Painter } from "./live.js";
import { Sounds } from "./sound.js";
import { readKeys } from "./reader.js";

const element = (id) => document.getElementById(id);
const page = JSON.parse(element("page").textContent);
const [first, second] = page.languages;
const painter = new Painter(element("picture"), { mirror: true });
const sounds = new Sounds(page, first.code, (locked) => {
  element("locked").hidden = !locked;
  fit();
});

for (const [id, language] of [["head", first], ["sub", first], ["number", first], ["second-head", second], ["second-sub", second]]) {
  if (language) element(id).lang = language.tag;
}
element("locked").replaceChildren(...page.languages.map((language) => clauseOf(language.locked)));

function show(screen) {
  document.body.dataset.tone = screen.tone;
  element("relink").hidden = true;
  element("icon").firstElementChild.setAttribute("href", `#${screen.icon}`);
  say("head", screen.head[first.code]);
  say("sub", screen.sub[first.code]);
  say("second-head", second ? screen.head[second.code] : "");
  say("second-sub", second ? screen.sub[second.code] : "");
  element("number").textContent = screen.number ? screen.number[first.code].replace(/ (?=°C)/g, "\u00a0") : "";
  fit();
}

// say keeps each clause together on its line where that fits.
function say(id, text) {
  const clauses = text.match(/[^，,；:.·]+[，,；:.·]?/g) || [];
  element(id).replaceChildren(...clauses.flatMap((clause) => {
    const span = clauseOf(clause.trim());
    return clause.startsWith(" ") ? [" ", span] : [span];
  }));
}

function clauseOf(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span;
}

// fit makes the words smaller until they have room. What the second language adds goes first, and what to do is the last to
// become smaller.
function fit() {
  const panel = element("panel"), style = document.body.style;
  const full = () => panel.scrollHeight > panel.clientHeight || panel.scrollWidth > panel.clientWidth;
  const set = (title, scale) => {
    style.setProperty("--title", title.toFixed(2));
    style.setProperty("--scale", scale.toFixed(2));
  };
  const drop = (lines) => { document.body.dataset.tight = lines; };
  set(1, 1);
  drop("none");
  if (!full()) return;
  drop("second-sub");
  let title = 1, scale = 1;
  for (; full() && title > 0.8; set(title, scale)) title -= 0.05;
  if (full()) drop("second");
  for (; full() && scale > 0.4; set(title, scale)) scale -= 0.05;
}

// place gives the picture the room of its stage.
function place(ratio) {
  const stage = element("stage"), style = element("picture").style;
  if (stage.clientWidth === 0) return; // in a pause
  const width = Math.min(stage.clientWidth, stage.clientHeight * ratio);
  style.width = `${Math.round(width)}px`;
  style.height = `${Math.round(width / ratio)}px`;
}

addEventListener("resize", fit);

const gateTime = connect("worker", {
  open() {},
  screen(screen) {
    show(screen);
    sounds.play(screen, (screen.say || screen.head)[first.code]);
  },
  gate() {},
  verdict() {},
  quiet() {
    show(page.wait);
    element("stage").hidden = true;
  },
  lost() { show(page.lost); },
  refused() {
    show(page.unlinked);
    element("relink").hidden = false;
    fit();
  },
  picture(head, grey) {
    const hidden = !head;
    if (element("stage").hidden !== hidden) {
      element("stage").hidden = hidden;
      fit();
    }
    if (hidden) return;
    place(head.width / head.height);
    painter.paint(head, grey);
  },
});

if (page.reader) readKeys(gateTime);
