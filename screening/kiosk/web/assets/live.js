// The live link between a page and its gate: it reconnects by itself and never leaves an old picture standing.

const QUIET = 1500; // ms without a heartbeat, or under way, after which nobody knows how things stand
const SILENCE = 3500; // and that mean a broken link
const RETRY = 1000;

// connect calls the handlers for every message: open, screen, gate, verdict, picture(head, grey) or picture(null) when
// there is no fresh one, quiet when nothing is heard any more, and lost when the gate can't be reached, refused when it does
// not let this browser in. A hidden page rests. The gate keeps places for the page "worker". It returns what tells the time by
// the gate's clock, undefined while that is not known.
export function connect(page, handlers) {
  let link = null, shut = false;
  const heard = Object.assign({}, handlers, { open() { shut = false; handlers.open(); } });
  const start = (behind) => { if (!document.hidden && !link) link = new Link(page, heard, retry, anew, behind); };
  const stop = () => { if (link) link.close(); link = null; };
  const anew = (behind) => { stop(); start(behind); };
  const retry = async () => {
    stop();
    handlers.picture(null);
    if (!shut) handlers.lost();
    const was = shut, now = await refuses(page);
    if (link) return; // the page was hidden and is back meanwhile
    shut = now;
    if (shut) handlers.refused();
    else if (was) handlers.lost();
    setTimeout(() => start(), RETRY);
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return start();
    stop();
    handlers.picture(null);
    if (handlers.quiet) handlers.quiet(); // a verdict must not stand there when the tablet wakes up
  });
  start();
  return () => link && !link.isQuiet && link.behind !== undefined ? Date.now() - link.behind : undefined;
}

// refuses tells whether the gate is there and does not let this browser in.
async function refuses(page) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), QUIET);
  try {
    const answer = await fetch(`picture?page=${page}`, { signal: patience.signal });
    return answer.status === 401 || answer.status === 403;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

class Link {
  // Behind is how many ms the gate's clock is behind this one's, less the time that a question took to the gate.
  constructor(page, handlers, failed, anew, behind) {
    const asked = Date.now();
    this.page = page;
    this.handlers = handlers;
    this.behind = behind;
    this.failed = () => { if (!this.closed) failed(); };
    this.anew = (behind) => { if (!this.closed) anew(behind); };
    this.source = new EventSource(`stream?page=${page}`);
    this.source.onopen = () => { this.isQuiet = false; this.heard(); handlers.open(); this.pictures(); };
    this.source.onerror = this.failed;
    for (const name of ["screen", "gate", "verdict"]) {
      this.source.addEventListener(name, (event) => {
        if (this.behind === undefined) this.behind = asked - event.lastEventId;
        // What was under way for long, or in a silence, came oldest first: a verdict of then is nobody's now.
        const age = Date.now() - event.lastEventId - this.behind; // at most
        if (age < -100) return this.anew(); // less than no time: a clock was set
        if (age > QUIET) return this.isQuiet || this.quiet();
        if (this.isQuiet) return this.anew(this.behind);
        this.heard();
        const message = JSON.parse(event.data);
        if (name === "gate") reloadIfNew(message.build);
        handlers[name](message);
      });
    }
    this.heard();
  }

  heard() {
    this.rest();
    this.pause = setTimeout(() => this.quiet(), QUIET);
    this.silence = setTimeout(this.failed, SILENCE);
  }

  quiet() {
    this.isQuiet = true;
    if (this.handlers.quiet) this.handlers.quiet();
  }

  rest() {
    clearTimeout(this.pause);
    clearTimeout(this.silence);
  }

  // compare takes the quickest of recent questions, whose word is the best; clocks do not go alike for ever.
  compare(asked, stamp) {
    if (stamp) this.behind = Math.max(asked - stamp, this.behind === undefined ? -Infinity : this.behind - 1);
  }

  close() {
    this.closed = true;
    this.rest();
    this.source.close();
    if (this.fetching) this.fetching.abort();
  }

  // pictures fetches one picture after the other: a slow line gets fewer of them, never older ones.
  async pictures() {
    let number = 0;
    while (!this.closed) {
      this.fetching = new AbortController();
      const patience = setTimeout(() => this.fetching.abort(), SILENCE);
      const asked = Date.now();
      try {
        const answer = await fetch(`picture?page=${this.page}&after=${number}`, { signal: this.fetching.signal });
        this.compare(asked, answer.headers.get("Gate-Milliseconds"));
        if (answer.status !== 200) throw new Error(answer.status);
        const body = new Uint8Array(await answer.arrayBuffer());
        if (this.closed) return;
        number = answer.headers.get("Picture-Number");
        const end = body.indexOf(10);
        this.handlers.picture(JSON.parse(new TextDecoder().decode(body.subarray(0, end))), body.subarray(end + 1));
      } catch (broken) {
        if (this.closed) return;
        number = 0;
        this.handlers.picture(null);
        await new Promise((resolve) => setTimeout(resolve, 300));
      } finally {
        clearTimeout(patience);
      }
    }
  }
}

// A gate that was updated brings its own page along.
function reloadIfNew(build) {
  if (build !== document.documentElement.dataset.build) location.reload();
}

// Painter paints pictures and what was found in them on a canvas.
export class Painter {
  constructor(canvas, { labels = null, mirror = false } = {}) {
    this.canvas = canvas;
    this.mirror = mirror; // for people who see themselves
    this.labels = labels; // language of the words at the faces, null for none
    this.small = document.createElement("canvas");
    this.palette = palette();
  }

  paint(head, grey) {
    if (this.small.width !== head.width || this.small.height !== head.height || !this.pixels) {
      this.small.width = head.width;
      this.small.height = head.height;
      this.pixels = new ImageData(head.width, head.height);
      this.words = new Uint32Array(this.pixels.data.buffer);
      document.documentElement.style.setProperty("--ratio", head.width / head.height);
    }
    for (let i = 0; i < grey.length; i++) this.words[i] = this.palette[grey[i]];
    this.small.getContext("2d").putImageData(this.pixels, 0, 0);

    const width = Math.min(Math.round(this.canvas.clientWidth * devicePixelRatio) || head.width, 1080);
    const height = Math.round(width * head.height / head.width);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.setTransform(this.mirror ? -1 : 1, 0, 0, 1, this.mirror ? width : 0, 0);
    pen.drawImage(this.small, 0, 0, width, height);
    if (this.mirror) this.outline(pen, head, width, height);
    else if (head.reference) this.disc(pen, head.reference, width, height);
    for (const face of head.faces) this.face(pen, face, width, height);
  }

  // outline says where to stand and how near, until somebody does.
  outline(pen, { stand, faces }, width, height) {
    if (!stand || faces.some((face) => face.tone !== "guide" || face.w > 0.9 * stand)) return;
    const x = width / 2, y = height * 0.45, w = stand * width / 2, h = w * 1.35;
    pen.setLineDash([w / 4, w / 6]);
    for (const [style, line] of [["#000b", width / 55], ["#fff", width / 110]]) {
      pen.strokeStyle = style;
      pen.lineWidth = line;
      pen.beginPath();
      pen.ellipse(x, y, w, h, 0, 0, 2 * Math.PI);
      pen.moveTo(x - 2.2 * w, y + 3 * h);
      pen.quadraticCurveTo(x - 2.2 * w, y + 1.5 * h, x, y + 1.4 * h);
      pen.quadraticCurveTo(x + 2.2 * w, y + 1.5 * h, x + 2.2 * w, y + 3 * h);
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  disc(pen, disc, width, height) {
    pen.lineWidth = Math.max(2, width / 250);
    pen.strokeStyle = disc.ok ? "#7fe7ff" : "#9aa4ad";
    pen.setLineDash([pen.lineWidth * 3, pen.lineWidth * 2]);
    pen.beginPath();
    pen.arc(disc.x * width, disc.y * height, disc.radius * width * 1.5, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
  }

  // face draws four corners, which hide less of a face than a box.
  face(pen, face, width, height) {
    const [x, y, w, h] = [face.x * width, face.y * height, face.w * width, face.h * height];
    const arm = Math.min(w, h) / 4;
    pen.lineJoin = pen.lineCap = "round";
    const corners = () => {
      pen.beginPath();
      for (const [cx, cy, dx, dy] of [[x, y, 1, 1], [x + w, y, -1, 1], [x + w, y + h, -1, -1], [x, y + h, 1, -1]]) {
        pen.moveTo(cx, cy + dy * arm);
        pen.lineTo(cx, cy);
        pen.lineTo(cx + dx * arm, cy);
      }
      pen.stroke();
    };
    pen.strokeStyle = "#000a";
    pen.lineWidth = Math.max(5, width / 70);
    corners();
    pen.strokeStyle = tones[face.tone] || "#fff";
    pen.lineWidth = Math.max(3, width / 110);
    corners();
    if (this.labels) this.label(pen, face.label[this.labels], x + w / 2, y + h, tones[face.tone], width, height);
  }

  label(pen, text, x, y, colour, width, height) {
    const size = Math.max(12, width / 24);
    pen.font = `600 ${size}px system-ui, sans-serif`;
    const half = pen.measureText(text).width / 2 + size * 0.4;
    x = Math.min(Math.max(x, half), width - half);
    y = Math.min(y + size * 0.4, height - size * 1.5);
    pen.fillStyle = "#000c";
    pen.fillRect(x - half, y, half * 2, size * 1.4);
    pen.fillStyle = colour;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, x, y + size * 0.72);
  }
}

const tones = { pass: "#4be38a", alert: "#ffb066", inconclusive: "#cdb8ff", guide: "#ffd34d", measuring: "#ffffff" };

// palette runs from black over violet and orange to white: brightness alone tells the order, also to the colour-blind.
function palette() {
  const stops = [[0, 4, 4, 16], [.22, 52, 16, 98], [.45, 138, 34, 106], [.65, 214, 72, 62], [.82, 250, 150, 30],
    [.94, 252, 222, 112], [1, 255, 255, 240]];
  const words = new Uint32Array(256);
  const bytes = new Uint8Array(words.buffer);
  for (let i = 0, s = 0; i < 256; i++) {
    while (i / 255 > stops[s + 1][0]) s++;
    const [from, to] = [stops[s], stops[s + 1]];
    const part = (i / 255 - from[0]) / (to[0] - from[0]);
    for (let c = 1; c <= 3; c++) bytes[i * 4 + c - 1] = from[c] + part * (to[c] - from[c]);
    bytes[i * 4 + 3] = 255;
  }
  return words;
}

export const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
