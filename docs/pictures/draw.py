"""Draws the pictures of `docs/architecture.md`: `python docs/pictures/draw.py` writes the SVG files beside it."""

from __future__ import annotations

from html import escape
from pathlib import Path

LIGHT = {
    "page": "#ffffff",
    "lane": "#f2f5f9",
    "box": "#ffffff",
    "line": "#5b6b7f",
    "text": "#17202b",
    "soft": "#526070",
    "token": "#0b62a8",
    "told": "#a3500b",
}
DARK = {
    "page": "#14191f",
    "lane": "#1d242d",
    "box": "#28313c",
    "line": "#93a3b5",
    "text": "#eef2f6",
    "soft": "#aebac7",
    "token": "#6cb6f5",
    "told": "#f2a65e",
}


def rules(colours: dict[str, str]) -> str:
    """The style sheet for one set of colours."""
    c = colours
    return (
        f".page{{fill:{c['page']}}}.lane{{fill:{c['lane']}}}.box{{fill:{c['box']};stroke:{c['line']}}}"
        f"text{{fill:{c['text']}}}.soft{{fill:{c['soft']}}}.life{{stroke:{c['line']}}}"
        f".token{{stroke:{c['token']}}}.told{{stroke:{c['told']}}}.tokenhead,.tokentext{{fill:{c['token']}}}"
        f".toldhead,.toldtext{{fill:{c['told']}}}.halo{{stroke:{c['page']}}}.step{{fill:{c['token']}}}.number{{fill:{c['page']}}}"
    )


class Picture:
    """Shapes on a page of `width` by `height` pixels."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        self.title = title
        self.shapes = [f'<rect class="page" width="{width}" height="{height}" rx="8"/>']

    def text(self, x: float, y: float, text: str, kind: str = "", size: int = 13, anchor: str = "start") -> None:
        more = ' font-weight="600"' if kind == "name" else ""
        if "halo" in kind:  # lines that it crosses do not strike it through
            more = ' stroke-width="5" paint-order="stroke"'
        self.shapes.append(
            f'<text class="{kind}" x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"{more}>'
            f"{escape(text, quote=False)}</text>"
        )

    def lane(self, x: float, y: float, width: float, height: float, name: str) -> None:
        self.shapes.append(f'<rect class="lane" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>')
        self.text(x + 12, y + 20, name, "name")

    def box(self, x: float, y: float, width: float, lines: list[str], file: str = "", step: str = "") -> None:
        """A box with lines of text, the file where that is done, and the number of the step."""
        height = 16 + 17 * len(lines) + (17 if file else 0)
        self.shapes.append(
            f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6" stroke-width="1.2"/>'
        )
        for index, line in enumerate(lines):
            self.text(x + 14, y + 20 + 17 * index, line)
        if file:
            self.text(x + 14, y + 20 + 17 * len(lines), file, "soft", 11)
        if step:
            self.shapes.append(f'<circle class="step" cx="{x}" cy="{y}" r="10"/>')
            self.text(x, y + 4, step, "number", 11, "middle")

    def arrow(
        self, points: list[tuple[float, float]], kind: str = "token", text: str = "", at: tuple[float, float] = (0, 0)
    ) -> None:
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        self.shapes.append(
            f'<path class="{kind}" d="{path}" fill="none" stroke-width="1.8" marker-end="url(#{kind})"/>'
        )
        if text:
            self.text(*at, text, f"{kind}text halo", 12, "middle")

    def life(self, x: float, y: float, to: float, name: str, role: str) -> None:
        """The line of one who takes part in an exchange."""
        self.text(x, y - 26, name, "name", 13, "middle")
        self.text(x, y - 10, role, "soft", 11, "middle")
        self.shapes.append(f'<path class="life" d="M{x} {y}V{to}" stroke-dasharray="4 4"/>')

    def svg(self, dark_only: bool = False) -> str:
        style = rules(DARK) if dark_only else f"{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}"
        heads = "".join(
            f'<marker id="{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="10" markerHeight="10"'
            f' markerUnits="userSpaceOnUse" orient="auto"><path class="{kind}head" d="M0 1L10 5L0 9z"/></marker>'
            for kind in ("token", "told")
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {self.size} role="img" font-family="Arial, sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n<style>{style}</style>\n<defs>{heads}</defs>\n"
            + "\n".join(self.shapes)
            + "\n</svg>\n"
        )


def a_tokens_way() -> Picture:
    """From the body that returns a value to the body that gets it, on two devices."""
    p = Picture(1000, 640, "A token's way, from the sender's body to the receiver's")
    p.lane(20, 20, 400, 600, "the sender's ensemble")
    p.lane(580, 20, 400, 600, "the receiver's ensemble")
    p.text(32, 62, "its worker", "soft", 12)
    p.box(50, 74, 340, ["the body returns a value, which is encoded"], "engine/execution.py, values/codec.py", "1")
    p.text(32, 162, "its timekeeper", "soft", 12)
    p.box(50, 176, 340, ["forwarding: which receivers, on which ensembles"], "engine/forwarding.py", "2")
    p.box(
        50,
        286,
        340,
        ["here: the receiver's inbox, by a direct call", "(then as from step 5)"],
        "engine/forwarding.py",
        "3",
    )
    p.box(
        50,
        410,
        340,
        ["elsewhere: one publication on the arc's key,", "with its number and generation"],
        "physical/network/tokens.py",
        "3",
    )
    p.box(50, 536, 340, ["the outbox is sent, in order"], "physical/network/link.py")
    p.arrow([(220, 124), (220, 175)])
    p.arrow([(220, 226), (220, 285)])
    p.arrow([(380, 226), (404, 240), (404, 440), (391, 440)])
    p.arrow([(220, 477), (220, 535)])
    p.arrow([(390, 561), (610, 561)], text="the network", at=(500, 552))
    p.text(592, 62, "its worker", "soft", 12)
    p.box(610, 536, 340, ["the frame is read; stale tokens are dropped"], "physical/network/tokens.py", "4")
    p.box(610, 446, 340, ["the receiver's inbox, up to its turn"], "engine/agenda.py", "5")
    p.box(610, 356, 340, ["its turn: which waiting tokens overlap"], "engine/matching.py", "6")
    p.box(610, 266, 340, ["the firing rule decides on a set"], "engine/firing", "7")
    p.box(610, 176, 340, ["the firing chain: what lies before the body"], "engine/firing_chain.py", "8")
    p.text(592, 162, "its timekeeper", "soft", 12)
    p.box(610, 74, 340, ["the body runs on the set; its result goes on at 1"], "engine/execution.py", "9")
    for y in (536, 446, 356, 266):
        p.arrow([(780, y), (780, y - 39)])
    p.arrow([(780, 176), (780, 125)])
    return p


def an_instances_move() -> Picture:
    """The messages of a drain: an instance leaves one host for another, and no token is lost or taken twice."""
    p = Picture(1000, 760, "An instance's move from its old host to a new one")
    sender, old, manager, new = 110, 370, 630, 890
    for x, name, role in (
        (sender, "sender", "its tokens go to the instance"),
        (old, "old host", "the instance runs here"),
        (manager, "manager", "decides, and keeps states"),
        (new, "new host", "the instance goes on here"),
    ):
        p.life(x, 60, 740, name, role)

    def told(y: float, one: float, other: float, text: str) -> None:
        p.arrow([(one, y), (other, y)], "told", text, ((one + other) / 2, y - 9))

    def tokens(y: float, one: float, other: float, text: str) -> None:
        p.arrow([(one, y), (other, y)], "token", text, ((one + other) / 2, y - 9))

    tokens(90, sender, old, "tokens up to n")
    told(126, manager, new, "EXPECT: these SQs will come")
    p.box(748, 142, 244, ["prepares their code, subscribes,", "keeps what arrives"], "", "1")
    tokens(226, sender, new, "tokens after the subscription: to both hosts")
    told(268, new, sender, "HOW_FAR: how much have you sent")
    told(304, sender, new, "SO_FAR: up to n")
    told(340, new, manager, "PLACED: expected, n")
    told(384, manager, old, "HAND_OVER: up to n")
    p.box(250, 400, 240, ["takes all up to n, ends its bodies,", "saves the instance"], "", "2")
    told(488, old, manager, "HANDED: its state, what it took")
    told(524, manager, new, "PLACE: it is with you, its state")
    told(524, manager, old, "PLACE: it is there")
    told(556, manager, sender, "PLACE: it is there")
    p.box(748, 572, 244, ["starts the instance, gives it what", "it kept but for what was taken"], "", "3")
    told(656, new, manager, "PLACED")
    tokens(692, sender, new, "tokens, to the new host alone")
    told(728, manager, old, "SHUT_DOWN, once it is empty")
    return p


PICTURES = {"token.svg": a_tokens_way, "move.svg": an_instances_move}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (Path(__file__).parent / name).write_text(draw().svg(), encoding="utf-8")
