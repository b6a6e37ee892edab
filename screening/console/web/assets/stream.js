// One stream for all tabs of a browser, as a shared worker.

const ports = new Set();
let source = null, last = null;

function tell(message) {
  for (const port of ports) port.postMessage(message);
}

function start() {
  source = new EventSource("/stream");
  source.addEventListener("now", (event) => { last = event.data; tell({ now: last }); });
  source.addEventListener("beat", () => tell({ beat: true }));
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return; // it connects again by itself
    tell({ refused: true });
    source = null;
    setTimeout(() => { if (ports.size && !source) start(); }, 3000);
  };
}

onconnect = (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.onmessage = () => { // the tab goes
    ports.delete(port);
    if (!ports.size && source) { source.close(); source = null; }
  };
  if (!source) start();
  else if (last) port.postMessage({ now: last });
};
