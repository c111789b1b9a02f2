"""Where on the body map a lesion is put of which only the site and the side are known."""

from dataclasses import dataclass

from patients.codes import BodySite, Laterality, MapView

MIDDLE = 0.5


@dataclass(frozen=True)
class Place:
    view: MapView
    x: float
    y: float


@dataclass(frozen=True)
class SitePlace:
    """`offset`: how far from the middle the left and the right one are. Paired sites have nothing in the middle."""

    view: MapView
    y: float
    offset: float
    is_paired: bool = False


SITES = {
    BodySite.SCALP: SitePlace(MapView.BACK, 0.04, 0.04),
    BodySite.FACE: SitePlace(MapView.FRONT, 0.08, 0.04),
    BodySite.EAR: SitePlace(MapView.FRONT, 0.075, 0.09, is_paired=True),
    BodySite.LIP: SitePlace(MapView.FRONT, 0.105, 0.02),
    BodySite.NECK: SitePlace(MapView.FRONT, 0.145, 0.03),
    BodySite.CHEST: SitePlace(MapView.FRONT, 0.25, 0.09),
    BodySite.ABDOMEN: SitePlace(MapView.FRONT, 0.40, 0.08),
    BodySite.BACK: SitePlace(MapView.BACK, 0.30, 0.08),
    BodySite.BUTTOCK: SitePlace(MapView.BACK, 0.49, 0.09),
    BodySite.GENITAL: SitePlace(MapView.FRONT, 0.50, 0.02),
    BodySite.UPPER_ARM: SitePlace(MapView.FRONT, 0.29, 0.205, is_paired=True),
    BodySite.FOREARM: SitePlace(MapView.FRONT, 0.425, 0.285, is_paired=True),
    BodySite.HAND: SitePlace(MapView.BACK, 0.505, 0.345, is_paired=True),
    BodySite.PALM: SitePlace(MapView.FRONT, 0.505, 0.345, is_paired=True),
    BodySite.THIGH: SitePlace(MapView.FRONT, 0.58, 0.11, is_paired=True),
    BodySite.LOWER_LEG: SitePlace(MapView.FRONT, 0.77, 0.10, is_paired=True),
    BodySite.FOOT: SitePlace(MapView.FRONT, 0.885, 0.09, is_paired=True),
    BodySite.SOLE: SitePlace(MapView.BACK, 0.885, 0.09, is_paired=True),
    BodySite.NAIL: SitePlace(MapView.FRONT, 0.525, 0.325, is_paired=True),
}


def place_of(site: str, laterality: str) -> Place | None:
    """None where a paired site is said to be in the middle."""
    known = SITES[BodySite(site)]
    if laterality == Laterality.MIDLINE:
        return None if known.is_paired else Place(known.view, MIDDLE, known.y)
    # Seen from the front, the patient's left is on the right of the map; from behind, on its left.
    to_the_right = (laterality == Laterality.LEFT) == (known.view == MapView.FRONT)
    return Place(known.view, MIDDLE + (known.offset if to_the_right else -known.offset), known.y)
