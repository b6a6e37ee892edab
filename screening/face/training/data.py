"""Frames and labels of the shared folder, and the augmentation that turns them into training samples."""
import csv
import json
import os

import cv2
import numpy as np

from surroundings import HEIGHT, WIDTH, Surroundings

PEOPLE = 0.35  # share of pictures of people that are of people who don't exist
WIDE = 0.28  # share of pictures far from any gate, before painted surroundings
COLDEST_SKIN, HOTTEST_SKIN = 5, 50  # °C, as in ../skin.go
LEAST_CONTRAST = 0.6  # K between a face and what is around it, from where on it can be told
SMALLEST = 13  # pixels; what is smaller has nothing that tells it from a lamp
POSES = {"frontal": 0, "down": 0, "threequarter": 1, "profile": 2}
FROM_THE_SIDE = 2.5  # times as often drawn as others: frames with a face in profile, of which there is one in fifteen
ORDER = np.array([1, 0, 2, 4, 3])  # landmarks after mirroring

# How far the eyes and the nose of faces_dense.csv lie from those marked by hand (eyes.csv), in widths of the face.
EYES_OFF = np.array([[0.02, 0.06], [-0.03, 0.06], [0.02, 0.06]])
# How much of the height of its boxes is hat where there is one, against five boxes drawn by hand.
HAT = 0.22


class Frame:
    """One upright picture in degrees Celsius with its faces: boxes n x 4, landmarks n x 5 x 2 (nan where unknown),
    attributes n x 4 (pose, glasses, mask, forehead; -1 where unknown), and boxes that are neither face nor background, of
    recorded frames with their poses (-1 where unknown)."""
    __slots__ = "name index celsius boxes landmarks attributes ignore ignore_poses weight".split()


def read_stack(path):
    side = json.load(open(path[:-5] + ".json"))
    _, pages = cv2.imreadmulti(path, flags=cv2.IMREAD_UNCHANGED)
    stack = np.stack(pages).astype(np.float32)
    if side.get("orientation") == "transpose":
        stack = stack.transpose(0, 2, 1)
    if side["units"] == "centikelvin":
        return stack / 100 - 273.15, side
    return (stack - np.median(stack)) / 30 + 22, side  # raw Lepton counts: about 30 a degree


def load(shared, device=lambda d: True, found=None):
    """All frames of the recordings whose device the filter takes. found is what a first model finds on them, as
    read_found reads it: doubtful labels are settled by it."""
    dense, hand, eyes = {}, {}, {}
    for r in csv.DictReader(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "eyes.csv"))):
        points = [[float(r[k + "_x"]), float(r[k + "_y"])] for k in ("left_eye", "right_eye", "nose")]
        eyes.setdefault(r["name"], []).append((int(r["frame"]), np.array(points, np.float32)))
    for r in csv.DictReader(open(f"{shared}/labels/faces_dense.csv")):
        dense.setdefault((r["name"], int(r["frame"])), []).append(r)
    for r in csv.DictReader(open(f"{shared}/labels/faces.csv")):
        hand.setdefault((r["name"], int(r["frame"])), []).append(r)
    frames = []
    for r in csv.DictReader(open(f"{shared}/labels/recordings.csv")):
        if not device(r["device"]):
            continue
        stack, _ = read_stack(f"{shared}/recordings/{r['name']}.tiff")
        for i, celsius in enumerate(stack):
            frames.append(labelled(r["name"], i, np.ascontiguousarray(celsius),
                                   dense.get((r["name"], i), []), hand.get((r["name"], i))))
        for f in frames[-len(stack):]:
            f.weight = len(stack) ** -0.5
            if found:
                settle(f, found.get((f.name, f.index), []))
            if (f.attributes[:, 0] == POSES["profile"]).any():
                f.weight *= FROM_THE_SIDE
        for at, points in eyes.get(r["name"], []):
            mark_eyes(frames[at - len(stack)], points)
    return frames


def read_found(paths):
    """What predict.py found: boxes and scores of each frame of a recording."""
    found = {}
    for path in paths:
        for line in open(path):
            d = json.loads(line)
            found[d["source"].removesuffix(".tiff"), d["frame"]] = boxes_and_scores(d["faces"])
    return found


def boxes_and_scores(faces):
    return [(np.array([f[k] for k in "xywh"]), f["score"]) for f in faces]


def settle(frame, found):
    """Boxes that were neither face nor background become faces where a model that never learnt from them sees one, and
    background where it sees nothing: hands, sleeves, backs. Looked at by eye: its boxes are better than theirs. Their poses are kept."""
    doubtful, settled = [], []
    for box, pose in zip(frame.ignore, frame.ignore_poses, strict=True):
        overlaps = [(iou(box, b), s, b) for b, s in found]
        # With 0.5 heads seen past the ear come in, but not where somebody said that this is a face from the side.
        least = 0.35 if pose == POSES["profile"] else 0.6
        sure = [(b, pose) for o, s, b in overlaps if s >= least and o >= 0.15]
        if sure:
            settled += sure
        elif max(box[2:]) < SMALLEST or any(o >= 0.2 and s >= 0.25 for o, s, _ in overlaps):
            doubtful.append(box)
    settled = [s for s in settled if all(iou(s[0], o) < 0.3 for o in frame.boxes)]
    settled = [s for i, s in enumerate(settled) if all(iou(s[0], o) < 0.3 for o, _ in settled[:i])]
    n = len(settled)
    frame.ignore = np.array(doubtful).reshape(-1, 4)
    frame.boxes = np.concatenate([frame.boxes, np.array([b for b, _ in settled]).reshape(n, 4)])
    frame.landmarks = np.concatenate([frame.landmarks, np.full((n, 5, 2), np.nan)])
    frame.attributes = np.concatenate([frame.attributes, np.array([[pose, -1, -1, -1] for _, pose in settled], float).reshape(n, 4)])


def mark_eyes(frame, points):
    """Eyes and nose marked by hand: better than those a model found, and so seen more often."""
    for box, marks in zip(frame.boxes, frame.landmarks):
        if (box[:2] < points[:2].mean(0)).all() and (points[:2].mean(0) < box[:2] + box[2:]).all():
            marks[:3] = points
            frame.weight *= 8


def box_of(r):
    return [float(r[k]) for k in "xywh"]


def iou(a, b):
    x = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    y = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return x * y / (a[2] * a[3] + b[2] * b[3] - x * y + 1e-9)


def labelled(name, index, celsius, dense, hand):
    f = Frame()
    f.name, f.index, f.celsius = name, index, celsius
    faces, ignore = [], []
    for r in dense:
        pose, covered = POSES.get(r["pose"], -1), r["covered"]
        glasses, forehead = (-1 if not covered else int(any(w in covered for w in words))
                             for words in (("glasses",), ("hat", "hair")))
        attributes = [pose, glasses, 0, forehead]  # nobody wears a mask
        marks = np.full((5, 2), np.nan)
        if r["landmarks_good"] == "yes":
            keys = "left_eye right_eye nose mouth_left mouth_right".split()
            marks = np.array([[float(r[k + "_x"]), float(r[k + "_y"])] for k in keys])
            marks[:3] -= EYES_OFF * float(r["w"])
        if r["use"] == "train":
            x, y, w, h = box_of(r)
            hat = HAT * h if "hat" in covered else 0
            faces.append(([x, y + hat, w, h - hat], marks, attributes))
        else:
            ignore.append((box_of(r), pose))
    for r in hand or []:  # drawn by hand: better than the box found by a model
        if r["kind"] == "none":
            continue
        box = box_of(r)
        near = [g for g in faces if iou(g[0], box) > 0.4]
        marks = near[0][1] if near else np.full((5, 2), np.nan)
        kind = POSES.get(r["kind"], -1)
        attributes = near[0][2] if near else [kind, -1, 0, -1]
        faces = [g for g in faces if iou(g[0], box) <= 0.4] + [(box, marks, attributes)]
        ignore = [i for i in ignore if iou(i[0], box) < 0.3]
    f.boxes = np.array([g[0] for g in faces], float).reshape(-1, 4)
    f.landmarks = np.array([g[1] for g in faces], float).reshape(-1, 5, 2)
    f.attributes = np.array([g[2] for g in faces], float).reshape(-1, 4)
    f.ignore = np.array([b for b, _ in ignore], float).reshape(-1, 4)
    f.ignore_poses = [pose for _, pose in ignore]
    return f


def normalise(celsius, level=None):
    """(T - scene level) / 8 K, bent softly towards +-4 so that a kettle or the sky costs no contrast elsewhere."""
    x = (celsius - (np.median(celsius) if level is None else level)) / 8
    return x / np.sqrt(1 + (x / 4) ** 2)


def spread(values):
    """A picture without a scale in something like degrees: its range becomes that of a person in a room."""
    low, high = np.percentile(values, [1, 99])
    return (values - low) * (16 / max(high - low, 1e-6)) + 20


def no_skin(celsius):
    return (celsius < COLDEST_SKIN) | (celsius > HOTTEST_SKIN)


def only_skin(celsius):
    """What can be no skin is hidden, see ../skin.go."""
    cold = np.where(no_skin(celsius), np.float32(COLDEST_SKIN), celsius)
    return np.where(celsius > HOTTEST_SKIN, np.float32(np.median(cold)), cold)


def contrast(picture):
    """With how many times as much contrast to look at a picture without a scale once more, see ../detector.go."""
    low, least, most, high = np.percentile(picture, [1, 10, 90, 99])
    middle = 1.2 * (most - least) / max(high - low, 1e-3)
    return 1 / max(middle, 1 / 6) if middle < 0.5 else 1


def cumulative(weights):
    return np.cumsum(weights) / np.sum(weights)


def drawn(rng, p):
    """An index drawn by the weights whose cumulative share is p."""
    return min(int(np.searchsorted(p, rng.random())), len(p) - 1)


class People:
    """Scenes drawn by people.py, put before backgrounds of their own."""

    def __init__(self, paths):
        self.scenes = []
        for path in paths:
            z = np.load(path, allow_pickle=True)
            self.scenes += zip(*(z[k] for k in ("picture", "room", "boxes", "marks", "attributes", "ignore")))
        self.cumulative = cumulative(np.ones(len(self.scenes)))

    def pick(self, rng, background):
        """A scene before a background (a recorded frame), as a Frame."""
        return self.before(rng, drawn(rng, self.cumulative), background)

    def before(self, rng, i, background):
        picture, room, boxes, marks, attributes, ignore = self.scenes[i]
        warmer, filled = picture.astype(np.float32).transpose(2, 0, 1)
        side = len(filled)
        if rng.random() < 0.7:
            h, w = background.shape
            size = rng.uniform(0.6, 1) * min(h, w)
            x, y = rng.random(2) * (w - size, h - size)
            back = background[int(y):int(y + size), int(x):int(x + size)]
            back = cv2.resize(back, (side, side), interpolation=cv2.INTER_LINEAR)
            back = (back - np.median(back)) * rng.uniform(0.5, 1.2) + room
        else:
            back = np.full((side, side), room, np.float32)
        if rng.random() < 0.5:
            back = back + cv2.resize(rng.normal(0, rng.uniform(0.2, 2), (4, 4)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        f = Frame()
        f.name, f.index, f.weight = "", 0, 1
        f.celsius = cv2.GaussianBlur(warmer * filled + back * (1 - filled), (0, 0), rng.uniform(0.4, 0.8)) + rng.uniform(30, 36)
        f.boxes, f.landmarks, f.attributes, f.ignore = boxes, marks, attributes, ignore
        return f


class Sampler:
    def __init__(self, frames, seed, faces, people):
        """faces is the share of pictures drawn from frames that have one."""
        self.rng, self.share, self.people = np.random.default_rng(seed), faces, people
        self.surroundings = Surroundings(800, seed)
        self.faces = [f for f in frames if len(f.boxes)]
        self.empty = [f for f in frames if not len(f.boxes) and not len(f.ignore)]
        self.p_faces = cumulative([f.weight for f in self.faces])
        self.p_empty = cumulative([f.weight for f in self.empty])

    def pick(self, faces):
        if self.people and faces and self.rng.random() < PEOPLE:
            return self.people.pick(self.rng, self.pick(False).celsius)
        pool, p = (self.faces, self.p_faces) if faces else (self.empty, self.p_empty)
        return pool[drawn(self.rng, p)]

    def sample(self, height, width):
        """A training picture (height x width, normalised) and its labels."""
        rng = self.rng
        if rng.random() < WIDE:
            f, level = self.wide(height, width)
            return normalise(f.celsius, level + rng.normal(0, 1)), f.boxes, f.landmarks, f.attributes, f.ignore
        canvas, *labels = self.warp(self.pick(rng.random() < self.share), height, width)
        for _ in range(rng.integers(1, 5) if rng.random() < 0.4 else 0):
            self.paste(canvas, labels)
        boxes, marks, attributes, ignore = labels
        for i in range(len(boxes)):
            cover(rng, canvas, boxes[i], marks[i], attributes[i])
        canvas = weather(rng, canvas, boxes)
        things(rng, canvas, boxes)
        canvas = camera(rng, canvas)
        return canvas, boxes, marks, attributes, ignore

    def wide(self, height, width):
        """Part of a picture far from any gate as the detector looks at it, in degrees or what it takes for some, and the
        level of the whole."""
        rng = self.rng
        whole = (rng.integers(height, HEIGHT + 1), rng.integers(width, WIDTH + 1))
        canvas = self.surroundings.picture(rng, *whole)
        labels = [np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros((0, 4)), np.zeros((0, 4))]
        for _ in range(rng.choice([0, 1, 2, 4], p=[0.25, 0.4, 0.2, 0.15])):
            self.stand(canvas, labels)
        boxes, marks, attributes, ignore = labels
        for i in range(len(boxes)):
            cover(rng, canvas, boxes[i], marks[i], attributes[i])
        things(rng, canvas, boxes)
        canvas = optics(rng, canvas, 0.25)
        if rng.random() < 0.5:
            canvas = only_skin(canvas)
            level = np.median(canvas)
        else:
            canvas = grey(rng, canvas)
            level = np.median(canvas)
            if (more := contrast(canvas)) > 1 and rng.random() < 0.5:
                canvas = level + (canvas - level) * np.float32(more)
            if rng.random() < 0.15:  # looked at as if hot were black, and it is not
                canvas = 2 * level - canvas
                labels[:3] = [a[:0] for a in labels[:3]]
        f = Frame()
        f.name, f.index, f.weight = "", 0, 1
        f.celsius, (f.boxes, f.landmarks, f.attributes, f.ignore) = canvas, labels
        for i in reversed(range(len(f.boxes))):  # one that the hot things left no contrast can't be told
            x, y, w, h = f.boxes[i]
            around = canvas[int(max(0, y - h / 4)):int(y + h * 5 / 4), int(max(0, x - w / 4)):int(x + w * 5 / 4)]
            if around.size and np.ptp(np.percentile(around, [10, 90])) < LEAST_CONTRAST:
                f.ignore = np.concatenate([f.ignore, f.boxes[i:i + 1]])
                f.boxes, f.landmarks, f.attributes = (np.delete(a, i, 0) for a in (f.boxes, f.landmarks, f.attributes))
        at = np.array(whole) - (height, width)
        y, x = (int(v) for v in rng.random(2) * (at + 1))
        if len(f.boxes) and rng.random() < 0.8:
            b = f.boxes[rng.integers(len(f.boxes))]
            x, y = (int(np.clip(b[i] + b[i + 2] / 2 - rng.uniform(0.1, 0.9) * size, 0, most))
                    for i, size, most in ((0, width, at[1]), (1, height, at[0])))
        f.boxes, f.landmarks, f.attributes, f.ignore = move(f, np.array([[1.0, 0, -x], [0, 1, -y]]), False, height, width)
        f.celsius = canvas[y:y + height, x:x + width]
        return f, level

    def stand(self, canvas, labels):
        """Puts people into a picture in °C, where they hide no face that is there."""
        rng = self.rng
        height, width = canvas.shape
        f, filled = self.invented() if self.people and rng.random() < 0.5 else self.cut_out()
        part = f.celsius * np.float32(np.exp(rng.normal(0.1, 0.3))) + np.float32(rng.uniform(27, 37))
        size = max(f.boxes[rng.integers(len(f.boxes))][2:]) if len(f.boxes) else 0.3 * min(part.shape)
        scale = min(3, np.exp(rng.uniform(np.log(9), np.log(0.5 * min(height, width)))) / size)
        if scale < 0.8:
            part, filled = (cv2.GaussianBlur(a, (0, 0), 0.45 / scale) for a in (part, filled))
        flip, aspect, turn = -1 if rng.random() < 0.5 else 1, np.exp(rng.normal(0, 0.06)), np.radians(rng.normal(0, 5))
        a = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([flip * aspect, 1 / aspect])
        middle = f.boxes[0][:2] + f.boxes[0][2:] / 2 if len(f.boxes) else np.array(part.shape[::-1]) / 2
        for _ in range(4):
            m = np.hstack([a, (rng.uniform(0.03, 0.97, 2) * (width, height) - a @ middle)[:, None]])
            there = np.clip(cv2.warpAffine(filled, m, (width, height)), 0, 1)
            if all(there[int(max(0, y)):int(max(0, y + h)), int(max(0, x)):int(max(0, x + w))].sum() < 0.1 * w * h for x, y, w, h in [*labels[0], *labels[3]]):
                break
        else:
            return
        there *= rng.choice([1, rng.uniform(0.9, 1)])
        canvas += (cv2.warpAffine(part, m, (width, height), borderMode=cv2.BORDER_REPLICATE) - canvas) * there
        for j, new in enumerate(move(f, m, flip < 0, height, width)):
            labels[j] = np.concatenate([labels[j], new])

    def invented(self):
        """People who don't exist, in K against their skin, and how much of each pixel they fill."""
        picture, _, *labels = self.people.scenes[drawn(self.rng, self.people.cumulative)]
        f = Frame()
        f.boxes, f.landmarks, f.attributes, f.ignore = labels
        f.celsius, filled = picture.astype(np.float32).transpose(2, 0, 1)
        return f, filled

    def cut_out(self):
        """A person of a recording, or a part without the face, in K against their skin, and how much of each pixel they
        fill: softly, all that is nearer to skin than to the room, or all that is around."""
        rng = self.rng
        frame = self.faces[drawn(rng, self.p_faces)]
        b = x, y, w, h = frame.boxes[rng.integers(len(frame.boxes))]
        left, above, right, below = rng.uniform([0.3, 0.1, 0.3, 0.1], [1.5, 0.6, 1.5, 2.5])
        low, high = np.array([x - left * w, y - above * h]), np.array([x + (1 + right) * w, y + (1 + below) * h])
        if rng.random() < 0.25:  # a neck, a shoulder, a sleeve, a chest
            low[1] = y + rng.uniform(0.8, 1.2) * h
            high[1] = low[1] + rng.uniform(0.6, 2) * h
        size = np.array(frame.celsius.shape[::-1])
        low, high = np.maximum(low, 0).astype(int), np.minimum(high, size).astype(int)
        if (high - low < 8).any():
            return self.cut_out()
        part = frame.celsius[low[1]:high[1], low[0]:high[0]]
        region = np.array([*low, *(high - low)], float)
        seen, doubtful = (np.array([overlap(o, region) for o in boxes]) for boxes in (frame.boxes, frame.ignore))
        f = Frame()
        keep = seen > 0.75
        skin = face_level(frame, b)
        f.celsius, f.boxes = part - skin, frame.boxes[keep] - [*low, 0, 0]
        f.landmarks, f.attributes = frame.landmarks[keep] - low, frame.attributes[keep].copy()
        f.ignore = np.concatenate([frame.boxes[(seen > 0.15) & ~keep], frame.ignore[doubtful > 0.1] if len(doubtful) else frame.ignore]) - [*low, 0, 0]
        filled = np.ones_like(part)
        if rng.random() < 0.85:
            room = np.percentile(frame.celsius, 25)
            start, ramp = rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)
            filled = np.clip(((part - room) / max(skin - room, 1) - start) / ramp, 0, 1)
            filled = cv2.morphologyEx(filled, cv2.MORPH_CLOSE, np.ones((3, 3)))
            for x, y, w, h in [*f.boxes, *f.ignore]:  # glasses and cold noses belong to the face
                head = np.zeros_like(part)
                cv2.ellipse(head, (int(x + w / 2), int(y + 0.48 * h)), (int(0.46 * w), int(0.52 * h)), 0, 0, 360, 1, -1)
                filled = np.maximum(filled, cv2.GaussianBlur(head, (0, 0), 0.06 * w + 0.3))
        edge = np.zeros_like(part)
        rim = max(1, int(rng.choice([0.02, 0.06]) * min(part.shape)))
        edge[rim:-rim, rim:-rim] = 1
        return f, filled * cv2.blur(edge, (2 * rim + 1, 2 * rim + 1))

    def warp(self, f, height, width):
        """A frame moved, turned and scaled onto a canvas, around one of its faces or around anything else."""
        rng = self.rng
        h, w = f.celsius.shape
        if len(f.boxes) and rng.random() < 0.85:
            b = f.boxes[rng.integers(len(f.boxes))]
            face = max(b[2:])
            target = np.exp(rng.uniform(np.log(11), np.log(0.95 * min(height, width))))
            if rng.random() < 0.4:
                target = face * np.exp(rng.uniform(-0.35, 0.35))
            scale = np.clip(target / face, 0.2, 4)
            centre = b[:2] + b[2:] / 2
        else:
            scale, centre = np.exp(rng.uniform(-1, 0.9)), rng.random(2) * (w, h)
        turn = np.radians(rng.normal(0, 6) if rng.random() < 0.85 else rng.uniform(-28, 28))
        aspect = np.exp(rng.normal(0, 0.08))
        flip = -1 if rng.random() < 0.5 else 1
        a = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([flip * aspect, 1 / aspect])
        to = rng.uniform(0.03, 0.97, 2) * (width, height)
        m = np.hstack([a, (to - a @ centre)[:, None]])
        picture = f.celsius
        if scale < 0.8:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.45 / scale)
        kind = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        out = cv2.warpAffine(picture, m, (width, height), flags=kind, borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < 0.5 and scale * max(h, w) < 1.3 * max(height, width):
            inside = cv2.warpAffine(np.ones_like(picture), m, (width, height), flags=cv2.INTER_LINEAR)
            back = cv2.warpAffine(self.pick(False).celsius, np.array([[1.3, 0, -10 * rng.random()], [0, 1.3, -10 * rng.random()]]),
                                  (width, height), borderMode=cv2.BORDER_REFLECT)
            out = out * inside + back * (1 - inside)
        return (out, *move(f, m, flip < 0, height, width))

    def paste(self, canvas, labels):
        """Part of another picture into the canvas: a head and shoulders, so that groups are known, or a sleeve, a neck,
        a shoulder without a face."""
        rng = self.rng
        height, width = canvas.shape
        f = self.pick(True)
        if not len(f.boxes):
            return
        x, y, w, h = f.boxes[rng.integers(len(f.boxes))]
        ph, pw = f.celsius.shape
        if rng.random() < 0.65:
            dx, dy, right, down = rng.uniform(0.15, 0.8, 4)
            x0, y0, x1, y1 = x - dx * w, y - 0.5 * dy * h, x + w + right * w, y + h + down * h
        else:
            w, h = np.array([w, h]) * rng.uniform(0.6, 1.5, 2)
            x, y = x + rng.normal(0, 1.2) * w, y + rng.uniform(0.2, 1.8) * h
            x0, y0, x1, y1 = x, y, x + w, y + h
        x0, y0, x1, y1 = int(max(0, x0)), int(max(0, y0)), int(min(pw, x1)), int(min(ph, y1))
        if x1 - x0 < 8 or y1 - y0 < 8:
            return
        scale = np.exp(rng.uniform(np.log(12), np.log(0.6 * min(height, width)))) / max(w, h)
        part = f.celsius[y0:y1, x0:x1]
        if scale < 0.8:
            part = cv2.GaussianBlur(part, (0, 0), 0.45 / scale)
        pw, ph = max(4, int((x1 - x0) * scale)), max(4, int((y1 - y0) * scale))
        if pw >= width or ph >= height:
            return
        part = cv2.resize(part, (pw, ph))
        ox, oy = rng.integers(0, width - pw), rng.integers(0, height - ph)
        region = np.array([ox, oy, pw, ph], float)
        if any(overlap(b, region) > 0.15 for b in [*labels[0], *labels[3]]):
            return
        sx, sy = pw / (x1 - x0), ph / (y1 - y0)
        m = np.array([[sx, 0, ox - x0 * sx], [0, sy, oy - y0 * sy]])
        if rng.random() < 0.5:
            part = part[:, ::-1]
            m[0] = [-sx, 0, ox + pw + x0 * sx]
        soft = np.zeros((ph, pw), np.float32)
        edge = max(1, int(rng.choice([0.02, 0.06, 0.12]) * min(pw, ph)))
        soft[edge:-edge, edge:-edge] = 1
        soft = cv2.blur(soft, (2 * edge + 1, 2 * edge + 1))
        view = canvas[oy:oy + ph, ox:ox + pw]
        view += (part - view) * soft
        boxes, marks, attributes, ignore = move(f, m, m[0, 0] < 0, height, width)
        seen = np.array([overlap(b, region) for b in boxes])
        keep = seen > 0.6
        doubt = [b for b, s in zip(boxes, seen) if 0.15 < s <= 0.6] + [b for b in ignore if overlap(b, region) > 0.15]
        for j, new in enumerate((boxes[keep], marks[keep], attributes[keep], doubt)):
            if len(new):
                labels[j] = np.concatenate([labels[j], np.array(new)])


def face_level(f, box):
    """The temperature of the skin of a face."""
    x, y, w, h = box
    inside = f.celsius[int(max(0, y)):int(y + h) + 1, int(max(0, x)):int(x + w) + 1]
    return np.median(inside) if inside.size else np.median(f.celsius)


def overlap(b, region):
    """How much of b lies in region."""
    x = max(0, min(b[0] + b[2], region[0] + region[2]) - max(b[0], region[0]))
    y = max(0, min(b[1] + b[3], region[1] + region[3]) - max(b[1], region[1]))
    return x * y / max(b[2] * b[3], 1e-9)


def move(f, m, flip, height, width):
    """Labels of a frame after the affine map m; faces that are mostly out of the picture or tiny become ignored."""
    a, t = m[:, :2], m[:, 2]

    def box(b):
        centre = a @ (b[:2] + b[2:] / 2) + t
        c = np.abs(np.linalg.det(a)) ** 0.5
        sx, sy = np.hypot(*a[:, 0]), np.hypot(*a[:, 1])
        turn = abs(np.arctan2(a[1, 1], a[0, 1]) - np.pi / 2)
        w, h = b[2] * sx, b[3] * sy
        # A face is round: its box grows far less under rotation than a rectangle's would.
        k = 0.35 * np.sin(min(turn, np.pi - turn))
        return np.array([*(centre - [w * (1 - k) / 2 + h * k / 2, h * (1 - k) / 2 + w * k / 2]),
                         w * (1 - k) + h * k, h * (1 - k) + w * k])

    region = np.array([0, 0, width, height], float)
    keep, ignore = [], [box(b) for b in f.ignore]
    boxes = [box(b) for b in f.boxes]
    for i, b in enumerate(boxes):
        cx, cy = b[:2] + b[2:] / 2
        part = overlap(b, region)
        if part > 0.55 and 1 < cx < width - 1 and 1 < cy < height - 1 and max(b[2:]) >= SMALLEST:
            keep.append(i)
        elif part > 0.15:
            ignore.append(b)
    marks = f.landmarks[keep] @ a.T + t
    if flip:
        marks = marks[:, ORDER]
    return (np.array([boxes[i] for i in keep]).reshape(-1, 4), marks, f.attributes[keep].copy(),
            np.array(ignore).reshape(-1, 4))


def grid(shape):
    return np.mgrid[0:shape[0], 0:shape[1]].astype(np.float32)


def fade(canvas, mask, value, soft):
    """Blend value into canvas under mask (0..1), its edge blurred by soft pixels."""
    if soft > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), soft)
    canvas += (value - canvas) * mask


def polygon(shape, points):
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.round(np.array(points) * 8).astype(np.int32)], 1, shift=3)
    return mask


def cover(rng, canvas, box, marks, attributes):
    """Masks, beards, glasses, hats and hair, of which the recordings have few or none, painted with their own temperature.
    A hat makes box smaller."""
    x, y, w, h = box
    if min(w, h) < 10:
        return
    inside = canvas[max(0, int(y)):int(y + h), max(0, int(x)):int(x + w)]
    if inside.size < 20:
        return
    skin, room = np.percentile(inside, 75), np.percentile(canvas, 30)
    known = not np.isnan(marks[:3]).any()
    if known:
        l, r, nose = marks[0], marks[1], marks[2]
        across = (r - l) / max(np.hypot(*(r - l)), 1e-6)
        middle = (l + r) / 2
        mouth = nose + (nose - middle) * 0.75 if np.isnan(marks[3:]).any() else (marks[3] + marks[4]) / 2
    else:
        across = np.array([1.0, 0])
        middle, nose, mouth = np.array([[x + w / 2, y + f * h] for f in (0.42, 0.62, 0.8)])
    down = np.array([-across[1], across[0]])
    at = lambda o, u, v: o + across * u * w + down * v * h
    if rng.random() < 0.13 and attributes[0] < 2:
        top = rng.uniform(-0.02, 0.12)
        bridge = middle * 0.5 + nose * 0.5
        chin = rng.uniform(0.96, 1.05) * h + y
        side = rng.uniform(0.44, 0.52)
        low = np.array([mouth[0], chin])
        points = [at(bridge, 0, -top * 0.5), at(bridge, 0.2, top * 0.3), at(bridge, side, top), at(mouth, side, 0.02),
                  at(low, 0.25, -0.03), at(low, 0, 0.0), at(low, -0.25, -0.03), at(mouth, -side, 0.02), at(bridge, -side, top),
                  at(bridge, -0.2, top * 0.3)]
        mask = polygon(canvas.shape, points)
        depth = rng.uniform(-0.15, 1)  # 0 the skin's own temperature, 1 the room's
        value = np.full_like(canvas, skin + (room - skin) * depth + rng.normal(0, 0.5))
        yy, xx = grid(canvas.shape)
        value += rng.normal(0, 0.6) * (xx - mouth[0]) / w + rng.normal(0, 1.2) * (yy - mouth[1]) / h
        value += rng.normal(0, 2) * np.exp(-((xx - mouth[0]) ** 2 + (yy - mouth[1]) ** 2) / (0.12 * w) ** 2)  # breath
        for _ in range(rng.integers(0, 3)):  # folds
            v = rng.uniform(0, 0.35) * h
            value += rng.normal(0, 0.7) * np.exp(-((yy - middle[1] - 0.25 * h - v) / (0.025 * h)) ** 2)
        fade(canvas, mask * rng.uniform(0.85, 1), value, 0.015 * w)
        attributes[2] = 1
    elif rng.random() < 0.1 and attributes[0] < 2:  # a beard, the mouth free
        side, low = rng.uniform(0.36, 0.5), rng.uniform(0.98, 1.3) * h + y
        points = [at(mouth, -side, -rng.uniform(0.05, 0.2)), at(mouth, -0.2, -0.06), at(mouth, 0.2, -0.06),
                  at(mouth, side, -rng.uniform(0.05, 0.2)), [x + 0.8 * w, y + 0.95 * h], [x + 0.6 * w, low], [x + 0.4 * w, low], [x + 0.2 * w, y + 0.95 * h]]
        mask = polygon(canvas.shape, points)
        if rng.random() < 0.7:
            mask = np.maximum(0, mask - polygon(canvas.shape, [at(mouth, u, v) for u, v in ((-0.14, 0), (0, -0.03), (0.14, 0), (0, 0.05))]))
        value = skin + (room - skin) * rng.uniform(0.1, 0.9) + cv2.GaussianBlur(rng.normal(0, 1, canvas.shape).astype(np.float32), (0, 0), 0.04 * w)
        fade(canvas, mask, value, rng.uniform(0.01, 0.04) * w)
    if rng.random() < 0.12 and attributes[0] < 2 and attributes[1] <= 0 and known:
        mask = np.zeros_like(canvas)
        a, b = rng.uniform(0.13, 0.22), rng.uniform(0.07, 0.13)
        for e in (marks[0], marks[1]):
            if rng.random() < 0.5:
                angle = float(np.degrees(np.arctan2(across[1], across[0])))
                cv2.ellipse(mask, tuple(int(v * 8) for v in e), (int(a * w * 8), int(b * h * 8)), angle, 0, 360, 1, -1, shift=3)
            else:
                mask = np.maximum(mask, polygon(canvas.shape, [at(e, -a, -b), at(e, a, -b), at(e, a * 0.9, b), at(e, -a * 0.9, b)]))
        cv2.line(mask, tuple(int(v * 8) for v in marks[0]), tuple(int(v * 8) for v in marks[1]), 1, max(1, int(0.03 * w)), shift=3)
        value = skin + (room - skin) * rng.uniform(0.25, 1)
        fade(canvas, mask, value, 0.012 * w)
        attributes[1] = 1
    if rng.random() < 0.12:
        brow = middle - down * 0.1 * h
        low = rng.uniform(-0.02, 0.12)
        points = [at(brow, -0.62, -low), at(brow, -0.3, -low - rng.uniform(-0.03, 0.06)), at(brow, 0.3, -low - rng.uniform(-0.03, 0.06)),
                  at(brow, 0.62, -low), at(brow, 0.6, -0.5), at(brow, 0.3, -0.65), at(brow, -0.3, -0.65), at(brow, -0.6, -0.5)]
        depth = rng.uniform(0.2, 1.1)
        value = skin + (room - skin) * depth + cv2.resize(rng.normal(0, rng.uniform(0, 2), (9, 9)).astype(np.float32),
                                                          canvas.shape[::-1], interpolation=cv2.INTER_CUBIC)
        fade(canvas, polygon(canvas.shape, points), value, rng.uniform(0.01, 0.05) * w)
        attributes[3] = 1
        hidden = np.clip(brow[1] - low * h - y, 0, 0.45 * h)  # boxes are of what is seen of a face
        box += [0, hidden, 0, -hidden]


def weather(rng, canvas, boxes):
    """Another room, other people: the background's temperature, the skin's, cold noses, warm days."""
    if len(boxes):
        x, y, w, h = boxes[rng.integers(len(boxes))]
        inside = canvas[max(0, int(y)):max(1, int(y + h)), max(0, int(x)):max(1, int(x + w))]
        skin = np.percentile(inside, 35) if inside.size else np.median(canvas) + 8
    else:
        skin = np.median(canvas) + 8
    if rng.random() < 0.5:  # what is colder than skin comes nearer to it, goes further, or becomes warmer
        gain = rng.uniform(0.35, 1.8) if rng.random() < 0.8 else rng.uniform(-0.6, 0.35)
        pivot = skin - rng.uniform(0, 2)
        below = np.minimum(canvas - pivot, 0)
        canvas = canvas + (gain - 1) * below
    if rng.random() < 0.5:
        canvas = skin + (canvas - skin) * np.exp(rng.uniform(np.log(0.5), np.log(2)))
    yy, xx = grid(canvas.shape)
    if rng.random() < 0.08:  # sky or a cold window behind, away from the faces
        edge = rng.uniform(0, 0.7) * canvas.shape[0]
        free = np.ones_like(canvas)
        for x, y, w, h in boxes:
            free *= 1 - np.exp(-((xx - x - w / 2) / w) ** 4 - ((yy - y - h) / (1.4 * h)) ** 4)
        fade(canvas, free * (yy < edge), rng.uniform(-30, 15), rng.uniform(0.5, 3))
    for x, y, w, h in boxes:
        if rng.random() < 0.25:  # nose and cheeks in from the frost, or flushed
            cx, cy = x + w * rng.uniform(0.4, 0.6), y + h * rng.uniform(0.5, 0.7)
            canvas = canvas + rng.normal(-1.5, 2.5) * np.exp(-((xx - cx) / (rng.uniform(0.1, 0.3) * w)) ** 2
                                                             - ((yy - cy) / (rng.uniform(0.1, 0.25) * h)) ** 2).astype(np.float32)
        if rng.random() < 0.15:  # warmer on one side
            canvas = canvas + (rng.normal(0, 1.5) * np.tanh((xx - x - w / 2) / w)).astype(np.float32)
    return canvas


def things(rng, canvas, boxes):
    """Hot and cold objects: lamps, kettles, cups, radiators, windows, reference discs, sky."""
    shape = canvas.shape
    for _ in range(rng.integers(1, 5) if rng.random() < 0.45 else 0):
        kind = rng.integers(4)
        size = np.exp(rng.uniform(np.log(4), np.log(0.5 * min(shape))))
        w, h = size * np.exp(rng.normal(0, 0.5, 2))
        x, y = rng.random(2) * (shape[1], shape[0])
        region = np.array([x - w / 2, y - h / 2, w, h])
        if any(overlap(b, region) > 0.05 or overlap(region, b) > 0.05 for b in boxes):
            continue
        mask = np.zeros(shape, np.float32)
        p, q = (int(x - w / 2), int(y - h / 2)), (int(x + w / 2), int(y + h / 2))
        value = rng.choice([rng.uniform(25, 45), rng.uniform(30, 38), np.exp(rng.uniform(3.7, 5)), rng.uniform(-25, 15)], p=[0.2, 0.2, 0.4, 0.2])
        if kind == 0:
            cv2.ellipse(mask, (int(x), int(y)), (int(w / 2) + 1, int(h / 2) + 1), rng.uniform(0, 180), 0, 360, 1, -1)
        elif kind == 1:
            cv2.rectangle(mask, p, q, 1, -1)
        elif kind == 2:  # ribs of a radiator, bars, blinds
            for i in range(rng.integers(2, 8)):
                u = p[0] + int(i * max(2, w / 6))
                cv2.rectangle(mask, (u, p[1]), (u + max(1, int(w / 12)), q[1]), 1, -1)
        else:  # the disc on its box
            cv2.rectangle(mask, p, q, 1, -1)
            fade(canvas, mask, np.median(canvas) + rng.normal(0, 2), 0.5)
            mask[:] = 0
            cv2.circle(mask, (int(x), int(y)), max(2, int(0.35 * min(w, h))), 1, -1)
        fade(canvas, mask, value, rng.choice([0.4, 0.8, 0.1 * size]))


def optics(rng, canvas, noise=0.4):
    """Lens and sensor of some other camera, with noise of up to so many degrees."""
    shape = canvas.shape
    if rng.random() < 0.35:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.4, 1.5))
    elif rng.random() < 0.2:
        canvas = canvas + rng.uniform(0.3, 1.2) * (canvas - cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 3)))
    if rng.random() < 0.3:
        yy, xx = grid(shape)
        r = ((xx / shape[1] - rng.uniform(0.3, 0.7)) ** 2 + (yy / shape[0] - rng.uniform(0.3, 0.7)) ** 2) * 2
        canvas = canvas + rng.normal(0, 1.5) * r
    if rng.random() < 0.2:
        canvas = canvas + rng.normal(0, 0.15, (1, shape[1])) + rng.normal(0, 0.1, (shape[0], 1))
    canvas = canvas + rng.standard_normal(shape, np.float32) * np.exp(rng.uniform(np.log(0.02), np.log(noise)))
    return canvas.astype(np.float32)


def grey(rng, canvas):
    """A picture without a scale: stretched, bent, or with large differences taken back."""
    low, high = np.percentile(canvas, [rng.uniform(0, 3) if rng.random() < 0.7 else 0, rng.uniform(97, 100)])
    grey = np.clip((canvas - low) / max(high - low, 0.5), 0, 1)
    kind = rng.random()
    if kind < 0.2:
        grey = grey ** np.exp(rng.normal(0, 0.35))
    elif kind < 0.35:
        tiles = int(rng.integers(1, 5))
        grey = cv2.createCLAHE(rng.uniform(1, 6), (tiles, tiles)).apply(np.uint8(grey * 255)) / 255
    elif kind < 0.6:  # the more pixels have a level, the more contrast it gets, but no more than some
        count = np.bincount((grey * 1023).astype(int).ravel(), minlength=1024) / grey.size
        curve = np.cumsum(np.minimum(count, np.exp(rng.uniform(np.log(0.001), np.log(0.03)))))
        part = rng.uniform(0.4, 1)
        grey = grey * (1 - part) + part * (curve / curve[-1])[(grey * 1023).astype(int)]
    elif kind < 0.75:  # edges before areas
        base = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.02, 0.1) * len(grey))
        grey = np.clip(0.5 + rng.uniform(0.3, 0.9) * (base - 0.5) + rng.uniform(1, 4) * (grey - base), 0, 1)
    if rng.random() < 0.25:
        grey = np.clip(grey + rng.uniform(0.3, 1.2) * (grey - cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.8, 2))), 0, 1)
    return spread(np.round(grey * 255).astype(np.float32))


def camera(rng, canvas):
    """Optics, sensor and scaling of some other camera; the result is normalised."""
    canvas = optics(rng, canvas)
    if rng.random() < 0.35:
        canvas = grey(rng, canvas)
    elif rng.random() < 0.9:
        canvas = only_skin(canvas)
    x = normalise(canvas)
    return (x + rng.normal(0, 0.35)).astype(np.float32) if rng.random() < 0.7 else x.astype(np.float32)
