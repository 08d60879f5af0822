"""arena - memory that intermediates need, beside the least that any plan can."""

import json
import os

from .measure import ROOT, output, sample

TITLE = "Arena"


def ids():
    folder = os.path.join(ROOT, "samples")
    return [f"arena/{name}/{file}" for name in sorted(os.listdir(folder))
            if os.path.isdir(os.path.join(folder, name))
            for file in sorted(os.listdir(os.path.join(folder, name)))
            if file.endswith(".yaml")]


def measure(run, row):
    _, name, file = row.split("/")
    if run.quick and file != "model.yaml":
        return
    info = json.loads(output(run.compile(sample(name, file=file)), "info",
                             "--json"))
    for function, values in info["functions"].items():
        run.arenas.append({
            "sample": f"{name}/{file[:-5]}", "batch": info["batch_bound"],
            "function": function, "arena_bytes": values["arena_bytes"],
            "lower_bound_bytes": values["lower_bound_bytes"]})
