"""report - what was measured, as Markdown and as JSON."""

import json
import os
import platform
import time

from .measure import SINTER


def cpu():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def best_peak(run, threads):
    return max(p[threads]["gflops"] for p in run.peaks if threads in p)


def ceilings(run):
    lines = ["## Ceilings", "",
             "Measured first, and again between the tables; percentages are of "
             "the best peak.", "",
             "| threads | FMA, GFLOP/s: best (range) | triad GB/s: "
             + " | ".join(level["level"] for level in
                          run.peaks[0][run.thread_counts[0]]["triad"]) + " |"]
    lines.append("|" + " --- |" * (lines[-1].count("|") - 1))
    for threads in run.thread_counts:
        peaks = [p[threads] for p in run.peaks if threads in p]
        fma = [p["gflops"] for p in peaks]
        lines.append(
            f"| {threads} | {max(fma):.0f} ({min(fma):.0f} to {max(fma):.0f}) | "
            + " | ".join(f"{max(each['gbs'] for each in level):.0f}" for level
                         in zip(*(p["triad"] for p in peaks))) + " |")
    return lines


def table(run, title, note, timings):
    lines = ["", f"## {title}", "", *note.splitlines(), "",
             "| work | threads | side | ms | quartiles | best | GFLOP/s | % of peak "
             "| time / Sinter's | of the best |", "|" + " --- |" * 10]
    sinter = {(t.row, t.threads): t for t in timings if t.side == SINTER}
    rows = list(dict.fromkeys((t.row, t.threads) for t in timings))
    for row in rows:
        for t in timings:
            if (t.row, t.threads) != row:
                continue
            low, median, high = t.quartiles()
            percent = 100 * t.gflops() / best_peak(run, t.threads)
            ratios = " | "
            if t.side != SINTER and row in sinter:
                ratios = (f"{t.ratio(sinter[row]):.2f} | "
                          f"{t.best() / sinter[row].best():.2f}")
            lines.append(f"| {t.row} | {t.threads} | {t.side} | {median:.4g} | "
                         f"{low:.4g} to {high:.4g} | {t.best():.4g} | "
                         f"{t.gflops():.1f} | {percent:.0f} | {ratios} |")
    return lines


def arenas(run):
    lines = ["", "## Arena", "",
             "Bytes that a function's intermediates take, and the most that are "
             "alive at one moment: no plan can need less.", "",
             "| sample | batch | function | arena | lower bound | ratio |",
             "|" + " --- |" * 6]
    for a in run.arenas:
        bound = a["lower_bound_bytes"]
        lines.append(f"| {a['sample']} | {a['batch']} | {a['function']} | "
                     f"{a['arena_bytes']} | {bound} | "
                     + (f"{a['arena_bytes'] / bound:.4f} |" if bound
                        else "- |"))
    return lines


def markdown(run, tables):
    """`tables`: (title, note, timings)."""
    load = os.getloadavg()
    lines = [f"# Sinter beside others, {time.strftime('%Y-%m-%d %H:%M')}", "",
             f"{cpu()}, {os.cpu_count()} cores. Load average "
             f"{run.load_before:.1f} before the run, {load[1]:.1f} in its last "
             "five minutes"
             + (": **the machine was busy with other work**, so figures of "
                "several threads say little and quartiles are wide."
                if run.load_before > 0.7 or load[1] > os.cpu_count() + 0.5
                else "."),
             "Sides take turns within each round; ms are medians over all "
             "rounds, GFLOP/s and percent are of these, ratios are medians "
             "over rounds. A ratio above 1: Sinter is faster. `best` is "
             "the lowest median of a round: what is left to compare by when "
             "others use the machine."
             + (" Training steps and inference on one thread are CPU time."
                if run.cpu_time else ""), ""]
    lines += ceilings(run)
    for title, note, timings in tables:
        if timings:
            lines += table(run, title, note, timings)
    if run.arenas:
        lines += arenas(run)
    if run.pictures:
        lines += ["", "## Rooflines", ""]
        lines += [f"![{path}]({path})" for path in run.pictures]
    if run.skipped:
        lines += ["", "## Skipped", ""]
        lines += [f"- {what}: {why}" for what, why in run.skipped]
    return "\n".join(lines) + "\n"


def record(run, tables):
    rows = []
    for title, _, timings in tables:
        sinter = {(t.row, t.threads): t for t in timings if t.side == SINTER}
        for t in timings:
            low, median, high = t.quartiles()
            other = sinter.get((t.row, t.threads))
            rows.append({
                "table": title, "work": t.row, "threads": t.threads,
                "side": t.side, "ms": median, "quartiles_ms": [low, high],
                "best_ms": t.best(),
                "samples": sum(len(part) for part in t.slices),
                "rounds": len(t.slices), "flops": t.flops,
                "gflops": t.gflops(),
                "percent_of_peak": 100 * t.gflops()
                / best_peak(run, t.threads),
                "time_by_sinters": t.ratio(other) if other else None})
    return {"cpu": cpu(), "cores": os.cpu_count(), "quick": run.quick,
            "cpu_time": run.cpu_time,
            "load_average": [run.load_before, os.getloadavg()[1]],
            "peaks": [p[threads] for p in run.peaks for threads in p],
            "rows": rows, "arenas": run.arenas, "pictures": run.pictures,
            "skipped": run.skipped}


def write(run, tables, markdown_path, json_path):
    with open(markdown_path, "w") as file:
        file.write(markdown(run, tables))
    with open(json_path, "w") as file:
        json.dump(record(run, tables), file, indent=1)
        file.write("\n")
