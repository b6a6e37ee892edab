"""Wide scenes to test with: streets, rooms and plants of -40 to 200 °C, people of recordings cut out and put into them.

    wide.py SHARED OUT DEVICE,… [--pictures N] [--seed S]
    thermogate detect --json OUT/celsius/*.tiff | score_faces.py OUT/faces.csv

OUT/grey has the same pictures without a scale, in 8 bits, as cameras show them. One picture in five shows nobody. Nothing here
is learnt from."""
import argparse
import csv
import json
import os

import cv2
import numpy as np

import data

SIZES = [(120, 160), (180, 240), (240, 320), (288, 384), (480, 640), (512, 640)]


class Scene:
    """A picture in °C, painted from the back to the front. Lengths are shares of its height."""

    def __init__(self, rng, height, width, air):
        self.rng, self.h, self.w, self.air = rng, height, width, air
        self.t = np.full((height, width), air, np.float32)
        self.yy, self.xx = np.mgrid[0:height, 0:width].astype(np.float32) / height
        self.wide = width / height

    def texture(self, grain, amount):
        n = max(2, int(1 / grain))
        noise = self.rng.normal(0, amount, (n, int(n * self.wide) + 1)).astype(np.float32)
        return cv2.resize(noise, (self.w, self.h), interpolation=cv2.INTER_CUBIC)

    def put(self, mask, value):
        self.t += (value - self.t) * mask

    def box(self, x, y, w, h, value):
        m = ((self.xx >= x) & (self.xx < x + w) & (self.yy >= y) & (self.yy < y + h)).astype(np.float32)
        self.put(m, value)

    def disc(self, x, y, rx, ry, value, rim=0.0):
        d = np.hypot((self.xx - x) / rx, (self.yy - y) / ry)
        self.put(np.clip((1 - d) / 0.06 + 0.5, 0, 1), value + rim * np.minimum(d, 1) ** 2)

    def poly(self, points, value):
        m = np.zeros_like(self.t)
        cv2.fillPoly(m, [np.round(np.array(points) * self.h * 8).astype(np.int32)], 1, shift=3)
        self.put(m, value)

    def u(self, a, b):
        """A number between a and b."""
        return self.rng.uniform(a, b)


def street(s):
    sky, horizon = s.u(-40, 5), s.u(0.2, 0.6)
    s.put((s.yy < horizon).astype(np.float32), sky + (s.yy / horizon) * s.u(2, 20) + s.texture(0.2, s.u(0, 3)))
    s.put((s.yy >= horizon).astype(np.float32), s.air + s.u(-2, 15) + s.texture(0.1, s.u(0.3, 2)))
    for _ in range(s.rng.integers(0, 3)):
        x, w, y = s.u(-0.2, s.wide), s.u(0.3, 1), s.u(0, horizon)
        wall = s.air + s.u(-2, 12)
        s.box(x, y, w, horizon - y + 0.05, wall + s.texture(0.08, 0.5))
        pane = s.u(0.04, 0.1)
        for i in np.arange(x + 0.03, x + w - pane, 2 * pane):
            for j in np.arange(y + 0.03, horizon - pane, 2.2 * pane):
                s.box(i, j, pane, 1.3 * pane, wall + s.rng.choice([s.u(-15, -3), s.u(1, 8)]))
    for _ in range(s.rng.integers(0, 4)):
        tree(s, horizon)
    for _ in range(s.rng.integers(0, 4)):
        car(s, s.u(-0.1, s.wide), horizon + s.u(0, 0.35), s.u(0.2, 0.8))


def tree(s, horizon):
    x, r = s.u(0, s.wide), s.u(0.1, 0.3)
    s.box(x - 0.02, horizon - r, 0.04, r + 0.1, s.air + s.u(0, 3))
    for _ in range(12):
        s.disc(x + s.rng.normal(0, r / 2), horizon - r - s.u(0, r), r / 3, r / 3, s.air + s.rng.normal(0, 1.5))


def car(s, x, y, w):
    h = w * s.u(0.3, 0.4)
    body = s.air + s.u(-3, 15)
    s.poly([(x, y), (x, y + h), (x + w, y + h), (x + w, y), (x + 0.8 * w, y - 0.02), (x + 0.68 * w, y - 0.6 * h), (x + 0.25 * w, y - 0.6 * h), (x + 0.12 * w, y)], body + s.texture(0.05, 0.4))
    s.poly([(x + 0.28 * w, y - 0.52 * h), (x + 0.64 * w, y - 0.52 * h), (x + 0.74 * w, y), (x + 0.16 * w, y)], body - s.u(0, 20))
    hood = s.u(5, 70)
    side = s.rng.choice([0.05, 0.75])
    s.put(np.exp(-((s.xx - x - (side + 0.1) * w) / (0.13 * w)) ** 2 - ((s.yy - y - 0.3 * h) / (0.4 * h)) ** 2), s.air + hood)
    for at in (0.2, 0.8):
        s.disc(x + at * w, y + h, 0.1 * w, 0.1 * w, s.air + s.u(0, 35), s.u(-10, 10))
        s.disc(x + at * w, y + h, 0.05 * w, 0.05 * w, s.air + s.u(0, 60))
    if s.rng.random() < 0.5:
        s.disc(x + s.rng.choice([0.03, 0.97]) * w, y + 0.4 * h, 0.04 * w, 0.035 * w, s.u(30, 90))
    s.disc(x + 0.93 * w, y + 0.97 * h, 0.015, 0.015, s.u(60, 200))


def room(s):
    floor = s.u(0.6, 0.9)
    s.t += s.texture(0.5, s.u(0.2, 1.5)) + (0.5 - s.yy) * s.u(0, 4)
    s.put((s.yy > floor).astype(np.float32), s.air + s.u(-3, 6))
    for _ in range(s.rng.integers(0, 3)):  # windows
        x, y, w, h = s.u(0, s.wide - 0.2), s.u(0, 0.3), s.u(0.2, 0.6), s.u(0.2, 0.6)
        s.box(x, y, w, h, s.air + s.u(-4, 2))
        out = s.rng.choice([s.u(-20, 12), s.u(25, 38)])
        for i in range(2):
            s.box(x + 0.02 + i * w / 2, y + 0.02, w / 2 - 0.03, h - 0.04, out + s.texture(0.1, s.u(0, 2)))
    for _ in range(s.rng.integers(0, 3)):
        radiator(s)
    for _ in range(s.rng.integers(0, 4)):  # lamps, kettles, cups
        hot, x, y, r = s.u(40, 130), s.u(0, s.wide), s.u(0, 0.9), s.u(0.02, 0.09)
        kind = s.rng.integers(3)
        if kind == 0:
            s.put(np.exp(-((s.xx - x) ** 2 + (s.yy - y) ** 2) / (2 * r) ** 2) * 0.2, hot)
            s.disc(x, y, r, r, hot, -s.u(0, 40))
        elif kind == 1:
            s.poly([(x - r, y - r), (x + r, y - r), (x + 1.3 * r, y + 1.6 * r), (x - 1.3 * r, y + 1.6 * r)], hot - (s.yy - y) * s.u(-100, 200))
            s.disc(x, y - r, r, 0.3 * r, s.air + s.u(0, 30))
        else:
            s.box(x, y, s.u(0.2, 0.6), 0.03, hot)
    for _ in range(s.rng.integers(0, 3)):  # screens, boxes
        x, y, w, h = s.u(0, s.wide), s.u(0.1, 0.8), s.u(0.1, 0.4), s.u(0.08, 0.3)
        s.box(x, y, w, h, s.air + s.u(0, 16) + (s.yy - y) * s.u(-30, 30) + s.texture(0.1, s.u(0, 1)))


def radiator(s):
    hot, x, y, w, h = s.u(32, 75), s.u(-0.1, s.wide), s.u(0.3, 0.7), s.u(0.2, 0.8), s.u(0.15, 0.35)
    s.put(np.clip(1 - np.abs(s.xx - x - w / 2) / w, 0, 1) * (s.yy < y) * np.clip(1 - (y - s.yy) / 0.4, 0, 1) * 0.3, s.air + 10)
    rib = s.u(0.03, 0.07)
    s.box(x, y, w, h, hot - 6)
    for i in np.arange(x, x + w, rib):
        s.box(i, y, 0.6 * rib, h, hot - (s.yy - y) / h * s.u(0, 15))


def plant(s):
    s.t += s.texture(0.3, s.u(0.5, 4)) + (0.5 - s.yy) * s.u(-10, 20)
    for _ in range(s.rng.integers(1, 5)):  # pipes
        x, y, angle, r, hot = s.u(0, s.wide), s.u(0, 1), s.rng.choice([0, np.pi / 2, s.u(0, 3)]), s.u(0.01, 0.07), s.rng.choice([s.u(-10, 20), s.u(30, 60), s.u(60, 200)])
        d = np.abs((s.xx - x) * np.sin(angle) - (s.yy - y) * np.cos(angle)) / r
        s.put((d < 1).astype(np.float32), s.air + (hot - s.air) * np.sqrt(np.clip(1 - 0.5 * d ** 2, 0, 1)))
    for _ in range(s.rng.integers(1, 5)):  # motors, ovens, cabinets
        x, y, w, h, hot = s.u(0, s.wide), s.u(0, 0.9), s.u(0.1, 0.5), s.u(0.1, 0.5), s.rng.choice([s.u(25, 45), s.u(45, 90), s.u(90, 200)])
        if s.rng.random() < 0.5:
            s.disc(x, y, w / 2, h / 2, hot, -s.u(0, 0.4) * hot)
            s.disc(x, y, w / 5, h / 5, s.air + s.u(0, 1) * (hot - s.air))
            for _ in range(s.rng.integers(0, 6)):
                a = s.u(0, 6.3)
                s.disc(x + 0.35 * w * np.cos(a), y + 0.35 * h * np.sin(a), 0.03, 0.03, hot + s.u(-10, 10))
        else:
            s.box(x, y, w, h, hot + (s.xx - x) / w * s.rng.normal(0, 8) + s.texture(0.05, s.u(0, 3)))
            s.box(x + 0.2 * w, y + 0.2 * h, 0.6 * w, 0.4 * h, s.air + s.u(0, 1.2) * (hot - s.air))
            for i in range(s.rng.integers(0, 5)):
                s.disc(x + w * s.u(0.1, 0.9), y + h * s.u(0.7, 0.9), 0.02, 0.02, hot + s.u(-20, 30))


def cut_out(f, i):
    """Person i of a frame: the part that shows them, how much of each pixel they fill, their box in it, their skin. The room
    is what is colder than a third of the way to skin."""
    x, y, w, h = f.boxes[i]
    x0, y0 = int(max(0, x - w)), int(max(0, y - 0.45 * h))
    part = f.celsius[y0:int(y + 2.2 * h), x0:int(x + 2 * w)].copy()
    skin = np.median(f.celsius[int(max(0, y)):int(y + h), int(max(0, x)):int(x + w)])
    room = np.percentile(f.celsius, 25)
    warm = ((part > room + 0.3 * (skin - room)) * 255).astype(np.uint8)
    cv2.ellipse(warm, (int(x - x0 + w / 2), int(y - y0 + 0.45 * h)), (int(w * 0.5), int(h * 0.55)), 0, 0, 360, 255, -1)
    _, parts = cv2.connectedComponents(cv2.morphologyEx(warm, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)))
    own = parts == parts[int(y - y0 + h / 2), min(parts.shape[1] - 1, int(x - x0 + w / 2))]
    return part, cv2.GaussianBlur(own.astype(np.float32), (0, 0), 0.7), np.array([x - x0, y - y0, w, h]), skin


def paste(s, part, filled, box, height, boxes):
    """Puts a person into the scene, their face height pixels high and clear of those there are, if a place is found."""
    k = height / box[3]
    if k < 0.8:
        part, filled = (cv2.GaussianBlur(a, (0, 0), 0.45 / k) for a in (part, filled))
    part, filled = (cv2.resize(a, None, fx=k, fy=k, interpolation=cv2.INTER_CUBIC if k > 1 else cv2.INTER_AREA) for a in (part, filled))
    if k > 1.5:
        part = cv2.GaussianBlur(part, (0, 0), 0.4 * k)
    filled, box = np.clip(filled, 0, 1), box * k
    if s.rng.random() < 0.5:
        part, filled = part[:, ::-1], filled[:, ::-1]
        box[0] = part.shape[1] - box[0] - box[2]
    reach = lambda b, aside, above: b + [-aside * b[2], -above * b[3], 2 * aside * b[2], 4 * above * b[3]]
    for _ in range(20):
        x, y = (round(s.u(2 - box[i], size - box[i] - box[i + 2] - 2)) for i, size in ((0, s.w), (1, s.h)))
        new = box + [x, y, 0, 0]
        if (new[:2] < 0).any() or any(data.overlap(b, reach(new, 0.6, 0.3)) > 0 or data.overlap(new, reach(b, 1, 0.3)) > 0 for b in boxes):
            continue
        x0, y0, x1, y1 = max(0, x), max(0, y), min(s.w, x + part.shape[1]), min(s.h, y + part.shape[0])
        there, here = np.s_[y0:y1, x0:x1], np.s_[y0 - y:y1 - y, x0 - x:x1 - x]
        s.t[there] += (part[here] - s.t[there]) * filled[here]
        boxes.append(new)
        return


def scene(rng, person, most):
    """A picture in °C with up to most people, and their faces. person draws one."""
    height, width = SIZES[rng.integers(len(SIZES))]
    kind = [street, room, plant][rng.integers(3)]
    air = {street: rng.uniform(-5, 32), room: rng.uniform(15, 30), plant: rng.uniform(12, 38)}[kind]
    s = Scene(rng, height, width, np.float32(air))
    kind(s)
    s.t = cv2.GaussianBlur(s.t, (0, 0), rng.uniform(0.5, 0.004 * height + 0.6))
    boxes = []
    for _ in range(min(most, rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
        part, filled, box, skin = person(rng)
        size = np.exp(rng.uniform(np.log(max(15, 0.055 * height)), np.log(0.55 * height)))
        paste(s, part + (rng.uniform(30, 35.5) - skin), filled, box, size, boxes)
    t = s.t + rng.normal(0, rng.uniform(0.03, 0.15), s.t.shape)
    if rng.random() < 0.5:
        t = t + rng.normal(0, 0.06, (1, s.w))
    return t.astype(np.float32), np.array(boxes).reshape(-1, 4)


def grey(rng, t):
    """The picture in 8 bits: stretched, sharpened, its histogram half equalised, or large differences taken back."""
    kind = rng.integers(4)
    low, high = np.percentile(t, [(0, 100), (0.5, 99.5), (1, 99), (0, 100)][kind])
    g = np.clip((t - low) / (high - low), 0, 1)
    if kind == 2:
        hist = np.bincount((g * 1023).astype(int).ravel(), minlength=1024).astype(float)
        hist = np.minimum(hist, rng.uniform(0.002, 0.02) * g.size)
        curve = np.cumsum(hist) / hist.sum()
        g = curve[(g * 1023).astype(int)]
    elif kind == 3:
        base = cv2.GaussianBlur(g.astype(np.float32), (0, 0), 0.05 * len(g))
        g = np.clip(base * 0.7 + 0.15 + rng.uniform(1.5, 4) * (g - base), 0, 1)
    elif rng.random() < 0.4:
        g = np.clip(g + 0.8 * (g - cv2.GaussianBlur(g.astype(np.float32), (0, 0), 1.5)), 0, 1)
    return np.round(g * 255).astype(np.uint8)


def people_of(frames):
    """Draws people: first a recording, then one of its faces that are large and whole."""
    by = {}
    for f in frames:
        for i, (x, y, w, h) in enumerate(f.boxes):
            if min(w, h) > 22 and x > 1 and y > 3 and x + w < f.celsius.shape[1] - 1:
                by.setdefault(f.name, []).append((f, i))
    names = sorted(by)
    def person(rng):
        faces = by[names[rng.integers(len(names))]]
        return cut_out(*faces[rng.integers(len(faces))])
    return person


def write(folder, name, picture, units):
    cv2.imwrite(os.path.join(folder, name + ".tiff"), picture)
    with open(os.path.join(folder, name + ".json"), "w") as side:
        json.dump(dict(width=picture.shape[1], height=picture.shape[0], frames=1, fps=9, units=units), side)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("shared")
    ap.add_argument("out")
    ap.add_argument("devices")
    ap.add_argument("--pictures", type=int, default=120)
    ap.add_argument("--seed", type=int, default=5)
    args = ap.parse_args()
    cv2.setNumThreads(1)
    celsius, greys = (os.path.join(args.out, name) for name in ("celsius", "grey"))
    os.makedirs(celsius, exist_ok=True)
    os.makedirs(greys, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    person = people_of(data.load(args.shared, lambda d: d in args.devices.split(",")))
    with open(os.path.join(args.out, "faces.csv"), "w") as labels:
        rows = csv.writer(labels)
        rows.writerow("name frame x y w h kind scored device".split())
        for i in range(args.pictures):
            name = f"{i:03d}"
            t, boxes = scene(rng, person, 0 if i % 5 == 4 else 3)
            write(celsius, name, np.uint16(np.round((t + 273.15) * 100)), "centikelvin")
            write(greys, name, grey(rng, t), "grey8")
            for box in boxes:
                rows.writerow([name, 0, *box.round(1), "face", "yes", "wide"])
            if not len(boxes):
                rows.writerow([name, 0, "", "", "", "", "none", "no", "wide"])


if __name__ == "__main__":
    main()
