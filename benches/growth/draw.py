"""Draws the points of benches/growth/main.rs: benches/growth/draw.py POINTS SVG"""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

# The same points make the same bytes.
plt.rcParams.update({"svg.hashsalt": "callgate", "svg.fonttype": "none", "font.size": 8})

FIGURES = [
    ("decision_ns", "decision, ns"),
    ("search_us", "subjects, first page of 100, µs"),
    ("filter_us", "filter, µs"),
    ("compile_ms", "read CSV and compile, ms"),
    ("load_ms", "load a snapshot, ms"),
    ("snapshot_bytes", "snapshot, bytes"),
]


def main():
    points, picture = sys.argv[1:]
    with open(points) as lines:
        points = [json.loads(line) for line in lines]
    series = list(dict.fromkeys(point["series"] for point in points))
    figure, axes = plt.subplots(len(FIGURES), len(series), figsize=(2.6 * len(series), 2 * len(FIGURES)))
    for row, (name, title) in zip(axes, FIGURES):
        for place, of in zip(row, series):
            own = [point for point in points if point["series"] == of]
            sizes, figures = [point["size"] for point in own], [point[name] for point in own]
            place.plot(sizes, figures, marker="o", markersize=3, color="#1f5fa8")
            place.set_xscale("symlog" if 0 in sizes else "log")
            place.set_yscale("log")
            low, high = min(figures), max(figures)
            # Less than a decade would look like much.
            place.set_ylim(low / 3, max(high * 3, low * 10))
            place.grid(True, linewidth=0.3)
            if place is row[0]:
                place.set_ylabel(title)
            if row is axes[-1]:
                place.set_xlabel(of)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})


main()
