"""The table: measure, figure (min / median / max), limit or peer, ratio, target, met or not."""
import statistics


def number(value):
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values):
    return " / ".join(number(v) for v in (min(values), statistics.median(values), max(values))) if values else "not measured"


def ratio_of(values, limits):
    """Round by round where both have all rounds, so that what else the machine did in a round cancels out."""
    if not values or not limits:
        return None
    if len(values) == len(limits):
        return statistics.median(v / limit for v, limit in zip(values, limits))
    return statistics.median(values) / statistics.median(limits)


class Table:
    def __init__(self):
        self.rows = []

    def add(self, measure, values, target="", met=None, limit="", limits=()):
        """values, limits: a figure for each round; met(median, ratio): is the target met?"""
        ratio = ratio_of(values, limits)
        judged = met is not None and values
        self.rows.append((measure, spread(values), f"{limit} {number(statistics.median(limits))}" if limits else "", "" if ratio is None else f"{ratio:.3g}",
                          target, "" if not judged else "met" if met(statistics.median(values), ratio) else "NOT met"))

    def show(self):
        rows = [("measure", "figure (min / median / max)", "limit or peer", "ratio", "target", "")] + self.rows
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


