"""Reading of image files of any format as 8-bit RGB, with one error class that names the file."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from asymkit.arguments import exact
from asymkit.optional import needed_for

with needed_for("reading images"):
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = {
    "BMP": (".bmp",),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg"),
    "PNG": (".png",),
    "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""Pillow's names of the formats that are read, and the suffixes of their files. Contents of any other format are refused
even with such a suffix, because Pillow would start Ghostscript for EPS."""

ENDINGS = tuple(sorted(ending for endings in FORMATS.values() for ending in endings))

LEAST_SIDE = 8
"""An image with a shorter side counts as broken."""

DARK = 63
"""Images without a level above this one, of 255, count as nearly black."""

OUTSIDE = "outside of the value range"
"""Part of the message about an image with such values."""

FULL_RANGE = (0.0, 65535.0)
"""The values of 16 bits."""

ValueRange = tuple[float, float]
"""The values that are mapped to black and white."""

Kind = Literal["8 bits", "grey", "deep", "deep colour", "float"]
"""Kinds of pixels: "grey", with or without transparency, has 8 bits; "deep" has more in one channel, "deep colour" more in
several."""

Result = TypeVar("Result")


class BrokenImageError(ValueError):
    """A file that cannot be read as an image.

    Args:
        path: of the file.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, problem: object) -> None:
        self.path, self.problem = path, shortened(problem)
        super().__init__(f"cannot read {str(path)!r} as an image: {self.problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.problem)


def shortened(problem: object) -> str:
    """The message of an error, shortened to one line; some errors quote the whole content of the file."""
    said = str(problem) or type(problem).__name__
    return textwrap.shorten(said[:600], 300, placeholder=" …") if len(said) > 300 or "\n" in said else said


def read_image(
    path: Path,
    side: int | None = None,
    parts: int = 1,
    value_range: ValueRange | None = None,
    least_side: int = LEAST_SIDE,
) -> Image.Image:
    """Read a file as 8-bit RGB, rotated as its EXIF data say, on a white background if it is transparent.

    Palettes are applied. Grey values of more than 8 bits are mapped linearly to 0 to 255; of colours of more than 8 bits,
    Pillow reads the upper 8 bits.

    Args:
        path: of the file.
        side: required length of the shorter side in pixels; a larger JPEG is decoded at a half, a quarter or an eighth of
            its size, which is several times as fast. None for full size.
        parts: number of images side by side in the file, each of which needs such a side.
        value_range: values that are mapped to black and white, for grey images whose pixels can be as large as the second
            one. None for the full range, for 16 bits (0, 65535); an image that would be nearly black is refused then.
        least_side: an image with a shorter side is refused.

    Raises:
        BrokenImageError: the file is missing, not a readable image of :data:`FORMATS`, too small, or has values outside
            of the range.
    """

    def use(image: Image.Image) -> Image.Image:
        kind = kind_of(image)
        shorter = min(image.width // parts, image.height)
        if side is not None and side < shorter:
            width, height = (-(-length * side // shorter) for length in image.size)
            image.draft(None, (width, height))  # None keeps the mode
        return _as_rgb(path, ImageOps.exif_transpose(image), kind, value_range)

    return _with_image(path, use, least_side)


class PixelInfo(NamedTuple):
    """Kind of an image's pixels and their lowest and highest value, or None if they were not measured."""

    kind: Kind
    values: tuple[float, float] | None
    see_through: bool = False
    """Whether some pixels are fully transparent, which become white."""


def inspect_image(path: Path, measure: Callable[[Kind], bool], least_side: int = LEAST_SIDE) -> PixelInfo:
    """Read the header of a file, and measure its pixels if ``measure(kind)``; large JPEGs are decoded at reduced size.

    Raises:
        BrokenImageError: the file is missing, or no readable image.
    """

    def use(image: Image.Image) -> PixelInfo:
        kind = kind_of(image)
        if not measure(kind):
            image.verify()
            return PixelInfo(kind, None)
        image.draft(None, (64, 64))
        image.load()
        if image.mode == "LA" and kind == "grey":
            alpha = np.asarray(image.getchannel("A"))
            return PixelInfo(kind, _ends(_grey(image)[alpha > 0]), bool((alpha == 0).any()))
        if kind == "deep colour":
            pixels = _visible(_coloured(image))
        else:  # what is transparent is not black
            pixels = _finite(path, np.asarray(_as_rgb(path, image, kind, None) if kind == "8 bits" else image))
        return PixelInfo(kind, _ends(pixels))

    return _with_image(path, use, least_side)


def kind_of(image: Image.Image) -> Kind:
    """Kind of the pixels of an image that was opened but not loaded."""
    if image.mode == "F":
        return "float"
    if image.mode.startswith("I"):
        return "deep"
    tiles = getattr(image, "tile", [])  # of files only
    if any(";16" in str(tile[3]) for tile in tiles) or _bits_of_tiff(image) > 8:
        return "deep colour"
    return "grey" if image.mode in ("L", "LA") else "8 bits"


def _bits_of_tiff(image: Image.Image) -> int:
    """Bits of the deepest channel of a TIFF; 8 for other formats."""
    return int(np.max(getattr(image, "tag_v2", {}).get(258, 8)))


def takes(kind: Kind, value_range: ValueRange | None) -> bool:
    """Whether a given value range applies to such pixels, which must be able to reach its upper end."""
    return value_range is not None and (kind in ("deep", "float") or (kind == "grey" and value_range[1] <= 255))


def unfit(kind: Kind, values: tuple[float, float] | None, value_range: ValueRange | None) -> str | None:
    """Why pixels with such a lowest and highest value cannot be read with a value range, or None."""
    if kind == "float" and value_range is None:
        return "its pixels are floating point numbers; state a value range, or save it with 8 or 16 bits"
    if kind == "deep colour" and value_range not in (None, FULL_RANGE):
        return "it has 16 bits of colour, which no value range can be applied to; save 8 bits"
    if values is None or not (kind == "deep" or takes(kind, value_range)):
        return None
    low, high = value_range or FULL_RANGE
    if low <= values[0] and values[1] <= high:
        return None
    return f"its values go from {' to '.join(map(exact, values))}, {OUTSIDE} {exact(low)} to {exact(high)}"


def _with_image(path: Path, use: Callable[[Image.Image], Result], least_side: int) -> Result:
    """Call ``use`` with an open image file; any error becomes a BrokenImageError with the file's name."""

    def opened(source: Path | BytesIO, formats: list[str]) -> Result:
        with Image.open(source, formats=formats) as image:
            if min(image.size) < least_side:
                raise BrokenImageError(path, f"{image.width} × {image.height} pixels are too few")
            if _bits_of_tiff(image) > 8 and image.tag_v2.get(284) == 2:  # type: ignore[attr-defined]
                raise BrokenImageError(
                    path, "colours of more than 8 bits in separate planes, which Pillow reads wrongly"
                )
            return use(image)

    try:
        try:
            return opened(path, list(FORMATS))
        except ValueError as error:
            # Pillow's limits of metadata, which do not concern the pixels
            if not any(words in str(error) for words in ("MAX_TEXT", "Decompressed Data Too Large")):
                raise
            return opened(_without_text(path), ["PNG"])
    except (BrokenImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        what = f"no image, or damaged at its beginning; read are {', '.join(FORMATS)}"
        raise BrokenImageError(path, what if path.stat().st_size else "the file is empty") from error
    except Exception as error:  # damaged bytes make decoders raise almost anything
        raise BrokenImageError(path, error) from error


def _without_text(path: Path) -> BytesIO:
    """A PNG without text and colour profile, which Pillow limits to a megabyte, but with pixels and EXIF data."""
    data, place = path.read_bytes(), 8
    kept = [data[:place]]
    while place < len(data):
        after = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] not in {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}:
            kept.append(data[place:after])
        place = after
    return BytesIO(b"".join(kept))


def _as_rgb(path: Path, image: Image.Image, kind: Kind, value_range: ValueRange | None) -> Image.Image:
    if kind in ("deep", "float") or takes(kind, value_range):
        image = _mapped(path, image, kind, value_range)
    image = _coloured(image)
    if kind == "deep colour":
        _check_deep_colour(path, image, value_range)
    if image.mode == "RGBA":
        with_alpha, image = image, Image.new("RGBA", image.size, "white")
        image.alpha_composite(with_alpha)
    return image.convert("RGB")


def _coloured(image: Image.Image) -> Image.Image:
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _visible(image: Image.Image) -> Any:
    """The levels of all pixels of an RGB or RGBA image that are not fully transparent; a single 0 if all are."""
    pixels = np.asarray(image)
    if image.mode == "RGBA":
        pixels = pixels[..., :3][pixels[..., 3] > 0]
    return pixels if pixels.size else np.zeros(1, np.uint8)


def _check_deep_colour(path: Path, image: Image.Image, value_range: ValueRange | None) -> None:
    problem = unfit("deep colour", None, value_range)
    highest = int(_visible(image).max())
    if value_range is None and highest <= DARK:  # also 0, which Pillow makes of all values below 256
        problem = (
            f"its colours of 16 bits are all below {256 * (highest + 1)}, and of them only the upper 8 bits are read; "
            "save 8 bits, also where it is meant to be black"
        )
    if problem:
        raise BrokenImageError(path, problem)


def _mapped(path: Path, image: Image.Image, kind: Kind, value_range: ValueRange | None) -> Image.Image:
    values = _finite(path, _grey(image))
    seen = values[np.asarray(image.getchannel("A")) > 0] if image.mode == "LA" else values
    low, high = value_range or FULL_RANGE
    found = _ends(seen) or (low, high)
    problem = unfit(kind, found, value_range)
    if value_range is None and not problem and 0 < found[1] <= DARK * 257:
        problem = f"its values go up to {exact(found[1])} of 65535, which would be nearly black; state a value range"
    if problem:
        raise BrokenImageError(path, problem)
    levels = ((values.astype(np.float64) - low) * (255 / (high - low))).round()
    if image.mode == "LA":  # what is fully transparent may be outside of the range
        return Image.merge("LA", (Image.fromarray(levels.clip(0, 255).astype("u1")), image.getchannel("A")))
    transparent = image.info.get("transparency")
    if transparent is not None:
        levels = np.where(values == transparent, 255, levels)
    return Image.fromarray(levels.astype("u1"))


def _grey(image: Image.Image) -> Any:
    """The values of a grey image, without its transparency."""
    return np.asarray(image.getchannel("L") if image.mode == "LA" else image)


def _ends(values: Any) -> tuple[float, float] | None:
    return (float(values.min()), float(values.max())) if values.size else None


def _finite(path: Path, values: Any) -> Any:
    if not np.isfinite(values).all():
        raise BrokenImageError(path, "it has pixels that are NaN or infinite")
    return values
