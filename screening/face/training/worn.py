"""Trains the third network on faces: does one wear glasses, does one wear a mask over the nose.

    worn.py paint SHARED OUT.npz DEVICE,… --people PEOPLE.npz… [--found FOUND.json] [--samples N] [--seed S]
    worn.py train OUT.pt CUTS.npz… [--steps N] [--seed S]
    worn.py test SHARED IN.pt DEVICE,… --found FOUND.json [--seed S]
    worn.py export OUT.onnx IN.pt

The recordings show nobody with a mask, so masks are painted, on faces of the recordings and on people who don't exist:
surgical ones with folds, cups with a seam, as cold as the room to warmer than the skin, with breath, straps, and warm air
that leaks. As much care is taken over what looks like one: beards, scarves, cold noses and cheeks, chins in the shadow,
masks worn below the nose. FOUND.json is what predict.py finds: it settles doubtful labels, see data.py; test looks at
those boxes that meet a labelled face."""
import argparse
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F

import data
from model import CUT_HEIGHT, CUT_WIDTH, Worn, cut, normalise_cut

WIDTH, HEIGHT = 156, 186  # of the canvas that is painted on
FACE_WIDTH, FACE_HEIGHT = 75, 90  # of the face in the middle of it
JITTER = 0.06  # how far off the detector's box is, in its widths and heights
PEOPLE = 0.4  # share of faces of people who don't exist
MASKS, GLASSES = 0.45, 0.3  # share of faces that get one painted
BATCH = 256


class Canvas:
    """A face in a picture of its own, large enough to paint fine things. Places on it are counted in widths and heights
    of the face from the point between the eyes; across follows the nose where the head is turned."""

    def __init__(self, rng, celsius, box, marks):
        self.rng = rng
        x, y, w, h = box
        scale = np.array([FACE_WIDTH / w, FACE_HEIGHT / h])
        offset = np.array([WIDTH, HEIGHT]) / 2 - scale * (box[:2] + box[2:] / 2) + (scale - 1) / 2
        self.map = np.column_stack([np.diag(scale), offset])
        self.picture = cv2.warpAffine(celsius, self.map, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self.pixel = float(scale.mean())  # one of the camera's
        marks = marks * scale + offset
        left, top = (WIDTH - FACE_WIDTH) / 2, (HEIGHT - FACE_HEIGHT) / 2
        if np.isnan(marks[:3]).any():
            self.eyes = np.array([[left + f * FACE_WIDTH, top + 0.4 * FACE_HEIGHT] for f in (0.3, 0.7)]) + rng.normal(0, 1.5, 2)
            self.nose = self.eyes.mean(0) + [rng.normal(0, 1.5), (0.24 + rng.normal(0, 0.02)) * FACE_HEIGHT]
        else:
            self.eyes, self.nose = marks[:2], marks[2]
        self.middle = self.eyes.mean(0)
        across = self.eyes[1] - self.eyes[0]
        angle = np.clip(np.arctan2(across[1], across[0]), -0.5, 0.5)
        self.across, self.down = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        # The box's centre and the nose, in the face's own measures.
        self.centre = float((np.array([WIDTH, HEIGHT]) / 2 - self.middle) @ self.across / FACE_WIDTH)
        self.nose_u = float((self.nose - self.middle) @ self.across / FACE_WIDTH)
        self.nose_v = float(np.clip((self.nose - self.middle) @ self.down / FACE_HEIGHT, 0.15, 0.35))
        self.mouth_v = self.nose_v + 0.15
        self.chin_v = max(self.mouth_v + 0.12, float((top + FACE_HEIGHT - self.middle[1]) / FACE_HEIGHT))
        yy, xx = data.grid((HEIGHT, WIDTH))
        dx, dy = xx - self.middle[0], yy - self.middle[1]
        self.u = (dx * self.across[0] + dy * self.across[1]) / FACE_WIDTH
        self.v = (dx * self.down[0] + dy * self.down[1]) / FACE_HEIGHT
        inside = self.picture[int(top):int(top) + FACE_HEIGHT, int(left):int(left) + FACE_WIDTH]
        self.skin, self.room = float(np.percentile(inside, 70)), float(np.percentile(self.picture, 12))

    def at(self, u, v):
        return self.middle + self.across * (u * FACE_WIDTH) + self.down * (v * FACE_HEIGHT)

    def area(self, points):
        return data.polygon(self.picture.shape, [self.at(u, v) for u, v in points])

    def line(self, points, width):
        drawn = np.zeros(self.picture.shape, np.float32)
        ends = np.round(np.array([self.at(u, v) for u, v in points]) * 8).astype(np.int32)
        cv2.polylines(drawn, [ends], False, 1, max(1, int(round(width * FACE_WIDTH))), cv2.LINE_AA, 3)
        return drawn

    def hill(self, u, v, wide, high):
        """1 at a place, falling off around it."""
        return np.exp(-((self.u - u) / wide) ** 2 - ((self.v - v) / high) ** 2).astype(np.float32)

    def waves(self, cells):
        """Smooth noise, about 1 high."""
        noise = self.rng.normal(0, 1, (cells + 1, cells)).astype(np.float32)
        return cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)

    def head(self):
        """How much of each place is the head: what is warmer than the room, and the middle of the face in any case."""
        warm = np.float32(self.picture > self.room + 0.45 * (self.skin - self.room))
        middle = np.float32(((self.u - self.centre) / 0.4) ** 2 + ((self.v - self.chin_v + 0.5) / 0.52) ** 2 < 1)
        return cv2.GaussianBlur(cv2.dilate(np.maximum(warm, middle), np.ones((3, 3))), (0, 0), 1)

    def put(self, over, value, soft=0.0):
        """Lays value over the picture, as sharp as the camera's lens shows it."""
        soft = np.hypot(soft, self.rng.uniform(0.45, 0.8) * self.pixel)
        over = cv2.GaussianBlur(over, (0, 0), soft)
        self.picture += (value - self.picture) * over

    def add(self, what):
        self.picture += cv2.GaussianBlur(what, (0, 0), self.rng.uniform(0.45, 0.8) * self.pixel)

    def colder(self, share):
        """A temperature between the skin's (0) and the room's (1), even where both are nearly the same."""
        return self.skin - share * max(self.skin - self.room, self.rng.uniform(2, 5))


def bottom_of(rng, c, side, drop):
    """The lower edge of what goes around the chin, from right to left."""
    low, jaw = c.chin_v + drop, rng.uniform(0.22, 0.34)
    end = rng.uniform(c.mouth_v - 0.02, c.mouth_v + 0.18)
    return [(c.centre + side, end), (c.centre + jaw, low - rng.uniform(0.02, 0.12)), (c.centre + 0.12, low), (c.centre - 0.12, low),
            (c.centre - jaw, low - rng.uniform(0.02, 0.12)), (c.centre - side, end)]


def mask(rng, c, bridge):
    """A mask whose upper edge crosses the nose at bridge."""
    side, ends = rng.uniform(0.36, 0.54), bridge + rng.uniform(-0.03, 0.16)
    under = bridge + rng.uniform(0, 0.1)
    ridge = 0.5 * c.nose_u
    top = [(c.centre - side, ends), (ridge - 0.24, under), (ridge - 0.1, 0.5 * (under + bridge)), (ridge - 0.04, bridge),
           (ridge + 0.04, bridge), (ridge + 0.1, 0.5 * (under + bridge)), (ridge + 0.24, under), (c.centre + side, ends)]
    over = c.area(top + bottom_of(rng, c, side, rng.uniform(-0.06, 0.1)))
    if rng.random() < 0.85:
        over *= c.head()
    value = np.full_like(c.picture, c.colder(rng.uniform(-0.12, 0.3) if rng.random() < 0.45 else rng.uniform(0.2, 1.05)))
    value += cloth(rng, c, bridge)
    value += breath(rng, c)
    c.put(over * rng.uniform(0.8, 1) if rng.random() < 0.3 else over, value, rng.uniform(0, 0.8))
    if rng.random() < 0.35:  # the rim lies on the skin or stands off it
        rim = over - cv2.erode(over, np.ones((3, 3)), iterations=int(rng.integers(1, 3)))
        c.add(rim * np.float32(rng.normal(0, 1)))
    if rng.random() < 0.35:  # the wire over the nose
        c.add(c.line(top[1:-1], 0.03) * np.float32(rng.normal(-0.3, 1.2)))
    if rng.random() < 0.4:  # warm air leaks beside the nose and at the cheeks
        for u in (ridge - rng.uniform(0.07, 0.16), ridge + rng.uniform(0.07, 0.16), c.centre - side, c.centre + side):
            if rng.random() < 0.6:
                c.add(c.hill(u, under - 0.02, 0.06, 0.05) * np.float32(rng.normal(0.6, 0.7)))
    if rng.random() < 0.6:
        straps(rng, c, side, ends)


def cloth(rng, c, bridge):
    """What a mask's cloth looks like beside its mean: uneven, in folds or as a cup."""
    value = c.waves(int(rng.integers(3, 8))) * rng.uniform(0, 0.7)
    value += rng.normal(0, 1.2) * (c.u - c.centre) + rng.normal(0, 2) * (c.v - c.mouth_v)
    kind = rng.random()
    if kind < 0.35:
        value += rng.uniform(0.05, 0.65) * np.cos((c.v - bridge + rng.uniform(-0.5, 0.5) * (c.u - c.centre) ** 2) * 2 * np.pi / rng.uniform(0.07, 0.16))
    elif kind < 0.7:
        middle = 0.7 * c.nose_u
        value += rng.normal(0, 0.6) * np.exp(-((c.u - middle) / 0.025) ** 2) + rng.normal(0, 1.5) * np.abs(c.u - middle)
        value += rng.normal(0, 1.5) * c.hill(middle, c.nose_v + 0.08, 0.25, 0.2)
    return value


def breath(rng, c):
    """Warm where breath goes out, cool where it is drawn in, all over the mask or before nose and mouth."""
    strength = rng.normal(0.3, 1.4)
    spot = c.hill(0.8 * c.nose_u + rng.normal(0, 0.04), rng.uniform(c.nose_v, c.mouth_v + 0.05), rng.uniform(0.08, 0.28), rng.uniform(0.05, 0.2))
    return strength * spot + rng.normal(0, 0.5) * c.hill(c.nose_u, c.nose_v + 0.02, 0.12, 0.05)


def straps(rng, c, side, ends):
    """Loops to the ears, or bands around the head."""
    width, depth = rng.uniform(0.01, 0.03), np.float32(-rng.uniform(0.3, 2.5))
    ear = rng.uniform(0.46, 0.54), rng.uniform(-0.02, 0.12)
    for s in (-1, 1):
        lines = c.line([(c.centre + s * (side - 0.03), ends + 0.02), (c.centre + s * ear[0], ear[1])], width)
        if rng.random() < 0.6:
            lines = np.maximum(lines, c.line([(c.centre + s * (side - 0.05), c.mouth_v + 0.12), (c.centre + s * ear[0], ear[1] + 0.12)], width))
        c.add(lines * depth)


def beard(rng, c):
    """Hair around the mouth and on the cheeks: colder than skin, uneven, soft at its edge, the nose free and mostly the mouth."""
    side, high = rng.uniform(0.3, 0.5), c.mouth_v - rng.uniform(-0.05, 0.14)
    lip = rng.uniform(c.nose_v + 0.04, c.mouth_v - 0.02)
    m = 0.8 * c.nose_u
    over = c.area([(c.centre - side, high), (m - 0.22, high + rng.uniform(0, 0.1)), (m - 0.15, lip), (m, lip), (m + 0.15, lip),
                   (m + 0.22, high + rng.uniform(0, 0.1)), (c.centre + side, high)] + bottom_of(rng, c, side, rng.uniform(-0.02, 0.3)))
    if rng.random() < 0.7:
        over *= 1 - c.hill(m, c.mouth_v, rng.uniform(0.09, 0.16), rng.uniform(0.03, 0.06)) * np.float32(rng.uniform(0.5, 1))
    value = c.colder(rng.uniform(0.05, 0.9)) + c.waves(int(rng.integers(6, 16))) * rng.uniform(0.2, 1.2)
    c.put(over * rng.uniform(0.5, 1), value, rng.uniform(1, 4))


def scarf(rng, c):
    """A collar or a scarf that reaches up to the mouth at most."""
    top = rng.uniform(c.mouth_v + 0.02, c.chin_v + 0.05)
    over = c.area([(-0.9, top + rng.normal(0, 0.06)), (0.7 * c.nose_u, top + rng.normal(0, 0.03)), (0.9, top + rng.normal(0, 0.06)), (0.9, 1.2), (-0.9, 1.2)])
    c.put(over, c.colder(rng.uniform(0.1, 1)) + c.waves(int(rng.integers(3, 10))) * rng.uniform(0.1, 1), rng.uniform(0, 3))


def cold(rng, c):
    """Noses, cheeks and chins in from the frost or in the shadow, mouths and noses that breathe."""
    for share, u, v, wide, high, mean in ((0.6, c.nose_u, c.nose_v - 0.03, (0.06, 0.2), (0.06, 0.16), -2.2), (0.3, c.nose_u, c.mouth_v, (0.1, 0.2), (0.03, 0.08), 0.3),
                                          (0.3, c.centre, c.chin_v, (0.2, 0.4), (0.06, 0.2), -1.2)):
        if rng.random() < share:
            c.add(c.hill(u + rng.normal(0, 0.02), v + rng.normal(0, 0.02), rng.uniform(*wide), rng.uniform(*high)) * np.float32(rng.normal(mean, 1.5)))
    if rng.random() < 0.6:
        depth, u, v, size = np.float32(rng.normal(-1.5, 1.3)), rng.uniform(0.2, 0.36), rng.uniform(c.nose_v - 0.08, c.mouth_v), rng.uniform(0.1, 0.22)
        c.add((c.hill(c.centre - u, v, size, size) + c.hill(c.centre + u, v, size, size)) * depth)
    if rng.random() < 0.3:  # a nose warmer than what is around it
        c.add(c.hill(0.7 * c.nose_u, 0.6 * c.nose_v, 0.06, rng.uniform(0.08, 0.16)) * np.float32(rng.uniform(0.3, 1.8)))


def hand(rng, c):
    """A hand, a cup or a phone before a part of the lower face."""
    u, v = c.centre + rng.normal(0, 0.35), rng.uniform(c.mouth_v, c.chin_v + 0.2)
    angle, wide, high = rng.uniform(0, np.pi), rng.uniform(0.08, 0.2), rng.uniform(0.1, 0.4)
    du, dv = c.u - u, c.v - v
    a, b = du * np.cos(angle) + dv * np.sin(angle), dv * np.cos(angle) - du * np.sin(angle)
    over = np.float32((np.abs(a) < wide) & (np.abs(b) < high))
    c.put(over, c.colder(rng.uniform(-0.2, 1)) + c.waves(5) * rng.uniform(0, 0.8))


def glasses(rng, c):
    """Glass lets none of the face's warmth through: lenses nearly as cold as the room to nearly as warm as skin, fogged from
    below where a mask is worn."""
    wide, high = rng.uniform(0.12, 0.22), rng.uniform(0.055, 0.13)
    if rng.random() < 0.35:
        wide, high = rng.uniform(0.18, 0.25), rng.uniform(0.09, 0.16)  # sunglasses
    drop, turn = rng.normal(0.02, 0.02), rng.uniform(0.75, 1)
    over = np.zeros_like(c.picture)
    power = rng.choice([2, 3, 6])  # round to square
    for e, s in zip(c.eyes, (-1, 1)):
        eye = (e - c.middle) @ c.across / FACE_WIDTH
        du, dv = (c.u - eye - s * rng.uniform(-0.01, 0.02)) / wide, (c.v - drop) / high
        over = np.maximum(over, np.float32(np.abs(du) ** power + np.abs(dv) ** power < 1))
    over = np.maximum(over, c.line([(-0.08, drop - 0.3 * high), (0.08, drop - 0.3 * high)], rng.uniform(0.02, 0.05)))
    value = c.colder(rng.uniform(0.15, 0.5) if rng.random() < 0.5 else rng.uniform(0.3, 1.05)) + c.waves(5) * rng.uniform(0, 0.4)
    if rng.random() < 0.3:  # warmed from below
        value = value + np.float32(rng.uniform(0, 1.5)) * np.clip((c.v - drop) / high, -1, 1)
    c.put(over, value)
    if rng.random() < 0.4:
        rim = over - cv2.erode(over, np.ones((3, 3)))
        c.add(rim * np.float32(rng.normal(0, 1)))
    if rng.random() < 0.5:
        depth = np.float32(-rng.uniform(0.3, 3))
        for s in (-1, 1):
            c.add(c.line([(c.centre + s * 0.36 * turn, drop - 0.4 * high), (c.centre + s * 0.52, drop - rng.uniform(0, 0.05))], rng.uniform(0.015, 0.04)) * depth)


def brow(rng, c):
    """A fringe, a cap, brows or shadows around the eyes: what looks like glasses."""
    if rng.random() < 0.5:
        low = rng.uniform(-0.3, -0.03)
        over = c.area([(-0.8, low + rng.normal(0, 0.05)), (0, low), (0.8, low + rng.normal(0, 0.05)), (0.8, -0.9), (-0.8, -0.9)])
        c.put(over, c.colder(rng.uniform(0.1, 1)) + c.waves(8) * rng.uniform(0.2, 1.5), rng.uniform(0, 3))
        return
    depth, wide, high, v = np.float32(rng.normal(-0.5, 0.8)), rng.uniform(0.08, 0.16), rng.uniform(0.02, 0.06), rng.normal(-0.03, 0.04)
    for e in c.eyes:
        c.add(c.hill((e - c.middle) @ c.across / FACE_WIDTH, v, wide, high) * depth)


def surroundings(rng, c):
    """Another room behind, another light on the skin."""
    if rng.random() < 0.5:
        gain = rng.uniform(0.2, 1.6)
        pivot = c.skin - rng.uniform(1, 4)
        c.picture += np.float32(gain - 1) * np.minimum(c.picture - pivot, 0)
        c.room = c.skin + (c.room - c.skin) * gain
    if rng.random() < 0.3:
        c.picture += np.float32(rng.normal(0, 1)) * np.tanh(c.u - c.centre) + np.float32(rng.normal(0, 1)) * np.tanh(c.v - 0.2)


def dress(rng, c, attributes):
    """Paints on a face, and says whether it wears glasses and a mask: 1, 0, or -1 where unknown."""
    worn = np.array([attributes[1], attributes[2]])
    turned = attributes[0] == 2
    surroundings(rng, c)
    for share, paint in ((0.35, cold), (0.15, beard), (0.12, scarf), (0.1, hand), (0.2, brow)):
        if rng.random() < share and (worn[1] < 1 or paint is brow):
            paint(rng, c)
    if worn[1] <= 0 and not turned and rng.random() < MASKS:
        if rng.random() < 0.12:  # below the nose or at the chin
            mask(rng, c, rng.uniform(c.nose_v + 0.03, c.chin_v - 0.12))
        else:
            mask(rng, c, rng.uniform(0.02, c.nose_v - 0.06))
            worn[1] = 1
    if worn[0] < 1 and not turned and rng.random() < GLASSES:
        glasses(rng, c)
        worn[0] = 1
    return worn


def recorded(rng, picture):
    """What cameras make of pictures for the eye: a bent scale, less of large differences."""
    kind = rng.random()
    if kind < 0.2:
        low, high = picture.min(), picture.max() + 1e-3
        knots = np.cumsum(np.r_[0, np.exp(rng.normal(0, 0.7, 6))])
        return np.interp(picture, np.linspace(low, high, 7), low + (high - low) * knots / knots[-1]).astype(np.float32)
    if kind < 0.3:
        return (picture - rng.uniform(0.2, 0.8) * cv2.GaussianBlur(picture, (0, 0), rng.uniform(4, 12))) * rng.uniform(1, 1.6)
    return picture


def photographed(rng, c):
    """The canvas as a camera with few pixels shows it, and the face's box on it."""
    width = max(c.pixel, 1.2)  # pixels of the canvas for one of the camera's
    if rng.random() < 0.35:
        width *= np.exp(rng.uniform(0, max(0, np.log(FACE_WIDTH / 14 / width))))
    size = int(WIDTH / width), int(HEIGHT / width)
    picture = cv2.resize(c.picture, size, interpolation=cv2.INTER_AREA)
    scale = np.array(size) / (WIDTH, HEIGHT)
    noise = np.exp(rng.uniform(np.log(0.02), np.log(0.3)))
    picture = picture + rng.normal(0, noise, picture.shape) + rng.normal(0, 0.3 * noise, (1, picture.shape[1]))
    picture = picture.astype(np.float32)
    if rng.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.9))
    elif rng.random() < 0.3:
        picture = picture + rng.uniform(0.2, 0.8) * (picture - cv2.GaussianBlur(picture, (0, 0), 1))
    face = np.array([FACE_WIDTH, FACE_HEIGHT]) * scale
    return recorded(rng, picture), np.r_[np.array(size) / 2 - face / 2, face]


class Faces:
    """Cut-outs of faces with what they wear, drawn at random."""

    def __init__(self, frames, people, seed):
        self.rng, self.people = np.random.default_rng(seed), people
        self.faces = [(f, i) for f in frames for i in range(len(f.boxes)) if min(f.boxes[i][2:]) >= data.SMALLEST]
        self.cumulative = data.cumulative([f.weight for f, _ in self.faces])
        self.empty = [f.celsius for f in frames if not len(f.boxes)]

    def face(self):
        rng = self.rng
        if self.people and rng.random() < PEOPLE:
            while True:
                f = self.people.pick(rng, self.empty[rng.integers(len(self.empty))])
                if len(f.boxes) and min(f.boxes[(i := rng.integers(len(f.boxes)))][2:]) >= data.SMALLEST:
                    return f, i
        return self.faces[data.drawn(rng, self.cumulative)]

    def sample(self):
        """A cut-out, normalised, with whether its face wears glasses and a mask."""
        rng = self.rng
        f, i = self.face()
        attributes = f.attributes[i].copy()
        attributes[2] = max(attributes[2], 0)  # nobody wears one on the recordings
        if rng.random() < 0.15:  # as it is
            picture, box, worn = f.celsius, f.boxes[i], attributes[1:3]
        else:
            c = Canvas(rng, f.celsius, f.boxes[i], f.landmarks[i])
            worn = dress(rng, c, attributes)
            picture, box = photographed(rng, c)
        box = box.copy()
        if worn[1] == 1 and rng.random() < 0.2:  # only what is seen of a face may be found
            box[3] *= rng.uniform(0.75, 1)
        box[:2] += rng.normal(0, JITTER, 2) * box[2:]
        grown = box[2:] * np.exp(rng.normal(0, JITTER, 2))
        box = np.r_[box[:2] + (box[2:] - grown) / 2, grown]
        picture, _ = cut(picture, box, np.radians(rng.normal(0, 8)))
        return normalise_cut(picture * np.exp(rng.normal(0, 0.3))).astype(np.float16), worn.astype(np.int8)


def paint(args):
    cv2.setNumThreads(1)
    frames = data.load(args.shared, lambda d: d in args.devices.split(","), data.read_found([args.found] if args.found else []))
    faces = Faces(frames, data.People(args.people), args.seed)
    cuts, worn = zip(*(faces.sample() for _ in range(args.samples)))
    np.savez(args.out, cuts=np.stack(cuts), worn=np.stack(worn))


def drawn(rng, cuts, worn):
    """A batch: mirrored, a little stronger or weaker, with noise, as no cut-out was stored."""
    at = rng.integers(0, len(cuts), BATCH)
    x, y = cuts[at].astype(np.float32), worn[at].astype(np.float32)
    flip = rng.random(BATCH) < 0.5
    x[flip] = x[flip, :, ::-1]
    x = x / np.sqrt(np.maximum(1e-3, 1 - (x / 3) ** 2)) * np.exp(rng.normal(0, 0.15, (BATCH, 1, 1))).astype(np.float32)
    x = x + 0.03 * rng.standard_normal(x.shape, np.float32)
    x = x / np.sqrt(1 + (x / 3) ** 2)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


def train(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    banks = [np.load(p) for p in args.cuts]
    cuts, worn = (np.concatenate([b[k] for b in banks]) for k in ("cuts", "worn"))
    rng, net = np.random.default_rng(args.seed), Worn().to(memory_format=torch.channels_last)
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=args.steps)
    start, total = time.time(), 0
    for step in range(1, args.steps + 1):
        x, y = drawn(rng, cuts, worn)
        loss = F.binary_cross_entropy_with_logits(net(x), y.clamp(min=0) * 0.96 + 0.02, reduction="none")
        loss = (loss * (y >= 0)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        keep = min(0.998, 1 - 1 / step ** 0.8)
        for k, v in net.state_dict().items():
            average[k] = v if not v.dtype.is_floating_point else average[k] * keep + v.detach() * (1 - keep)
        total += float(loss)
        if step % 200 == 0:
            print(f"{step} {time.time() - start:.0f} s loss {total / 200:.4f}", flush=True)
            total = 0
    torch.save(average, args.out)


def load(weights):
    net = Worn()
    net.load_state_dict(torch.load(weights))
    return net.eval()


def labelled(frames, found):
    """Cut-outs of the boxes found that meet a labelled face, with whether it wears glasses: 1, 0, or -1 where unknown."""
    for f in frames:
        for box, score in found.get((f.name, f.index), []):
            known = [(data.iou(b, box), a[1]) for b, a in zip(f.boxes, f.attributes)] + [(data.iou(b, box), -1) for b in f.ignore]
            overlap, glasses = max(known, default=(0, -1))
            if score >= 0.7 and overlap > 0.4:
                yield normalise_cut(cut(f.celsius, box)[0]).astype(np.float32), glasses


def test(args):
    """Prints what share of faces would be told to wear something, by the logit from which on it is told."""
    torch.set_num_threads(1)
    net, found = load(args.weights), data.read_found([args.found])
    frames = data.load(args.shared, lambda d: d in args.devices.split(","))
    real, has = map(np.array, zip(*labelled(frames, found)))
    faces = Faces(frames, None, args.seed)
    painted, worn = map(np.array, zip(*(faces.sample() for _ in range(2500))))
    with torch.no_grad():
        real, painted = (net(torch.from_numpy(x.astype(np.float32))[:, None]).numpy() for x in (real, painted))
    print(f"{len(real)} real faces, {(has == 1).sum()} with glasses, {(has == 0).sum()} without; {(worn[:, 1] == 1).sum()} painted masks")
    print("least | mask: real bare, painted, painted bare | glasses: real, real without, painted")
    for least in np.arange(0, 5, 0.25):
        told, drawn = real > least, painted > least
        print(f"{least:.2f} |", *(f"{100 * x.mean():5.1f}" for x in (told[:, 1], drawn[worn[:, 1] == 1, 1], drawn[worn[:, 1] == 0, 1])), "|",
              *(f"{100 * x.mean():5.1f}" for x in (told[has == 1, 0], told[has == 0, 0], drawn[worn[:, 0] == 1, 0])))


def export(args):
    torch.onnx.export(load(args.weights).flat(), torch.zeros(1, 1, CUT_HEIGHT, CUT_WIDTH), args.out, input_names=["face"], output_names=["worn"], opset_version=11)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    do = ap.add_subparsers(required=True)
    p = do.add_parser("paint")
    p.set_defaults(do=paint)
    p.add_argument("shared")
    p.add_argument("out")
    p.add_argument("devices")
    p.add_argument("--people", nargs="*", default=[])
    p.add_argument("--found")
    p.add_argument("--samples", type=int, default=60000)
    p.add_argument("--seed", type=int, default=1)
    p = do.add_parser("train")
    p.set_defaults(do=train)
    p.add_argument("out")
    p.add_argument("cuts", nargs="+")
    p.add_argument("--steps", type=int, default=5000)
    p.add_argument("--seed", type=int, default=1)
    p = do.add_parser("test")
    p.set_defaults(do=test)
    p.add_argument("shared")
    p.add_argument("weights")
    p.add_argument("devices")
    p.add_argument("--found", required=True)
    p.add_argument("--seed", type=int, default=777)
    p = do.add_parser("export")
    p.set_defaults(do=export)
    p.add_argument("out")
    p.add_argument("weights")
    args = ap.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
