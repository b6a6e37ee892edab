// Keyboard shortcuts. None does anything while somebody types, and all of them can be switched off. What ends an alert is
// only gone to: Enter does it.

const help = document.getElementById("keys");
const find = (selector) => document.querySelector(selector);

function enabled() { return localStorage.getItem("keys") !== "off"; }

function types(element) {
  return element instanceof HTMLElement && (element.isContentEditable || element.matches("textarea, select, input:not([type=radio], [type=checkbox])"));
}

// The alert that is gone to, on the page of all.
function nextAlert() {
  const links = [...document.querySelectorAll("[data-part=alerts] li > a")];
  if (links.length) {
    const row = document.activeElement?.closest("li");
    links[(links.findIndex((link) => row?.contains(link)) + 1) % links.length].focus();
  } else if (!find("[data-part=alerts]")) {
    const here = location.pathname.match(/^\/alerts\/(\w{26})/);
    location.href = "/alerts/next" + (here ? `?after=${here[1]}` : "");
  }
}

function take() {
  const page = find("[data-part=alert]") ?? document.activeElement?.closest("[data-part=alerts] li");
  if (page) page.querySelector("form[action$='/take'] button")?.click();
  else find("[data-part=alerts] li.new li > a")?.focus();
}

// The digit itself goes into the field, for that has the focus by then.
function number() {
  const field = find(".reading input[name=value]");
  if (!field) return;
  const details = field.closest("details");
  if (details) details.open = true;
  field.focus();
}

function goTo(selector) { find(`[data-part=alert] ${selector}`)?.focus({ focusVisible: true }); }

const keys = {
  n: nextAlert,
  t: take,
  c: () => goTo("button[value=confirmed]"),
  f: () => goTo("button[value=false]"),
  l: () => goTo("button[value=gone]"),
  u: () => goTo("form[action$='/undo'] button"),
  h: () => { location.href = "/"; },
};

function show() { if (!help.open) help.showModal(); }

if (help) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (help.open || types(event.target)) return;
    if (event.key === "?" || event.key === "？") { event.preventDefault(); show(); }
    else if (!enabled()) return;
    else if (/^[0-9]$/.test(event.key)) number();
    else if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  });
  find("#show-keys").hidden = false;
  find("#show-keys").onclick = show;
  find("#keys-on").checked = enabled();
  find("#keys-on").onchange = (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off");
}
