// What a reader of badges types into the page goes to the gate, and is shown nowhere.

const PAUSE = 1000; // milliseconds after which what is typed is another text
const LONGEST = 256;

// readKeys is given what tells the time by the gate's clock: what is long under way must not be taken for the next person's.
export function readKeys(gateTime) {
  let text = "", at = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const ends = event.key === "Enter" || event.key === "Tab";
    if (!ends && [...event.key].length !== 1) return; // Shift and its like
    event.preventDefault();
    if (event.timeStamp - at > PAUSE) text = "";
    at = event.timeStamp;
    if (!ends) {
      text += event.key;
      return;
    }
    const read = text, made = gateTime();
    text = "";
    if (!read || read.length > LONGEST || made === undefined) return;
    fetch("badge/page", { method: "POST", body: read, headers: { "Gate-Milliseconds": made } }).catch(() => {}); // the page says itself when the gate is away
  });
}
