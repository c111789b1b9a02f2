"""The predictor of the worker: LiteRT, one thread, no TensorFlow."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ml import quality
from ml.cautions import Ground
from ml.contract import ManifestMismatch, Reading
from ml.domain import load_domain
from ml.golden import check_golden
from ml.labels import DIAGNOSES, MALIGNANT_COLUMNS
from ml.manifest import NETWORK_FILE, VERSION, Calibration, Manifest, load_manifest
from ml.preprocess import SIDE, open_photograph, to_input, to_square
from ml.views import Answer, look

MODELS = Path(__file__).parent / "models"
SMALLEST = 1e-6

_MALIGNANT = np.isin(np.arange(len(DIAGNOSES)), MALIGNANT_COLUMNS)


class Network:
    """The LiteRT graph: one square in, its Answer out. Not safe for use by several threads."""

    def __init__(self, path: Path) -> None:
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            # The tensors by the signature's names, and then without its runner, which takes 2 % longer.
            signature = interpreter.get_signature_runner()
            (self._input,) = (tensor["index"] for tensor in signature.get_input_details().values())
            outputs = signature.get_output_details()
            self._outputs = {name: outputs[name]["index"] for name in Answer._fields}
            del signature  # it holds the memory that is laid out next
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError, KeyError) as error:
            raise ManifestMismatch(
                f"{path} is no network that LiteRT can run and this program knows. Install both of the same release."
            ) from error
        self._interpreter = interpreter
        self(np.zeros((SIDE, SIDE, 3), dtype=np.uint8))  # memory is laid out at the first run; not in a reading

    def __call__(self, square: np.ndarray) -> Answer:
        """square: (224, 224, 3) uint8."""
        outputs = self.answer(to_input(square)[None])
        return Answer(**{name: outputs[name][0] for name in Answer._fields})

    def answer(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The bare graph: (1, 224, 224, 3) float32 in [-1, 1] to its outputs by name."""
        self._interpreter.set_tensor(self._input, inputs)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


class LiteRTPredictor:
    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.manifest = manifest
        self.folder = folder
        self.network = Network(folder / NETWORK_FILE)
        self.domain = load_domain(folder)

    def read(self, photograph: bytes, ground: Ground | None = None) -> Reading:
        """Read the bytes of a JPEG, PNG or WebP. Raises UnreadablePhotograph, ModelError.

        An unscorable photograph is scored as well; only its band is withheld.
        """
        started = time.perf_counter()
        picture, size = open_photograph(photograph)
        square = to_square(picture)
        answer = look(self.network, square, self.manifest.views)
        measures = quality.measure(square)
        scores = quality.scores(measures, in_domain=float(self.domain.score(answer.texture)))
        reasons = quality.unscorable_reasons(size, measures, scores, self.manifest.quality_limits)
        probabilities = calibrate(answer.logits, self.manifest.calibration)
        malignancy = float(probabilities[_MALIGNANT].sum())
        return Reading(
            malignancy=malignancy,
            band=None if reasons else self.manifest.band_of(malignancy),
            refer=malignancy >= self.manifest.refer.value,
            probabilities={name: float(share) for name, share in zip(DIAGNOSES, probabilities, strict=True)},
            activation_map=np.array(answer.activation_map, dtype=np.float32),
            unscorable_reasons=reasons,
            cautions=self.manifest.cautions_on(ground),
            quality=scores,
            milliseconds=(time.perf_counter() - started) * 1000,
        )

    def self_test(self) -> None:
        """Raises ModelError when the network answers the stored questions differently from when it was released."""
        check_golden(self.folder, self.network)


def calibrate(logits: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Probabilities (..., 7), float64, whose malignant ones sum to the calibrated malignancy."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    raw = shifted / shifted.sum(axis=-1, keepdims=True)
    raw_malignancy = np.clip(raw[..., _MALIGNANT].sum(axis=-1, keepdims=True), SMALLEST, 1 - SMALLEST)
    odds = np.log(raw_malignancy / (1 - raw_malignancy))
    malignancy = 1 / (1 + np.exp(-(calibration.slope * odds + calibration.intercept)))
    factor = np.where(_MALIGNANT, malignancy / raw_malignancy, (1 - malignancy) / (1 - raw_malignancy))
    scaled = raw * factor
    return scaled / scaled.sum(axis=-1, keepdims=True)


def installed_models(models: Path = MODELS) -> list[Path]:
    """The folders of all versions in `models`, the newest last, compared number by number."""
    folders = [path for path in models.glob("*") if path.is_dir() and VERSION.fullmatch(path.name)]
    return sorted(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def newest_model(models: Path = MODELS) -> Path:
    """The folder of the highest version. Raises ManifestMismatch when there is none."""
    folders = installed_models(models)
    if not folders:
        raise ManifestMismatch(f"No model is installed in {models}. Install one, or train and export one.")
    return folders[-1]


def load(folder: Path | None = None) -> LiteRTPredictor:
    """The predictor of the model in `folder`, or of the newest installed one. Raises ManifestMismatch."""
    chosen = folder or newest_model()
    return LiteRTPredictor(load_manifest(chosen), chosen)
