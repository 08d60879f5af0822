"""matmul - kernels of dense layers, beside OpenBLAS and oneDNN."""

from .measure import Kernels, Side

TITLE = "Matmul kernels"
NOTE = """C (M, N) = A B over K. Sinter: a training step of a dense layer without
bias. NT and NN are both its forward kernel (a library may have its weights either
way, Sinter has its own), with the loss fused in; TN is the weight's gradient,
with SGD's update fused in; `dX` the input's gradient. A kernel runs among the
others of its step, which is harder on caches than the libraries' loop over one
matmul; a sweep that transposes an operand beforehand is a kernel of its own and
not counted. Libraries: plain row-major memory, weights not packed beforehand."""

# Batch, in, units: (form, M, N, K) of the forward kernel's two namings, the
# weight's gradient, the input's.
SQUARES = [(n, n, n) for n in (256, 512, 1024, 2048)]
LAYERS = {
    (32, 784, 100): ["NT forward", "NN forward", "TN dW"],
    (128, 784, 512): ["NT forward", "TN dW"],
    (128, 512, 10): ["NT forward", "NN dX"],
    (32, 400, 512): ["NT forward", "TN dW", "NN dX"],
    **{square: ["NN forward"] for square in SQUARES},
}


def ids():
    return ["matmul/" + "x".join(map(str, layer)) for layer in LAYERS]


def spec(batch, size, units, before):
    """With a layer before it, a layer's input needs a gradient."""
    first = "  - dense: {units: %d, use_bias: false, name: before}\n" % size
    return (f"model: probe\ninput: {{shape: [{8 if before else size}]}}\n"
            f"layers:\n{first if before else ''}"
            f"  - dense: {{units: {units}, use_bias: false, name: probed}}\n"
            "loss: mean_squared_error\n"
            "optimizer: {sgd: {learning_rate: 0.01}}\n"
            f"train: {{batch_size: {batch}}}\n")


def shape_of(work, layer):
    """M, N, K."""
    batch, size, units = layer
    return {"forward": (batch, units, size), "dW": (units, size, batch),
            "dX": (batch, size, units)}[work.split()[1]]


def kernels_of(work):
    """Of the layer's matmuls, forward comes first, and dX behind it."""
    def find(kernels):
        mine = [k for k in kernels if k["name"].startswith("probed: matmul")]
        gradients = [k for k in mine if k["kind"] == "weight_gradient"]
        others = [k for k in mine if k not in gradients]
        return {"forward": others[:1], "dW": gradients,
                "dX": others[1:]}[work.split()[1]]
    return find


def measure(run, row):
    layer = tuple(map(int, row.split("/")[1].split("x")))
    if run.quick and layer[0] > 512:
        run.skip(row, "takes long: not with --quick")
        return
    works = LAYERS[layer]
    program = run.compile(spec(*layer, any("dX" in w for w in works)))
    openblas = run.peer("peer_openblas", "libopenblas-openmp-dev")
    onednn = run.peer("peer_onednn", "libdnnl-dev")
    labels = {w: "{} {}x{}x{}".format(w, *shape_of(w, layer)) for w in works}
    flops = {labels[w]: 2.0 * layer[0] * layer[1] * layer[2] for w in works}
    for threads in run.kernel_threads:
        sides = [Kernels(program, threads,
                         {labels[w]: kernels_of(w) for w in works})]
        for work in works:
            arguments = [work.split()[0], *shape_of(work, layer)]
            if openblas:
                sides.append(Side("OpenBLAS", [openblas, *arguments], threads,
                                  labels[work]))
            if onednn:
                sides.append(Side("oneDNN", [onednn, "matmul", *arguments],
                                  threads, labels[work]))
        run.compare("", threads, sides, flops, run.kernel_rounds)
