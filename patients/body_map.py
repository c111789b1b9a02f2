"""The body as the map draws it, 100 wide and 200 high from the front and from behind: what is on it, and where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from django.utils.translation import gettext as _

from patients.codes import BodySite, Laterality, MapView
from skinclinic.errors import ClinicError
from skinclinic.text import in_sentence

WIDTH, HEIGHT = 100, 200
MIDDLE = WIDTH / 2
STEPS = 12  # straight pieces that a curve of the outline is taken for
# How far from its drawn place a site may lie: bodies differ, and so do fingers.
REACH = 6
# A mark so close to the middle line may be of either side.
EITHER_SIDE = 4
# Beyond this, nothing lies in the middle.
MIDLINE = 8
# An SVG path, with a space between any two of its parts.
OUTLINE = (
    "M 50 4 c 6.2 0 9.5 4.6 9.5 10.5 0 4.8 -1.8 9.2 -4.5 11.5 v 4.5 c 0 2 1.5 3 4 3.8 4.5 1.4 9.5 2.2 12 5.7 2.6 "
    "3.8 2.8 10 3.6 16.5 .8 6 1.9 11 3.2 17.5 1.6 7.5 3.4 14 4.7 20.5 .5 2.4 2.3 5.2 2.6 7.8 .3 2.7 -.7 5.7 -2.6 "
    "5.9 -2 .2 -3 -2.4 -4 -4.9 -1.1 -2.9 -2 -5.6 -3 -8.8 -2 -6.2 -4.6 -12.7 -6.6 -19.2 -1.4 -4.6 -2.3 -8.8 -3.5 "
    "-12.8 -.5 5.5 -1.7 9.7 -1.4 14.5 .3 5.8 2.6 11 3.3 18.5 .9 9.5 -.8 19 -2 28 -.9 7 -.6 11 -.9 17 -.4 8.5 -2 17 "
    "-2.9 25.5 -.2 2.3 .1 4 .7 6 .7 2.3 1.9 4.3 1.2 5.7 -.8 1.5 -6 1.5 -7.2 -.2 -1.1 -1.6 -.6 -4.6 -1 -7.3 -1.2 "
    "-9.5 -2.5 -18 -2.9 -27 -.2 -5.5 .1 -9.5 -.4 -15 -.7 -7.5 -1.6 -15 -1.9 -22.5 -.3 7.5 -1.2 15 -1.9 22.5 -.5 5.5 "
    "-.2 9.5 -.4 15 -.4 9 -1.7 17.5 -2.9 27 -.4 2.7 .1 5.7 -1 7.3 -1.2 1.7 -6.4 1.7 -7.2 .2 -.7 -1.4 .5 -3.4 1.2 "
    "-5.7 .6 -2 .9 -3.7 .7 -6 -.9 -8.5 -2.5 -17 -2.9 -25.5 -.3 -6 0 -10 -.9 -17 -1.2 -9 -2.9 -18.5 -2 -28 .7 -7.5 3 "
    "-12.7 3.3 -18.5 .3 -4.8 -.9 -9 -1.4 -14.5 -1.2 4 -2.1 8.2 -3.5 12.8 -2 6.5 -4.6 13 -6.6 19.2 -1 3.2 -1.9 5.9 "
    "-3 8.8 -1 2.5 -2 5.1 -4 4.9 -1.9 -.2 -2.9 -3.2 -2.6 -5.9 .3 -2.6 2.1 -5.4 2.6 -7.8 1.3 -6.5 3.1 -13 4.7 -20.5 "
    "1.3 -6.5 2.4 -11.5 3.2 -17.5 .8 -6.5 1 -12.7 3.6 -16.5 2.5 -3.5 7.5 -4.3 12 -5.7 2.5 -.8 4 -1.8 4 -3.8 v -4.5 "
    "c -2.7 -2.3 -4.5 -6.7 -4.5 -11.5 C 40.5 8.6 43.8 4 50 4 Z"
)


@dataclass(frozen=True)
class Region:
    """A rectangle of the map and its mirror image, as far as no earlier one has it. Its first site is proposed.

    `near` and `far` are measured from the middle line, `top` and `bottom` from the crown.
    """

    view: MapView
    near: float
    far: float
    top: float
    bottom: float
    sites: tuple[BodySite, ...]

    def holds(self, view: str, x: float, y: float) -> bool:
        return view == self.view and self.near <= abs(x - MIDDLE) <= self.far and self.top <= y <= self.bottom


FAR = WIDTH / 2
HEAD = [
    (0, FAR, 0, 8, (BodySite.SCALP,)),
    (7, FAR, 8, 20, (BodySite.EAR,)),
]
ARM = [
    (15, FAR, 34, 62, (BodySite.UPPER_ARM,)),
    (16.5, FAR, 62, 72, (BodySite.UPPER_ARM,)),
    (18.5, FAR, 72, 94, (BodySite.FOREARM,)),
]
LEG = [
    (0, FAR, 104, 138, (BodySite.THIGH,)),
    (0, FAR, 138, 171, (BodySite.LOWER_LEG,)),
]
FRONT = [
    *HEAD,
    (0, 4.5, 19, 23.5, (BodySite.LIP,)),
    (0, FAR, 8, 26, (BodySite.FACE,)),
    (0, 13, 26, 34, (BodySite.NECK,)),
    *ARM,
    (18.5, FAR, 94, HEIGHT, (BodySite.PALM, BodySite.HAND, BodySite.NAIL)),
    (0, FAR, 34, 62, (BodySite.CHEST,)),
    (0, FAR, 62, 96, (BodySite.ABDOMEN,)),
    (0, 5, 96, 108, (BodySite.GENITAL,)),
    (5, FAR, 96, 104, (BodySite.THIGH,)),
    *LEG,
    (0, FAR, 171, HEIGHT, (BodySite.FOOT, BodySite.NAIL, BodySite.SOLE)),
]
BACK = [
    *HEAD,
    (0, FAR, 8, 25, (BodySite.SCALP,)),
    (0, 13, 25, 34, (BodySite.NECK,)),
    *ARM,
    (18.5, FAR, 94, HEIGHT, (BodySite.HAND, BodySite.PALM, BodySite.NAIL)),
    (0, FAR, 34, 88, (BodySite.BACK,)),
    (0, FAR, 88, 107, (BodySite.BUTTOCK, BodySite.GENITAL)),
    *LEG,
    (0, FAR, 171, HEIGHT, (BodySite.SOLE, BodySite.FOOT, BodySite.NAIL)),
]
REGIONS = [
    *(Region(MapView.FRONT, *place) for place in FRONT),
    *(Region(MapView.BACK, *place) for place in BACK),
]


class BesideTheBody(ClinicError):
    """A lesion lies on the body, whoever sends it."""

    def __init__(self) -> None:
        super().__init__(_("The mark is beside the body. Put it where the lesion is."))


def points_of(path: str) -> Iterator[tuple[float, float]]:
    """Of a closed path that is made of cubic curves and upright lines."""
    parts = iter(re.findall(r"[A-Za-z]|[-.\d]+", path))
    x = y = 0.0
    command, given = "", []
    for part in parts:
        if part.isalpha():
            command, given = part, []
            continue
        given.append(float(part))
        if command == "M" and len(given) == 2:
            x, y = given
        elif command == "v":
            y += given[0]
        elif command in "cC" and len(given) == 6:
            here = (x, y) if command == "c" else (0, 0)
            curve = [(x, y), *((here[0] + given[n], here[1] + given[n + 1]) for n in (0, 2, 4))]
            yield from (on_curve(curve, step / STEPS) for step in range(1, STEPS))
            x, y = curve[-1]
        else:
            continue
        given = []
        yield x, y


def on_curve(points: list[tuple[float, float]], share: float) -> tuple[float, float]:
    """De Casteljau's way."""
    while len(points) > 1:
        points = [
            (one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1]))
            for one, other in pairwise(points)
        ]
    return points[0]


POLYGON = list(points_of(OUTLINE))


def is_on_body(x: float, y: float) -> bool:
    """x and y: as a lesion keeps them, 0 to 1. Counts how often a ray to the right crosses the outline."""
    x, y = x * WIDTH, y * HEIGHT
    crossings = 0
    for (x1, y1), (x2, y2) in pairwise([*POLYGON, POLYGON[0]]):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            crossings += 1
    return crossings % 2 == 1


def proposals() -> list[tuple[str, float, float, float, float, str]]:
    """For the browser: the first of these that holds a mark names the site that it proposes."""
    return [(each.view, each.near, each.far, each.top, each.bottom, each.sites[0]) for each in REGIONS]


def sites_at(view: str, x: float, y: float) -> tuple[BodySite, ...]:
    """Those that are drawn there, the likeliest first."""
    return next((region.sites for region in REGIONS if region.holds(view, x * WIDTH, y * HEIGHT)), ())


def fits(*, site: str, laterality: str, view: str, x: float, y: float) -> bool:
    """Whether the site and its side are about where the mark is."""
    around = [(dx, dy) for dx in (-REACH, 0, REACH) for dy in (-REACH, 0, REACH)]
    near = any(site in sites_at(view, x + dx / WIDTH, y + dy / HEIGHT) for dx, dy in around)
    return near and laterality in sides_at(view, x)


def place_in_words(view: str, x: float, y: float) -> str:
    """Such as “Face, left”; as `bodymap.js` proposes it."""
    off = off_middle(view, x)
    side = Laterality.MIDLINE if abs(off) < EITHER_SIDE else Laterality.LEFT if off > 0 else Laterality.RIGHT
    sites = sites_at(view, x, y)
    return f"{sites[0].label}, {in_sentence(str(side.label))}" if sites else str(side.label)


def off_middle(view: str, x: float) -> float:
    """To the patient's left: seen from the front that is on the right of the map, from behind on its left."""
    return (x * WIDTH - MIDDLE) * (1 if view == MapView.FRONT else -1)


def sides_at(view: str, x: float) -> set[str]:
    off = off_middle(view, x)
    sides: set[str] = {Laterality.MIDLINE} if abs(off) <= MIDLINE else set()
    if off > -EITHER_SIDE:
        sides.add(Laterality.LEFT)
    if off < EITHER_SIDE:
        sides.add(Laterality.RIGHT)
    return sides
