// onednn.cpp - one matmul or convolution of oneDNN, f32.
//
// Matmuls read and write plain row-major memory. Convolutions have either
// channels last everywhere (nhwc), or the layouts that the library asks for
// (any); what it takes to bring data into those is not counted. As in a
// training step, a convolution and its gradients take turns; one of them is
// timed.
//
//   peer_onednn matmul NN|NT|TN M N K
//   peer_onednn forward|data|weights nhwc|any BATCH SIZE CHANNELS FILTERS
//     KERNEL STRIDE GROUPS              square images, Keras's padding "same"
//
// Timed in slices (slices.h).
#include "bench/slices.h"

#include <cstdlib>
#include <cstring>
#include <dnnl.hpp>
#include <string>
#include <unordered_map>

using namespace dnnl;
using tag = memory::format_tag;

namespace {

constexpr auto f32 = memory::data_type::f32;

memory filled(const memory::desc &desc, const engine &cpu) {
  memory result(desc, cpu);
  float *values = static_cast<float *>(result.get_data_handle());
  const size_t count = desc.get_size() / sizeof(float);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(i % 17) / 16;
  return result;
}

/// A primitive and what it reads and writes.
struct Call {
  primitive operation;
  std::unordered_map<int, memory> arguments;

  void run(stream &queue) const {
    operation.execute(queue, arguments);
    queue.wait();
  }
};

void runMatmul(const std::string &form, memory::dim m, memory::dim n,
               memory::dim k, const engine &cpu, stream &queue) {
  memory::desc a({m, k}, f32, form[0] == 'T' ? tag::ba : tag::ab),
      b({k, n}, f32, form[1] == 'T' ? tag::ba : tag::ab),
      c({m, n}, f32, tag::ab);
  matmul operation(matmul::primitive_desc(matmul::desc(a, b, c), cpu));
  const Call call{operation,
                  {{DNNL_ARG_SRC, filled(a, cpu)},
                   {DNNL_ARG_WEIGHTS, filled(b, cpu)},
                   {DNNL_ARG_DST, filled(c, cpu)}}};
  serveSlices([&] { call.run(queue); });
}

void runConvolution(const std::string &direction, const std::string &layout,
                    const memory::dim *size, const engine &cpu, stream &queue) {
  const memory::dim batch = size[0], in = size[1], channels = size[2],
                    filters = size[3], window = size[4], stride = size[5],
                    groups = size[6];
  const memory::dim out = (in + stride - 1) / stride;
  const memory::dim padding =
      std::max<memory::dim>((out - 1) * stride + window - in, 0);
  const memory::dims strides = {stride, stride},
                     before = {padding / 2, padding / 2},
                     after = {padding - padding / 2, padding - padding / 2};
  const bool any = layout == "any";
  const tag image = any ? tag::any : tag::nhwc;
  memory::desc source({batch, channels, in, in}, f32, image),
      result({batch, filters, out, out}, f32, image), kernel;
  if (groups == 1)
    kernel = memory::desc({filters, channels, window, window}, f32,
                          any ? tag::any : tag::hwio);
  else
    kernel = memory::desc(
        {groups, filters / groups, channels / groups, window, window}, f32,
        any ? tag::any : tag::hwigo);

  convolution_forward::primitive_desc forward(
      convolution_forward::desc(prop_kind::forward_training,
                                algorithm::convolution_direct, source, kernel,
                                result, strides, before, after),
      cpu);
  convolution_backward_data::primitive_desc data(
      convolution_backward_data::desc(algorithm::convolution_direct, source,
                                      kernel, result, strides, before, after),
      cpu, forward);
  convolution_backward_weights::primitive_desc weights(
      convolution_backward_weights::desc(algorithm::convolution_direct, source,
                                         kernel, result, strides, before,
                                         after),
      cpu, forward);

  // They share what has one layout.
  const memory x = filled(forward.src_desc(), cpu),
               w = filled(forward.weights_desc(), cpu),
               dy = filled(data.diff_dst_desc(), cpu);
  auto sharedOr = [&](const memory &shared, const memory::desc &desc) {
    return shared.get_desc() == desc ? shared : filled(desc, cpu);
  };
  const std::pair<const char *, Call> calls[] = {
      {"forward",
       {convolution_forward(forward),
        {{DNNL_ARG_SRC, x},
         {DNNL_ARG_WEIGHTS, w},
         {DNNL_ARG_DST, filled(forward.dst_desc(), cpu)}}}},
      {"weights",
       {convolution_backward_weights(weights),
        {{DNNL_ARG_SRC, sharedOr(x, weights.src_desc())},
         {DNNL_ARG_DIFF_WEIGHTS, filled(weights.diff_weights_desc(), cpu)},
         {DNNL_ARG_DIFF_DST, sharedOr(dy, weights.diff_dst_desc())}}}},
      {"data",
       {convolution_backward_data(data),
        {{DNNL_ARG_DIFF_SRC, filled(data.diff_src_desc(), cpu)},
         {DNNL_ARG_WEIGHTS, sharedOr(w, data.weights_desc())},
         {DNNL_ARG_DIFF_DST, dy}}}}};
  constexpr int count = 3;
  int timed = 0;
  while (timed < count && direction != calls[timed].first)
    ++timed;
  if (timed == count)
    throw error(dnnl_invalid_arguments, "expected forward, data or weights");
  serveSlices([&] { calls[timed].second.run(queue); },
              [&] {
                for (int i = 1; i < count; ++i)
                  calls[(timed + i) % count].second.run(queue);
              });
}

} // namespace

int main(int argc, char **argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  memory::dim sizes[7] = {};
  for (int i = 3; i < argc && i < 10; ++i)
    sizes[i - 3] = std::atol(argv[i]);
  try {
    engine cpu(engine::kind::cpu, 0);
    stream queue(cpu);
    if (kind == "matmul" && argc == 6) {
      runMatmul(argv[2], sizes[0], sizes[1], sizes[2], cpu, queue);
    } else if (argc == 10) {
      runConvolution(kind, argv[2], sizes, cpu, queue);
    } else {
      std::fprintf(stderr,
                   "usage: peer_onednn matmul NN|NT|TN M N K\n"
                   "       peer_onednn forward|data|weights nhwc|any "
                   "BATCH SIZE CHANNELS FILTERS KERNEL STRIDE GROUPS\n");
      return 2;
    }
  } catch (const error &problem) {
    std::fprintf(stderr, "peer_onednn: %s\n", problem.what());
    return 3;
  }
  return 0;
}
