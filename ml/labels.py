"""The seven classes of HAM10000, in the order of the network's outputs."""

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")

DIAGNOSIS_NAMES: dict[str, str] = {
    "akiec": "Actinic keratosis or intraepithelial carcinoma",
    "bcc": "Basal cell carcinoma",
    "bkl": "Benign keratosis-like lesion",
    "df": "Dermatofibroma",
    "mel": "Melanoma",
    "nv": "Melanocytic nevus",
    "vasc": "Vascular lesion",
}

# Malignant or pre-malignant: akiec also holds actinic keratosis.
MALIGNANT = ("akiec", "bcc", "mel")
MALIGNANT_COLUMNS = tuple(DIAGNOSES.index(name) for name in MALIGNANT)
