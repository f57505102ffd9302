"""Draw the diagrams of README and site: one SVG file for light and one for dark pages each, readable 400 pixels wide.

    python docs/diagrams.py

The files in docs/images are compared with what this draws by tests/test_diagrams.py.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
WIDTH = 400

THEMES = {
    "light": {
        "ink": "#1f2933", "muted": "#52606d", "line": "#616e7c", "net": "#f0ebff", "net-edge": "#6b4fbb",
        "light-net": "#ffffff", "z": "#dceeff", "z-edge": "#1f6fb2", "discriminator": "#fff4d6", "discriminator-edge": "#9a6700",
        "frozen": "#e6f6fb", "frozen-edge": "#2b7f99", "band": "#e4e7eb",
    },
    "dark": {
        "ink": "#e6edf3", "muted": "#a9b4bf", "line": "#9da7b1", "net": "#2b2350", "net-edge": "#b392f0",
        "light-net": "#161b22", "z": "#12304d", "z-edge": "#58a6ff", "discriminator": "#3d2f0b", "discriminator-edge": "#e3b341",
        "frozen": "#10333d", "frozen-edge": "#76d5ee", "band": "#30363d",
    },
}  # fmt: skip
LOOKS = {  # sky, sun, hill, ground
    "day": ("#8ecae6", "#ffb703", "#6a994e", "#a7c957"),
    "dusk": ("#f4a261", "#d62828", "#5b3a63", "#8d5a7a"),
    "night": ("#1d3557", "#f1faee", "#457b9d", "#a8dadc"),
    "labels": ("#c9d0d8", "#f5f7fa", "#5f6c7b", "#94a1b0"),
}
"""Three rich pictures of one scene, and the poor one that all of them have."""


class Drawing:
    """What is drawn so far, in the colours of a theme."""

    def __init__(self, title: str, height: float, theme: str) -> None:
        self.colors, self.height = THEMES[theme], height
        self.parts = [f"<title>{escape(title)}</title>"]

    def svg(self) -> str:
        """The whole file."""
        line = self.colors["line"]
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:g}" width="{WIDTH}" '
            f'height="{self.height:g}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="14">'
        )
        marker = (
            '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0.5 8 4 0 7.5z" fill="{line}"/></marker></defs>'
        )
        return "\n".join([head, marker, *self.parts, "</svg>\n"])

    def text(
        self, x: float, y: float, text: str, color: str = "ink", anchor: str = "middle", bold: bool = False
    ) -> None:
        """A line of text whose baseline is at y."""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{self.colors[color]}"{weight}>{escape(text)}</text>'
        )

    def picture(self, x: float, y: float, look: str, below: str = "", width: float = 58) -> None:
        """A landscape, 58 × 40 by default, with a name below."""
        sky, sun, hill, ground = LOOKS[look]
        self.parts.append(
            f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{width * 40 / 58:g}" viewBox="0 0 58 40">'
            f'<rect width="58" height="40" fill="{sky}"/><circle cx="43" cy="11" r="6" fill="{sun}"/>'
            f'<path d="M0 27 Q14 8 27 22 T58 20 V40 H0z" fill="{hill}"/><path d="M0 32 Q30 25 58 33 V40 H0z" fill="{ground}"/>'
            f'<rect x="0.5" y="0.5" width="57" height="39" fill="none" stroke="{self.colors["line"]}"/></svg>'
        )
        if below:
            self.text(x + width / 2, y + width * 40 / 58 + 16, below)

    def box(self, x: float, y: float, w: float, h: float, text: str, kind: str = "net", dashed: bool = False) -> None:
        """A network, a discriminator or a latent code, named in its middle."""
        edge = self.colors["net-edge" if kind == "light-net" else f"{kind}-edge"]
        style = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{h / 2 if kind == "z" else 6:g}" '
            f'fill="{self.colors[kind]}" stroke="{edge}" stroke-width="1.5"{style}/>'
        )
        self.text(x + w / 2, y + h / 2 + 5, text, bold=kind != "z")

    def arrow(self, *points: tuple[float, float], dashed: bool = False, head: bool = True) -> None:
        """A line through points, with a head at its end; dashed where two things are compared."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        style = ' stroke-dasharray="4 3"' if dashed else ""
        end = ' marker-end="url(#a)"' if head else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{self.colors["line"]}" stroke-width="1.5"{style}{end}/>'
        )

    def band(self, x: float, y: float, w: float, h: float, kind: str) -> None:
        """A plain area."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" fill="{self.colors[kind]}" '
            f'stroke="{self.colors["line"]}" stroke-width="0.75"/>'
        )


def rich_and_poor(theme: str) -> Drawing:
    """What the words mean: three rich pictures with one poor one between them."""
    d = Drawing(
        "Three photographs of one scene at different times of day, and the one label map that all share", 244, theme
    )
    for i, look in enumerate(("day", "dusk", "night")):
        d.picture(8, 8 + 66 * i, look, width=86)
        d.box(104, 26 + 66 * i, 34, 24, f"z{'₁₂₃'[i]}", "z")
    d.picture(284, 66, "labels", width=108)
    d.arrow((146, 60), (276, 84))
    d.text(212, 34, "rich → poor:")
    d.text(212, 52, "one right answer")
    d.arrow((276, 118), (146, 142))
    d.text(212, 164, "poor → rich: many;")
    d.text(212, 182, "z says which one")
    d.text(74, 232, "rich: photographs", bold=True)
    d.text(330, 164, "poor:", bold=True)
    d.text(330, 182, "a label map", bold=True)
    return d


def _forward_loop(d: Drawing, y: float, equations: bool = False) -> None:
    d.picture(8, y, "dusk", "x")
    d.box(92, y, 44, 40, "G")
    d.picture(162, y, "labels", "G(x)")
    d.box(246, y, 44, 40, "F")
    d.picture(322, y, "dusk", "rebuilt x")
    for start, end in ((66, 90), (136, 160), (220, 244), (290, 320)):
        d.arrow((start, y + 20), (end, y + 20))
    d.box(92, y + 66, 44, 36, "E")
    d.box(176, y + 71, 34, 26, "E(x)" if equations else "z", "z")
    d.arrow((37, y + 60), (37, y + 84), (90, y + 84))
    d.arrow((136, y + 84), (174, y + 84))
    d.arrow((210, y + 84), (268, y + 84), (268, y + 42))


def _backward_loop(d: Drawing, y: float) -> None:
    d.picture(8, y, "labels", "y")
    d.box(92, y, 44, 40, "F")
    d.picture(162, y, "night", "F(y, z)")
    d.box(246, y, 44, 40, "G")
    d.picture(322, y, "labels", "rebuilt y")
    for start, end in ((66, 90), (136, 160), (220, 244), (290, 320)):
        d.arrow((start, y + 20), (end, y + 20))
    d.box(20, y + 71, 34, 26, "z", "z")
    d.arrow((54, y + 84), (114, y + 84), (114, y + 42))
    d.box(246, y + 66, 44, 36, "E")
    d.arrow((191, y + 60), (191, y + 84), (244, y + 84))
    d.arrow((290, y + 84), (316, y + 84))
    d.box(318, y + 71, 66, 26, "rebuilt z", "z")


def asymgan(theme: str) -> Drawing:
    """The idea of AsymGAN."""
    d = Drawing("AsymGAN: an encoder E gives the generator F what the poor image lacks, as a latent code z", 320, theme)
    d.text(8, 18, "A photo x and back: E keeps what G drops", anchor="start", bold=True)
    _forward_loop(d, 30)
    d.text(8, 178, "A label map y and back: z is drawn at random", anchor="start", bold=True)
    _backward_loop(d, 190)
    d.text(8, 314, "G: rich → poor · F: poor → rich · E: encoder", "muted", "start")
    return d


def asymgan_figure(theme: str) -> Drawing:
    """Figure 2 of AsymGAN: both loops with their terms, and the three ways to use what was trained."""
    d = Drawing("AsymGAN, Figure 2: forward loop, backward loop and three ways of inference", 712, theme)
    d.text(8, 18, "1  Forward loop", anchor="start", bold=True)
    _forward_loop(d, 30, equations=True)
    d.arrow((351, 90), (351, 152), (20, 152), (20, 73), dashed=True)
    d.text(200, 168, "cycle of x, Eq. 8", "muted")
    d.text(200, 188, "D_Y on G(x), Eq. 1 · D_Z on E(x), Eq. 7", "muted")
    d.text(8, 226, "2  Backward loop", anchor="start", bold=True)
    _backward_loop(d, 238)
    d.arrow((351, 338), (351, 356), (37, 356), (37, 338), dashed=True)
    d.text(200, 372, "cycles of y, Eq. 10, and of z, Eq. 11", "muted")
    d.text(200, 392, "D_X on F(y, z), Eq. 9", "muted")
    d.text(8, 430, "3  Use: to_poor(x)", anchor="start", bold=True)
    d.picture(8, 442, "dusk", "x")
    d.box(132, 442, 136, 40, "ResnetGenerator")
    d.picture(334, 442, "labels", "G(x)")
    d.arrow((66, 462), (130, 462))
    d.arrow((268, 462), (332, 462))
    d.text(8, 528, "4  Use: to_rich(y, z)", anchor="start", bold=True)
    d.picture(8, 540, "labels", "y")
    d.box(78, 547, 34, 26, "z", "z")
    d.arrow((66, 560), (76, 560), head=False)
    d.box(142, 540, 126, 40, "AuxGenerator")
    d.picture(334, 540, "night", "F(y, z)")
    d.arrow((112, 560), (140, 560))
    d.arrow((268, 560), (332, 560))
    d.text(8, 626, "5  Use: to_rich_like(y, x)", anchor="start", bold=True)
    d.picture(8, 638, "labels", "y")
    d.box(142, 638, 126, 40, "AuxGenerator")
    d.picture(334, 638, "dusk", "F(y, E(x))")
    d.arrow((66, 652), (140, 652))
    d.box(76, 664, 46, 26, "E(x)", "z")
    d.arrow((122, 674), (140, 670))
    d.arrow((268, 658), (332, 658))
    return d


def asymmetricgan(theme: str) -> Drawing:
    """The idea of AsymmetricGAN: a large translator and a light reconstructor."""
    d = Drawing(
        "AsymmetricGAN: a large generator translates, a light one rebuilds, a domain label says where to", 222, theme
    )
    _dual(d, 36, "night", "“night”", "“day”")
    return d


def _dual(d: Drawing, y: float, look: str, target: str, source: str) -> None:
    d.box(76, y - 30, 72, 24, target, "z")
    d.box(252, y - 30, 62, 24, source, "z")
    d.picture(8, y + 36, "day", "x")
    d.box(84, y + 16, 76, 80, "translator")
    d.picture(182, y + 36, look, "translated")
    d.box(258, y + 40, 48, 32, "light", "light-net")
    d.picture(334, y + 36, "day", "rebuilt x")
    for start, end in ((66, 82), (160, 180), (240, 256), (306, 332)):
        d.arrow((start, y + 56), (end, y + 56))
    d.arrow((112, y - 6), (112, y + 14))
    d.arrow((283, y - 6), (283, y + 38))
    d.box(104, y + 124, 214, 30, "discriminator: real? which?", "discriminator")
    d.arrow((211, y + 98), (211, y + 122))
    d.text(200, y + 176, "translator 8.4M weights · light reconstructor 1.3M", "muted")


def asymmetricgan_figure(theme: str) -> Drawing:
    """Figures 1 and 2 of AsymmetricGAN: labels of domains, and skeletons of hands."""
    d = Drawing(
        "AsymmetricGAN, Figures 1 and 2: unsupervised with domain labels, supervised with skeletons", 590, theme
    )
    d.text(8, 18, "1  Many domains, unpaired: labels", anchor="start", bold=True)
    d.box(76, 30, 72, 24, "z_y", "z")
    d.box(252, 30, 62, 24, "z_x", "z")
    d.picture(8, 96, "day", "x")
    d.box(78, 76, 92, 80, "Gᵗ")
    d.picture(190, 96, "night", "y'")
    d.box(266, 100, 44, 32, "Gʳ", "light-net")
    d.picture(334, 96, "day", "rebuilt x")
    for start, end in ((66, 76), (170, 188), (248, 264), (310, 332)):
        d.arrow((start, 116), (end, 116))
    d.arrow((112, 54), (112, 74))
    d.arrow((283, 54), (283, 98))
    d.box(104, 186, 214, 30, "DomainDiscriminator", "discriminator")
    d.arrow((219, 158), (219, 184))
    d.text(200, 238, "adversarial, Eq. 4 · domain, Eq. 7", "muted")
    d.arrow((363, 158), (363, 250), (37, 250), (37, 158), dashed=True)
    d.text(200, 268, "colour cycle, Eq. 2 · MS-SSIM, Eq. 6", "muted")
    d.text(8, 304, "2  Pairs with a skeleton for each image", anchor="start", bold=True)
    d.picture(8, 372, "day", "x")
    d.box(78, 352, 92, 80, "Gᵗ")
    d.picture(190, 372, "night", "y'")
    d.box(266, 376, 44, 32, "Gʳ", "light-net")
    d.picture(334, 372, "day", "rebuilt x")
    for start, end in ((66, 76), (170, 188), (248, 264), (310, 332)):
        d.arrow((start, 392), (end, 392))
    d.box(90, 316, 66, 24, "l_y", "z")
    d.arrow((123, 340), (123, 350))
    d.box(256, 316, 66, 24, "l_x", "z")
    d.arrow((288, 340), (288, 374))
    d.picture(60, 468, "night", "y", width=58)
    d.arrow((118, 488), (216, 488), (216, 434), dashed=True)
    d.text(300, 480, "colour, Eq. 11", "muted")
    d.text(300, 500, "perceptual loss", "muted")
    d.text(200, 548, "D sees (x, l_y, y) and (x, l_y, y'), Eq. 10", "muted")
    d.text(200, 572, "and the same once more from y to x", "muted")
    return d


def _phase(d: Drawing, y: float, partial: bool) -> None:
    d.picture(8, y, "dusk", "x")
    d.box(
        120, y - 14, 160, 28, "rich → poor" + (", frozen" if partial else ""), "frozen" if partial else "net", partial
    )
    d.picture(334, y, "labels", "made y" if partial else "y")
    d.box(120, y + 26, 160, 28, "poor → rich")
    d.arrow((66, y + 10), (92, y), (118, y))
    d.arrow((280, y), (306, y), (332, y + 10))
    d.arrow((332, y + 30), (306, y + 40), (282, y + 40))
    d.arrow((118, y + 40), (92, y + 40), (68, y + 30))


def asyncgan(theme: str) -> Drawing:
    """The idea of Async-GAN: joint epochs, then joint and partial ones in turn."""
    d = Drawing(
        "Async-GAN: from half of the training on, the easy direction is frozen now and then and makes pairs", 330, theme
    )
    d.text(8, 18, "Epochs", anchor="start", bold=True)
    d.band(8, 28, 192, 24, "net")
    d.text(104, 45, "joint")
    for i in range(4):
        d.band(200 + 48 * i, 28, 24, 24, "net")
        d.band(224 + 48 * i, 28, 24, 24, "frozen")
    d.text(296, 72, "joint and partial in turn", "muted")
    d.text(8, 104, "Joint: both directions train", anchor="start", bold=True)
    _phase(d, 130, partial=False)
    d.text(8, 220, "Partial: one makes pairs, the other trains", anchor="start", bold=True)
    _phase(d, 246, partial=True)
    d.text(200, 324, "a pair: the made y is the input, x the answer", "muted")
    return d


def mark(theme: str) -> Drawing:
    """The favicon: a large and a small square, a network and its light counterpart."""
    d = Drawing("asymkit", WIDTH, theme)
    d.parts += [
        f'<rect x="20" y="60" width="230" height="280" rx="40" fill="{d.colors["net-edge"]}"/>',
        f'<rect x="280" y="140" width="100" height="120" rx="24" fill="{d.colors["discriminator-edge"]}"/>',
    ]
    return d


DIAGRAMS: dict[str, Callable[[str], Drawing]] = {
    "rich-and-poor": rich_and_poor,
    "asymgan": asymgan,
    "asymmetricgan": asymmetricgan,
    "asyncgan": asyncgan,
    "asymgan-figure": asymgan_figure,
    "asymmetricgan-figure": asymmetricgan_figure,
    "mark": mark,
}


def files() -> dict[Path, str]:
    """The content of every file, by its path."""
    return {IMAGES / f"{name}-{theme}.svg": draw(theme).svg() for name, draw in DIAGRAMS.items() for theme in THEMES}


def main() -> None:
    """Write them."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
