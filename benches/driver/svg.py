"""Pictures of figures, as SVG."""

import math

WIDTH, HEIGHT, MARGIN, LEGEND = 760, 400, 60, 190
COLOURS = ("#1b6ca8", "#c0392b", "#27823b", "#8e44ad", "#b9770e", "#16828f", "#5d6d7e", "#a93226", "#1e8449")


def growth(title, lines, dashed):
    """Lines over a logarithmic axis; `lines` and `dashed` have figures by size, by name."""
    solid, lines = set(lines), {**lines, **dashed}
    sizes = sorted({size for line in lines.values() for size in line})
    highest = max(figure for line in lines.values() for figure in line.values()) * 1.1
    span = math.log(sizes[-1] / sizes[0]) or 1

    def x(size):
        return MARGIN + (WIDTH - 2 * MARGIN - LEGEND) * math.log(size / sizes[0]) / span

    def y(figure):
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * figure / highest

    parts = [text(MARGIN, 24, title, 15)]
    for size in sizes:
        parts += [text(x(size), HEIGHT - MARGIN + 20, f"{size:,}", 11, "middle")]
    for step in range(5):
        figure = highest * step / 4
        parts += [f'<line x1="{MARGIN}" y1="{y(figure):.1f}" x2="{x(sizes[-1]):.1f}" y2="{y(figure):.1f}" stroke="#ccc"/>',
                  text(MARGIN - 6, y(figure) + 4, f"{figure:.1f}", 11, "end")]  # fmt: skip
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(size):.1f},{y(line[size]):.1f}" for size in sizes if size in line)
        dashes = "" if name in solid else ' stroke-dasharray="6 4"'
        parts += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>',
                  text(WIDTH - MARGIN - LEGEND + 20, MARGIN + 18 * number, name, 12, colour=colour)]  # fmt: skip
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>"]) + "\n"


def text(x, y, what, size, anchor="start", colour="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{what}</text>'
