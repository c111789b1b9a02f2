"""Where on the skin, in SNOMED CT: what our sites are called outside, and which codes of others we know.

The codes are those of pydicom's dictionary. One that covers two of our sites (hand, lower limb) goes out where there is
none that is closer, and is not understood when it comes in: it does not say which of the two is meant.
"""

from collections import Counter
from collections.abc import Mapping

from patients.codes import BodySite, Laterality

Coded = tuple[str, str]

LATERALITY: Mapping[str, Coded] = {Laterality.LEFT: ("7771000", "Left"), Laterality.RIGHT: ("24028007", "Right")}
# Where there is none for the site itself, that of the limb it belongs to; else of skin.
SITES: Mapping[str, Coded] = {
    BodySite.SCALP: ("43067004", "Skin structure of scalp"),
    BodySite.FACE: ("73897004", "Skin structure of face"),
    BodySite.EAR: ("1902009", "Skin structure of ear"),
    BodySite.LIP: ("88089004", "Skin structure of lip"),
    BodySite.NECK: ("43081002", "Skin structure of neck"),
    BodySite.CHEST: ("74160004", "Skin structure of chest"),
    BodySite.ABDOMEN: ("75093004", "Skin structure of abdomen"),
    BodySite.BACK: ("66643007", "Skin structure of back"),
    BodySite.BUTTOCK: ("22180002", "Skin structure of buttock"),
    BodySite.GENITAL: ("60944009", "Skin structure of external genitalia"),
    BodySite.UPPER_ARM: ("371311000", "Skin structure of upper limb"),
    BodySite.FOREARM: ("371311000", "Skin structure of upper limb"),
    BodySite.HAND: ("33712006", "Skin structure of hand"),
    BodySite.PALM: ("70887009", "Skin structure of palmar area of hand"),
    BodySite.THIGH: ("371304004", "Skin structure of lower limb"),
    BodySite.LOWER_LEG: ("371304004", "Skin structure of lower limb"),
    BodySite.FOOT: ("60496002", "Skin structure of foot"),
    BodySite.SOLE: ("60496002", "Skin structure of foot"),
}
SKIN: Coded = ("39937001", "Skin structure")
# Parts of a site of ours, by which others call it.
PARTS: Mapping[BodySite, tuple[str, ...]] = {
    BodySite.FACE: ("36141000", "68698007", "113179006", "23747009", "41310005", "40069000"),
    BodySite.LIP: ("16251004", "66934001"),
    BodySite.ABDOMEN: ("699935000", "699914002"),
    BodySite.BACK: ("113182001",),
    BodySite.UPPER_ARM: ("45981001", "72939005"),
    BodySite.FOREARM: ("70559009", "41550009"),
    BodySite.HAND: ("281642007",),
    BodySite.PALM: ("26795005", "89784008"),
    BodySite.THIGH: ("61248009", "4578000", "73958006"),
    BodySite.LOWER_LEG: ("25763004", "47224004"),
    BodySite.SOLE: ("35739000", "52953006"),
    BodySite.NAIL: ("770809003", "770810008", "770805009", "770822006"),
}
# They cover a site of ours whole and another one's as well.
COVERS_MORE = frozenset({"33712006", SKIN[0]})


def sites_by_code() -> dict[str, BodySite]:
    used = Counter(code for code, _ in SITES.values())
    alone = {code: BodySite(site) for site, (code, _) in SITES.items() if used[code] == 1 and code not in COVERS_MORE}
    return alone | {code: site for site, codes in PARTS.items() for code in codes}


SITE_OF = sites_by_code()
SIDE_OF = {code: Laterality(side) for side, (code, _) in LATERALITY.items()}
