"""Hand skeletons: OpenPose keypoints and how they are drawn, and drawn hands over real texture to try things on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from asymkit.evaluation.images import shortened
from support.data.images import Pixels, random_crop
from support.run.settings import Size, sides

Points = NDArray[np.float64]
"""(21, 3): x and y in pixels, confidence; wrist, then four joints of thumb, index, middle, ring and little finger."""

FINGERS = [(0, *range(first, first + 4)) for first in (1, 5, 9, 13, 17)]
COLOURS = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 128, 255), (255, 0, 255)]
"""OpenPose's, from the thumb on."""

SEEN = 0.05
"""Keypoints of a lower confidence were not found."""


class NoHandError(ValueError):
    """OpenPose saw no hand in a photo, as it often does."""


def read_keypoints(path: Path) -> Points:
    """The hand of an OpenPose JSON file: the one whose points are surer, where there are two.

    Raises:
        ValueError: no JSON, or not of this kind.
        NoHandError: no hand of 21 points in it.
    """
    try:
        people = json.loads(path.read_text(encoding="utf-8-sig"))["people"]  # Windows may begin it with a mark
        hands = [person.get(f"hand_{side}_keypoints_2d") for person in people for side in ("left", "right")]
        found = [np.asarray(hand, dtype=np.float64).reshape(21, 3) for hand in hands if hand]
        if not all(np.isfinite(hand).all() for hand in found):
            raise ValueError("keypoints that are NaN or infinite")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {shortened(error)}"  # the error itself may hold the whole file
        raise ValueError(f"skeletons: cannot read {str(path)!r} as OpenPose JSON: {problem}") from error
    sure = [hand for hand in found if (hand[:, 2] > SEEN).any()]
    if not sure:
        raise NoHandError(
            f"skeletons: no hand in {str(path)!r}; expected hand_left_keypoints_2d or hand_right_…, 21 points"
        )
    return max(sure, key=lambda hand: hand[:, 2].sum())


def draw_skeleton(points: Points, size: tuple[int, int]) -> Image.Image:
    """A hand's bones, one colour to a finger, on black.

    Args:
        points: in pixels of an image of this size.
        size: width and height.
    """
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    width = max(1, round(max(size) / 50))
    for finger, colour in zip(FINGERS, COLOURS, strict=True):
        for a, b in itertools.pairwise(finger):
            if min(points[a, 2], points[b, 2]) > SEEN:
                draw.line([tuple(points[a, :2]), tuple(points[b, :2])], fill=colour, width=width)
    for x, y, confidence in points:
        if confidence > SEEN:
            draw.circle((x, y), 0.8 * width, fill=(255, 255, 255))
    return image


def hand_points(stretched: NDArray[np.bool_]) -> Points:
    """A hand seen from the front, in the unit square, each finger stretched or folded."""
    roots = np.array([[0.38, 0.72], [0.40, 0.50], [0.49, 0.47], [0.58, 0.49], [0.66, 0.54]])
    angles = np.deg2rad([-50, -14, -3, 9, 22])
    lengths = np.array([0.24, 0.30, 0.34, 0.31, 0.24]) * np.where(stretched, 1.0, 0.35)
    points = [[0.52, 0.90]]
    for root, angle, length in zip(roots, angles, lengths, strict=True):
        direction = np.array([np.sin(angle), -np.cos(angle)])
        points += [list(root + direction * length * part) for part in (0.0, 0.42, 0.74, 1.0)]
    return np.column_stack([np.asarray(points), np.ones(21)])


class DrawnHands:
    """Hands drawn with real texture over real texture: every skeleton and its motion known exactly.

    A person is a background and a skin, both patches of photographs; an image of a person is the hand with some
    fingers stretched, moved by an affine map.

    Args:
        photos: to take patches from.
        size: of the images in pixels, the shorter side of which a hand fills.
        seed: another seed, other hands.
    """

    def __init__(self, photos: list[Image.Image], size: Size, seed: int) -> None:
        self.photos, self.size, self.seed = photos, size, seed

    def pair(self, number: int) -> tuple[Pixels, Pixels, Pixels, Pixels]:
        """Pair ``number`` of one person: image and skeleton, another image and its skeleton."""
        rng = np.random.default_rng((self.seed, number))
        first, second = (self.photos[i] for i in rng.permutation(len(self.photos))[:2])
        background = random_crop(first, self.size, 3.0, rng)
        skin = Image.fromarray(random_crop(second, self.size, 6.0, rng))
        tint = Image.new("RGB", skin.size, tuple(int(v) for v in rng.integers((190, 130, 100), (240, 180, 150))))
        skin = Image.blend(skin, tint, 0.7)
        one, other = self.image(background, skin, rng), self.image(background, skin, rng)
        return *one, *other

    def image(self, background: Pixels, skin: Image.Image, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """One image of a person, and its skeleton."""
        high, wide = sides(self.size)
        side, size = min(high, wide), np.array([wide, high])
        points = hand_points(rng.uniform(size=5) < 0.6)
        angle, scale = np.deg2rad(rng.uniform(-35, 35)), rng.uniform(0.75, 1.0)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = 0.5 + rng.uniform(-0.1, 0.1, 2)
        centre = np.array([0.5, 0.6])
        points[:, :2] = (points[:, :2] - centre) @ turn.T * side + shift * size
        mask = Image.new("L", (4 * wide, 4 * high))
        _fill_hand(ImageDraw.Draw(mask), points[:, :2] * 4, thickness=0.075 * scale * 4 * side)
        mask = mask.resize((wide, high), Image.Resampling.BOX)
        # the skin moves with the hand: for every pixel of the result, where it lies on the skin
        back = np.linalg.inv(turn)
        offset = centre * size - back @ (shift * size)
        affine = *back[0], offset[0], *back[1], offset[1]
        worn = skin.transform((wide, high), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
        result = Image.composite(worn, Image.fromarray(background), mask)
        return np.asarray(result), np.asarray(draw_skeleton(points, (wide, high)))


def _fill_hand(draw: ImageDraw.ImageDraw, points: NDArray[np.float64], thickness: float) -> None:
    palm = [tuple(points[i]) for i in (0, 1, 5, 9, 13, 17)]
    draw.polygon(palm, fill=255)
    draw.line([*palm, palm[0]], fill=255, width=round(1.3 * thickness), joint="curve")
    for finger in FINGERS:
        joints = [tuple(points[i]) for i in finger[1:]]
        draw.line(joints, fill=255, width=round(thickness), joint="curve")
        for x, y in joints:
            draw.circle((x, y), thickness / 2, fill=255)
