// OnnxGraph.cpp - protobuf's side of writing ONNX.
#include "frontend/onnx/OnnxGraph.h"

#include "llvm/Support/Endian.h"

#include <onnx/onnx_pb.h>

#include <limits>

using namespace sinter::frontend;
using llvm::ArrayRef;
using llvm::StringRef;

/// Of the versions that the packages of Debian 12 know, too.
static constexpr int64_t kIrVersion = 8, kOpset = 17;

struct OnnxGraph::Model {
  onnx::ModelProto proto;
  onnx::GraphProto &graph = *proto.mutable_graph();
};

OnnxGraph::OnnxGraph(StringRef name, StringRef version)
    : model(std::make_unique<Model>()) {
  onnx::ModelProto &proto = model->proto;
  proto.set_ir_version(kIrVersion);
  proto.set_producer_name("sinter");
  proto.set_producer_version(version.str());
  onnx::OperatorSetIdProto &opset = *proto.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOpset);
  model->graph.set_name(name.str());
}

OnnxGraph::~OnnxGraph() = default;

void OnnxGraph::setDescription(StringRef text) {
  model->proto.set_doc_string(text.str());
}

static void describeValue(onnx::ValueInfoProto &info, StringRef name,
                          int32_t elementType, ArrayRef<int64_t> sample) {
  info.set_name(name.str());
  auto &type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(elementType);
  type.mutable_shape()->add_dim()->set_dim_param("N");
  for (int64_t size : sample)
    type.mutable_shape()->add_dim()->set_dim_value(size);
}

void OnnxGraph::addInput(StringRef name, ElementType type,
                         ArrayRef<int64_t> sample) {
  describeValue(*model->graph.add_input(), name,
                type == Int64 ? onnx::TensorProto::INT64
                              : onnx::TensorProto::FLOAT,
                sample);
}

void OnnxGraph::addOutput(StringRef name, ArrayRef<int64_t> sample) {
  describeValue(*model->graph.add_output(), name, onnx::TensorProto::FLOAT,
                sample);
}

/// The values as the file has them: little-endian.
template <typename T> static std::string rawData(ArrayRef<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  for (size_t i = 0; i < values.size(); ++i)
    llvm::support::endian::write(bytes.data() + i * sizeof(T), values[i],
                                 llvm::endianness::little);
  return bytes;
}

void OnnxGraph::addConstant(StringRef name, ArrayRef<int64_t> shape,
                            ArrayRef<float> values) {
  onnx::TensorProto &tensor = *model->graph.add_initializer();
  tensor.set_name(name.str());
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (int64_t size : shape)
    tensor.add_dims(size);
  tensor.set_raw_data(rawData(values));
}

void OnnxGraph::addConstant(StringRef name, ArrayRef<int64_t> values) {
  onnx::TensorProto &tensor = *model->graph.add_initializer();
  tensor.set_name(name.str());
  tensor.set_data_type(onnx::TensorProto::INT64);
  tensor.add_dims(static_cast<int64_t>(values.size()));
  tensor.set_raw_data(rawData(values));
}

static void setValue(onnx::AttributeProto &proto, int64_t value) {
  proto.set_type(onnx::AttributeProto::INT);
  proto.set_i(value);
}
static void setValue(onnx::AttributeProto &proto, float value) {
  proto.set_type(onnx::AttributeProto::FLOAT);
  proto.set_f(value);
}
static void setValue(onnx::AttributeProto &proto, StringRef value) {
  proto.set_type(onnx::AttributeProto::STRING);
  proto.set_s(value.str());
}
static void setValue(onnx::AttributeProto &proto,
                     const std::vector<int64_t> &values) {
  proto.set_type(onnx::AttributeProto::INTS);
  for (int64_t value : values)
    proto.add_ints(value);
}

static void setValue(onnx::AttributeProto &proto,
                     const std::vector<float> &values) {
  proto.set_type(onnx::AttributeProto::FLOATS);
  for (float value : values)
    proto.add_floats(value);
}
static void setValue(onnx::AttributeProto &proto,
                     const std::vector<std::string> &values) {
  proto.set_type(onnx::AttributeProto::STRINGS);
  for (const std::string &value : values)
    proto.add_strings(value);
}

void OnnxGraph::addNode(StringRef name, StringRef op,
                        ArrayRef<std::string> operands,
                        ArrayRef<std::string> results,
                        ArrayRef<OnnxAttribute> attributes,
                        StringRef description) {
  onnx::NodeProto &node = *model->graph.add_node();
  node.set_name(name.str());
  node.set_op_type(op.str());
  for (const std::string &operand : operands)
    node.add_input(operand);
  for (const std::string &result : results)
    node.add_output(result);
  if (!description.empty())
    node.set_doc_string(description.str());
  for (const OnnxAttribute &attribute : attributes) {
    onnx::AttributeProto &proto = *node.add_attribute();
    proto.set_name(attribute.name.str());
    std::visit([&](const auto &value) { setValue(proto, value); },
               attribute.value);
  }
}

void OnnxGraph::renameLastResult(StringRef name) {
  auto &nodes = *model->graph.mutable_node();
  *nodes.rbegin()->mutable_output()->rbegin() = name.str();
}

std::string OnnxGraph::serialize() const {
  std::string bytes;
  if (model->proto.ByteSizeLong() <= std::numeric_limits<int32_t>::max())
    model->proto.SerializeToString(&bytes);
  return bytes;
}
