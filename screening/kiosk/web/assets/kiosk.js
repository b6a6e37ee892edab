import { connect, language, Painter } from "./live.js";

const element = (id) => document.getElementById(id);
const second = language === "zh" ? "en" : "zh";
const painter = new Painter(element("picture"));

const LOST = {
  tone: "fault", icon: "offline",
  head: { zh: "连接中断，正在重连", en: "Connection lost, reconnecting" },
  sub: { zh: "请稍候，或找工作人员", en: "Please wait or ask staff" },
};
const LONG = { zh: 9, en: 34 }; // letters of a head that leaves the symbol less room
const SKIN = { zh: "皮肤温度", en: "Skin temperature" };

for (const [id, lang] of [["head", language], ["sub", language], ["second-head", second], ["second-sub", second]]) {
  element(id).lang = lang === "zh" ? "zh-Hans" : "en";
}

function show(screen) {
  document.body.dataset.tone = screen.tone;
  document.body.dataset.long = screen.head[language].length > LONG[language];
  element("icon").firstElementChild.setAttribute("href", `#${screen.icon}`);
  say("head", screen.head[language]);
  say("sub", screen.sub[language]);
  say("second-head", screen.head[second]);
  say("second-sub", screen.sub[second]);
  element("reading").textContent = reading(screen);
}

// say keeps each clause together on its line where that fits.
function say(id, text) {
  const clauses = text.match(/[^，,；:.]+[，,；:.]?/g) ?? [];
  element(id).replaceChildren(...clauses.flatMap((clause) => {
    const span = document.createElement("span");
    span.textContent = clause.trim();
    return clause.startsWith(" ") ? [" ", span] : [span];
  }));
}

function reading({ skin_celsius: skin, skin_uncertainty_celsius: uncertainty }) {
  if (skin === undefined) return "";
  const spread = uncertainty === undefined ? "" : ` ± ${uncertainty.toFixed(1)}`;
  return `${SKIN[language]} ${skin.toFixed(1)}${spread} °C`;
}

connect("worker", {
  open() {},
  screen: show,
  gate() {},
  verdict() {},
  lost() { show(LOST); },
  picture(head, grey) {
    element("stage").hidden = !head;
    if (head) painter.paint(head, grey);
  },
});
