// A link with a code in it links this browser by itself. The code stands behind the #, where no server or log before the gate
// sees it.

const AGAIN = 5000; // ms
const form = document.getElementById("form");
const code = decodeURIComponent(location.hash.slice(1));

if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("code").value = code;
  form.submit();
} else if ("dead" in form.dataset) {
  setTimeout(comeBack, AGAIN);
}

// comeBack opens the page in front of the person once the gate knows this browser again, as after its data were restored.
async function comeBack() {
  try {
    const answer = await fetch("/picture?page=worker&after=0");
    if (answer.ok) return location.replace("/");
  } catch {} // the gate can't be reached; this page stays readable
  setTimeout(comeBack, AGAIN);
}
