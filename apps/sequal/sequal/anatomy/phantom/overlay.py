"""What a scanner burns into the screen around and over the picture: margins, text, rulers, callipers, a trace."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Placement", "burn_in", "draw_panels", "place_on_screen"]

Picture = NDArray[np.uint8]
#: Where the scan area's pixel (0, 0) lies on the screen, (x, y).
Placement = tuple[int, int]

_LETTERS = np.array(list("ABCDEFGHIJKLMNOPRSTUVXYZabcdehikmnoprstuvz0123456789.:-/% "))


def place_on_screen(area: Picture, rng: np.random.Generator) -> tuple[Picture, Placement]:
    """Put a scan area (W, H) on a screen with margins of random size, sometimes none.

    Returns:
        The screen, uint8 (W', H'), and the place of the scan area on it.
    """
    if rng.random() < 0.35:
        return area, (0, 0)
    width, height = area.shape
    left, right = (int(rng.uniform(0.0, 0.28) * width) for _ in range(2))
    top, bottom = (int(rng.uniform(0.0, 0.22) * height) for _ in range(2))
    screen = np.full(
        (width + left + right, height + top + bottom), rng.choice([0, 0, 0, rng.integers(5, 40)]), np.uint8
    )
    screen[left : left + width, top : top + height] = area
    return screen, (left, top)


def draw_panels(screen: Picture, place: Placement, area: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Put up to three grey boxes, as of a user interface, on the margins; the scan area stays as it is.

    Args:
        screen: uint8 (W, H).
        place: of the scan area.
        area: (W, H) of the scan area.
        rng: decides how many, where and how bright.
    """
    out = screen.copy()
    for _ in range(int(rng.integers(0, 4))):
        (x, x_end), (y, y_end) = (np.sort(rng.integers(0, side + 1, 2)) for side in screen.shape)
        out[x:x_end, y:y_end] = rng.integers(10, 220)
    inside = tuple(slice(start, start + side) for start, side in zip(place, area, strict=True))
    out[inside] = screen[inside]
    return out


def burn_in(
    screen: Picture, place: Placement, area: tuple[int, int], spacing_mm: float, rng: np.random.Generator
) -> Picture:
    """Draw texts, a depth ruler, a grey bar, callipers and a trace at random.

    Args:
        screen: uint8 (W, H).
        place: of the scan area.
        area: (W, H) of the scan area.
        spacing_mm: pixel.
        rng: decides what is drawn, where and how bright.
    """
    image = Image.fromarray(np.ascontiguousarray(screen.T))
    draw = ImageDraw.Draw(image)
    (left, top), (width, height) = place, area
    if rng.random() < 0.7:
        _texts(draw, image.size, rng)
    if rng.random() < 0.6:
        _ruler(draw, left + (width + 3 if rng.random() < 0.7 else -9), top, height, spacing_mm, rng)
    if rng.random() < 0.3:
        _bar(image, left - int(rng.integers(12, 30)), top + int(rng.integers(0, 40)), rng)
    if rng.random() < 0.25:
        _callipers(draw, place, area, rng)
    if rng.random() < 0.15:
        _trace(draw, left, top + int(rng.uniform(0.85, 0.98) * height), width, rng)
    return np.ascontiguousarray(np.asarray(image).T)


def _texts(draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        font = ImageFont.load_default(size=float(rng.integers(9, 17)))
        lines = ["".join(rng.choice(_LETTERS, int(rng.integers(2, 14)))) for _ in range(int(rng.integers(1, 4)))]
        on_edge = rng.random() < 0.8
        x = (
            int(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.75, 0.95)]) * size[0])
            if on_edge
            else int(rng.uniform(0, 0.9) * size[0])
        )
        y = (
            int(rng.choice([rng.uniform(0, 0.12), rng.uniform(0.85, 0.97)]) * size[1])
            if on_edge
            else int(rng.uniform(0, 0.95) * size[1])
        )
        draw.multiline_text((x, y), "\n".join(lines), fill=int(rng.integers(120, 256)), font=font)


def _ruler(
    draw: ImageDraw.ImageDraw, x: int, top: int, height: int, spacing_mm: float, rng: np.random.Generator
) -> None:
    step = 5.0 / spacing_mm if rng.random() < 0.7 else 10.0 / spacing_mm
    grey = int(rng.integers(110, 256))
    for i in range(int(height / step) + 1):
        y = top + i * step
        draw.line([(x, y), (x + (7 if i % 2 == 0 else 4), y)], fill=grey)


def _bar(image: Image.Image, x: int, y: int, rng: np.random.Generator) -> None:
    length, wide = int(rng.integers(80, 220)), int(rng.integers(5, 14))
    ramp = np.linspace(255, 0, length).astype(np.uint8)[:, None].repeat(wide, axis=1)
    image.paste(Image.fromarray(ramp), (x, y))


def _callipers(draw: ImageDraw.ImageDraw, place: Placement, area: tuple[int, int], rng: np.random.Generator) -> None:
    grey = int(rng.integers(170, 256))
    points = []
    for _ in range(int(rng.integers(1, 3)) * 2):
        x, y = place[0] + rng.uniform(0.1, 0.9) * area[0], place[1] + rng.uniform(0.2, 0.9) * area[1]
        arm = rng.uniform(3, 7)
        draw.line([(x - arm, y), (x + arm, y)], fill=grey)
        draw.line([(x, y - arm), (x, y + arm)], fill=grey)
        points.append((x, y))
    if rng.random() < 0.5:
        for t in np.arange(0.0, 1.0, 0.03):
            p = [a + t * (b - a) for a, b in zip(points[0], points[1], strict=True)]
            draw.point([tuple(p)], fill=grey)


def _trace(draw: ImageDraw.ImageDraw, left: int, base: int, width: int, rng: np.random.Generator) -> None:
    beats = np.arange(width)
    period, height = rng.uniform(0.2, 0.5) * width, rng.uniform(10, 40)
    phase = (beats % period) / period
    y = base - height * (np.exp(-(((phase - 0.3) / 0.015) ** 2)) + 0.2 * np.exp(-(((phase - 0.55) / 0.06) ** 2)))
    draw.line([(left + int(b), float(v)) for b, v in zip(beats, y, strict=True)], fill=int(rng.integers(130, 256)))
