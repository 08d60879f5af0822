"""conv - kernels of convolutions, beside oneDNN."""

from .measure import Kernels, Side

TITLE = "Convolution kernels"
NOTE = """Batch 32, square images, Keras's padding `same`, without bias. Sinter: a
training step of one convolution behind a small one; each kernel runs among the
others, oneDNN's between the other two of the convolution, untimed. oneDNN: the
better of its own layouts (any) and channels last (nhwc), in brackets which;
reorders into them are not counted. Work counts the taps that fall
on padding; who leaves them out may pass 100 percent of the peak."""

# Name: size, channels, filters, window, stride, groups.
SHAPES = {
    "conv1": (28, 1, 75, 3, 1, 1),
    "conv2": (14, 75, 50, 3, 1, 1),
    "conv3": (7, 50, 25, 3, 1, 1),
    "1x1": (14, 128, 128, 1, 1, 1),
    "stride2": (28, 64, 128, 3, 2, 1),
    "depthwise": (28, 128, 128, 3, 1, 128),
}
BATCH = 32
# The first of a name, or the second; Winograd's transforms of filters count.
KERNELS = {"forward": [("conv2d", 0), ("winograd_filter", 0),
                       ("winograd_conv2d", 0)],
           "dX": [("conv2d_transpose", 0), ("winograd_filter", 1),
                  ("winograd_conv2d", 1)],
           "dW": [("conv2d_filter_gradient", 0),
                  ("winograd_filter_gradient", 0),
                  ("winograd_filter_adjoint", 0)]}
ONEDNN = {"forward": "forward", "dX": "data", "dW": "weights"}


def ids():
    return [f"conv/{name}" for name in SHAPES]


def spec(size, channels, filters, window, stride, groups):
    layer = "depthwise_conv2d: {" if groups > 1 else \
        f"conv2d: {{filters: {filters}, "
    return (f"model: probe\ninput: {{shape: [{size}, {size}, 1]}}\nlayers:\n"
            f"  - conv2d: {{filters: {channels}, kernel_size: 1, "
            "use_bias: false, name: before}\n"
            f"  - {layer}kernel_size: {window}, strides: {stride}, "
            "padding: same, use_bias: false, name: probed}\n"
            "  - flatten\nloss: mean_squared_error\n"
            "optimizer: {sgd: {learning_rate: 0.01}}\n"
            f"train: {{batch_size: {BATCH}}}\n")


def kernels_of(work):
    def find(kernels):
        found = []
        for name, number in KERNELS[work]:
            named = [k for k in kernels
                     if k["name"].split("+")[0] == f"probed: {name}"]
            found += named[number:number + 1]
        return found
    return find


def keep_better(timings):
    """Of each kernel, the faster of oneDNN's two layouts."""
    best = {}
    for timing in timings:
        if timing.side.startswith("oneDNN"):
            key = timing.row, timing.threads
            if key not in best or timing.median() < best[key].median():
                best[key] = timing
    return [t for t in timings if not t.side.startswith("oneDNN")
            or best[t.row, t.threads] is t]


def measure(run, row):
    name = row.split("/")[1]
    size, channels, filters, window, stride, groups = SHAPES[name]
    out = -(-size // stride)
    flops = 2.0 * BATCH * out * out * window * window * channels * filters \
        / groups
    works = [w for w in KERNELS if not (name == "conv1" and w == "dX")]
    program = run.compile(spec(*SHAPES[name]))
    onednn = run.peer("peer_onednn", "libdnnl-dev")
    label = (f"{name} {channels}->{filters} {size}x{size} "
             f"k{window} s{stride}").strip()
    for threads in run.kernel_threads:
        sides = [Kernels(program, threads, {w: kernels_of(w) for w in works})]
        if onednn:
            sides += [Side(f"oneDNN ({layout})",
                           [onednn, ONEDNN[work], layout, BATCH,
                            *SHAPES[name]], threads, work)
                      for work in works for layout in ("any", "nhwc")]
        run.compare(label, threads, sides, flops, run.kernel_rounds)
    run.timings = keep_better(run.timings)
