// The screen stays on while the page is in view. Browsers allow that at https:// and to pages of their own machine; a battery
// saver may refuse it, so the page asks again.

const AGAIN = 3000; // ms
let lock = null, asking = false;

async function stayAwake() {
  if (!navigator.wakeLock || document.hidden || asking || lock && !lock.released) return;
  asking = true;
  try {
    lock = await navigator.wakeLock.request("screen");
    lock.addEventListener("release", again);
  } catch {
    again();
  } finally {
    asking = false;
  }
}

function again() {
  setTimeout(stayAwake, AGAIN);
}

document.addEventListener("visibilitychange", stayAwake);
stayAwake();
