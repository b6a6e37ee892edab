// While a finger or the mouse's button is down nothing on the page moves: what comes or goes above a button between press and
// release takes it from under them, and the tap is lost.

const LONGEST = 2000; // ms; whoever keeps pressing sees old news no longer than that
const SETTLE = 60; // ms after the release, in which the browser makes a click of it
let timer = 0;
const waiting = [];

addEventListener("pointerdown", ({ button }) => { if (button === 0) wait(LONGEST); }, true);
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { if (timer) wait(SETTLE); }, true);

function wait(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    timer = 0;
    for (const change of waiting.splice(0)) change();
  }, ms);
}

// atRest makes a change now, or in its turn once nothing is pressed.
export function atRest(change) {
  if (timer) waiting.push(change);
  else change();
}
