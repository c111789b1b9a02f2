"""Pixels of any kind as plain ones of eight bits; imports no Django, as it is also run apart."""

from PIL import Image

STRIP = 256  # rows


def flatten(image: Image.Image) -> Image.Image:
    """Eight bits a channel and nothing to see through: what was transparent becomes white."""
    if image.mode.startswith("I"):
        import numpy as np  # which takes hundreds of MB of addresses, and a process apart has few

        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("PA", "RGBa", "La"):
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA"):
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    if image.mode in ("P", "1"):
        return image.convert("RGB")
    return image


def halve(image: Image.Image) -> Image.Image:
    """Flat, at half its size. Strip by strip, since whole copies of a large picture are a hundred MB each."""
    width, height = image.size
    half: Image.Image | None = None
    for top in range(0, height, STRIP):
        strip = flatten(image.crop((0, top, width, min(height, top + STRIP)))).reduce(2)
        half = half or Image.new(strip.mode, (strip.width, (height + 1) // 2))
        half.paste(strip, (0, top // 2))
    assert half is not None
    return half
