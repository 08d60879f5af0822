// onnx_check - what ONNX's own checker says about files, and what is in them.
//
//   onnx_check FILE.onnx...
//
// Checks each file fully: the model, each node against its op's schema, and all
// shapes from input to output, which have to be the ones that the file
// declares. Prints a line of JSON for each: its nodes' ops, and names of what
// is in it. Names are printed as they are: Sinter's need no escapes.
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <cstdio>
#include <fstream>
#include <string>

template <typename List, typename Get>
static std::string join(const List &list, Get get) {
  std::string text;
  for (const auto &element : list)
    text += (text.empty() ? "\"" : ", \"") + get(element) + "\"";
  return "[" + text + "]";
}

/// "float N 28 28 1"
static std::string typeText(const onnx::ValueInfoProto &value) {
  const auto &type = value.type().tensor_type();
  std::string text = onnx::TensorProto_DataType_Name(
      static_cast<onnx::TensorProto_DataType>(type.elem_type()));
  for (const auto &dim : type.shape().dim())
    text += " " + (dim.has_dim_param() ? dim.dim_param()
                                       : std::to_string(dim.dim_value()));
  return value.name() + " " + text;
}

static void check(const char *path) {
  onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  if (!model.ParseFromIstream(&file))
    throw std::runtime_error("expected a file of ONNX");
  onnx::checker::check_model(model);
  onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(),
                                     {/*check_type=*/true,
                                      /*error_mode=*/1,
                                      /*data_propagation=*/true});
  auto name = [](const auto &part) { return part.name(); };
  const onnx::GraphProto &graph = model.graph();
  std::printf(
      "{\"ir\": %d, \"opset\": %d, \"producer\": \"%s\", \"ops\": %s, "
      "\"nodes\": %s, \"results\": %s, \"initializers\": %s, \"input\": %s, "
      "\"output\": %s}\n",
      static_cast<int>(model.ir_version()),
      static_cast<int>(model.opset_import(0).version()),
      model.producer_name().c_str(),
      join(graph.node(), [](const auto &node) { return node.op_type(); })
          .c_str(),
      join(graph.node(), name).c_str(),
      join(graph.node(), [](const auto &node) { return node.output(0); })
          .c_str(),
      join(graph.initializer(), name).c_str(),
      join(graph.input(), typeText).c_str(),
      join(graph.output(), typeText).c_str());
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i)
    try {
      check(argv[i]);
    } catch (const std::exception &error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.what());
      return 1;
    }
  return 0;
}
