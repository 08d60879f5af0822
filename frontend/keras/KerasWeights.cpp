// KerasWeights.cpp - two layouts, and the names that Keras has given.
//
// Whole models and `save_weights` of Keras 2: a group for each layer, whose
// attribute weight_names lists its datasets in Keras's order; whole models have
// them below model_weights:
//
//   /model_weights/dense_1@weight_names = ["dense_1/kernel:0", ...]
//   /model_weights/dense_1/dense_1/kernel:0
//
// The last part of a name, without ":0", is the variable's: "kernel". It may be
// missing that form (old files have "kernel_1:0", "param_0"); then the order
// decides, which is that of our parameters.
//
// A model inside of the model has one group; it lists the variables that are
// trained, in the order of its layers, and behind them the others.
//
// Keras 3 (.keras, .weights.h5): variables are numbered in the same order, and
// groups are named after the layers' classes, counted in the file's order, not
// after the layers; newer files also have the name as an attribute:
//
//   /layers/conv2d_1/vars/0            the second Conv2D's kernel
//   /layers/lstm/cell/vars/1           a recurrent kernel
//   /layers/functional/layers/dense/vars/0     of a model inside
//   /layers/multi_head_attention/query_dense/vars/0
//
// CuDNNLSTM and CuDNNGRU have their kernels in the order of that library, with
// a bias more; they become an lstm's and a gru's, as when Keras loads them.
#include "frontend/keras/KerasWeights.h"

#include "frontend/LayerParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace sinter::frontend;
using llvm::StringRef;

namespace {

struct Candidate {
  std::string name; // as the file has it
  Hdf5Dataset *data = nullptr;
};

class WeightFinder {
public:
  explicit WeightFinder(Hdf5Content &content);

  bool isKnown() const { return layout != Layout::Unknown; }
  bool isByName() const { return layout == Layout::ByName; }
  /// The datasets of a layer, in Keras's order; of a layer in a model, ByName,
  /// those of the model.
  std::vector<Candidate> candidates(const KerasLayer &layer);

private:
  enum class Layout { Unknown, ByName, ByClass };

  std::vector<Candidate> below(const std::string &group);
  std::string groupOf(const KerasLayer &layer);

  Hdf5Content &content;
  Layout layout = Layout::Unknown;
  std::string root;
  /// Of groups that have their layer's name as an attribute: the path of the
  /// group around, a line feed, the name.
  std::map<std::string, std::string> byAttribute;
};

} // namespace

WeightFinder::WeightFinder(Hdf5Content &content) : content(content) {
  for (const char *path : {"/model_weights", ""})
    if (content.list(path, "layer_names")) {
      layout = Layout::ByName;
      root = path;
      return;
    }
  for (const char *path : {"/layers", "/_layer_checkpoint_dependencies"})
    if (content.hasGroup(path)) {
      layout = Layout::ByClass;
      root = path;
      for (const std::string &group : content.groups)
        if (const std::string *name = content.text(group, "name")) {
          StringRef own = group;
          own.consume_back("/vars");
          byAttribute[own.rsplit('/').first.str() + "\n" + *name] = own.str();
        }
      return;
    }
  if (content.hasGroup("/model_weights")) {
    layout = Layout::ByName;
    root = "/model_weights";
  }
}

std::string WeightFinder::groupOf(const KerasLayer &layer) {
  if (layout == Layout::ByName)
    return root + "/" + layer.path.front().name;
  std::string inside = root, group;
  for (const KerasStep &step : layer.path) {
    const std::string byClass = inside + "/" + step.byClass;
    auto named = byAttribute.find(inside + "\n" + step.name);
    group = named != byAttribute.end()  ? named->second
            : content.hasGroup(byClass) ? byClass
                                        : inside + "/" + step.name;
    for (const char *below : {"/layers", "/_layer_checkpoint_dependencies"})
      if (content.hasGroup(group + below))
        inside = group + below;
  }
  return group;
}

/// All datasets of a group and those in it, in order of names.
std::vector<Candidate> WeightFinder::below(const std::string &group) {
  std::vector<Candidate> result;
  const std::string prefix = group + "/";
  for (auto it = content.datasets.lower_bound(prefix);
       it != content.datasets.end() && StringRef(it->first).starts_with(prefix);
       ++it)
    result.push_back({it->first.substr(prefix.size()), &it->second});
  return result;
}

std::vector<Candidate> WeightFinder::candidates(const KerasLayer &layer) {
  const std::string group = groupOf(layer);
  std::vector<Candidate> result;
  if (layout == Layout::ByClass) {
    // A layer's own, or those of what is inside of it, in Keras's order.
    for (const char *part :
         {"", "cell/", "layer/", "layer/cell/", "forward_layer/",
          "forward_layer/cell/", "backward_layer/", "backward_layer/cell/",
          "query_dense/", "_query_dense/", "key_dense/", "_key_dense/",
          "value_dense/", "_value_dense/", "output_dense/", "_output_dense/"})
      for (size_t i = 0;; ++i) {
        std::string name = part + ("vars/" + std::to_string(i));
        auto it = content.datasets.find(group + "/" + name);
        if (it == content.datasets.end())
          break;
        result.push_back({name, &it->second});
      }
    return result;
  }
  const std::vector<std::string> *names = content.list(group, "weight_names");
  if (!names)
    return below(group);
  for (const std::string &name : *names) {
    auto it = content.datasets.find(group + "/" + name);
    result.push_back(
        {name, it == content.datasets.end() ? nullptr : &it->second});
  }
  return result;
}

KerasPlace sinter::frontend::kerasPlaceOf(const LayerRecord &layer,
                                          size_t parameter) {
  const std::string &full = layer.parameters[parameter].name;
  StringRef name = StringRef(full).rsplit('/').second;
  std::string number = "vars/" + std::to_string(parameter);
  if (isRecurrent(layer.config))
    return {layer.config.name + "_cell/" + name.str(), "cell/" + number};
  if (layer.config.name == "time_distributed")
    return {name.str(), "layer/" + number};
  if (layer.config.name == "multi_head_attention") {
    // "query/kernel" and "query/bias" are the variables of query_dense.
    StringRef part = StringRef(full).drop_front(layer.name.size() + 1);
    const std::string byName = part.str();
    part.consume_front("attention_");
    return {byName, part.split('/').first.str() + "_dense/vars/" +
                        (name == "bias" ? "1" : "0")};
  }
  if (layer.config.name != "bidirectional")
    return {name.str(), number};
  // The second half counts anew.
  const bool isForward = name.consume_front("forward_");
  if (!isForward) {
    name.consume_front("backward_");
    size_t before = 0;
    for (const Parameter &other : layer.parameters)
      before +=
          StringRef(other.name).rsplit('/').second.starts_with("forward_");
    number = "vars/" + std::to_string(parameter - before);
  }
  const std::string side = isForward ? "forward_" : "backward_";
  const std::string kind = isForward ? layer.config.config("layer").name
                                     : backwardLayer(layer.config).name;
  return {side + kind + "/" + kind + "_cell/" + name.str(),
          side + "layer/cell/" + number};
}

bool sinter::frontend::hasKerasWeights(Hdf5Content &content) {
  return WeightFinder(content).isKnown();
}

/// "conv2d/kernel:0" is the variable "kernel".
static StringRef variableOf(StringRef name) {
  return name.rsplit('/').second.empty()
             ? name.split(':').first
             : name.rsplit('/').second.split(':').first;
}

/// The candidate for each parameter, or nothing.
static std::vector<const Candidate *>
match(llvm::ArrayRef<Parameter> parameters,
      llvm::ArrayRef<Candidate> candidates) {
  std::vector<const Candidate *> result;
  if (parameters.size() != candidates.size())
    return result;
  for (const Parameter &parameter : parameters) {
    StringRef wanted = StringRef(parameter.name).rsplit('/').second;
    auto it = llvm::find_if(candidates, [&](const Candidate &candidate) {
      return variableOf(candidate.name) == wanted;
    });
    if (it != candidates.end() && !llvm::is_contained(result, &*it))
      result.push_back(&*it);
  }
  if (result.size() == parameters.size())
    return result;
  result.clear();
  for (const Candidate &candidate : candidates)
    result.push_back(&candidate);
  return result;
}

/// Gate by gate, a kernel (in, gates units) of cuDNN as Keras's: the numbers
/// of each gate lie as (units, in) one after the other, in the form of
/// (in, units).
static void turnKernel(std::vector<float> &values, int64_t in, int64_t units,
                       int64_t gates) {
  const std::vector<float> given = values;
  const int64_t columns = gates * units;
  for (int64_t gate = 0; gate < gates; ++gate)
    for (int64_t i = 0; i < in * units; ++i)
      values[(i % in) * columns + gate * units + i / in] =
          given[(i / units) * columns + gate * units + i % units];
}

/// Weights of CuDNNLSTM and CuDNNGRU, which a bias for the input and one for
/// the state, in one row, tell from the others. An lstm has their sum.
static void takeCuDnnForm(llvm::ArrayRef<Parameter> parameters,
                          llvm::ArrayRef<const Candidate *> found) {
  for (size_t i = 2; i < found.size(); ++i) {
    if (!StringRef(parameters[i].name).ends_with("bias") ||
        parameters[i].shape.empty())
      continue;
    const std::vector<int64_t> &bias = parameters[i].shape;
    const bool isGru = bias.size() == 2;
    const int64_t columns = bias.back(), gates = isGru ? 3 : 4,
                  units = columns / gates;
    auto fits = [&](size_t at, const std::vector<int64_t> &shape) {
      const Hdf5Dataset *data = found[at]->data;
      int64_t count = 1;
      for (int64_t size : shape)
        count *= size;
      return data && data->shape == shape &&
             static_cast<int64_t>(data->values.size()) == count;
    };
    const bool isRecurrentKernel =
        StringRef(parameters[i - 1].name).ends_with("recurrent_kernel");
    if (!isRecurrentKernel || parameters[i - 1].shape.back() != columns ||
        units * gates != columns || !fits(i - 2, parameters[i - 2].shape) ||
        !fits(i - 1, {units, columns}) || !fits(i, {2 * columns}) ||
        found[i - 2]->data == found[i - 1]->data)
      continue;
    turnKernel(found[i - 2]->data->values, parameters[i - 2].shape[0], units,
               gates);
    turnKernel(found[i - 1]->data->values, units, units, gates);
    Hdf5Dataset &both = *found[i]->data;
    both.shape = bias;
    if (isGru)
      continue;
    for (int64_t k = 0; k < columns; ++k)
      both.values[k] += both.values[columns + k];
    both.values.resize(columns);
  }
}

template <typename Range, typename Name>
static std::string listNames(const Range &range, Name name) {
  std::string text;
  for (const auto &element : range)
    text += (text.empty() ? "" : ", ") + printable(name(element));
  return text.empty() ? "none" : text;
}

/// Layers of one model inside of the model, whose weights lie in one group, and
/// in it first those that are trained.
namespace {
struct Inner {
  std::vector<Candidate> candidates;
  size_t trained = 0; // parameters of all its layers that are
  size_t nextTrained = 0, nextFrozen = 0;
};
} // namespace

std::vector<ImportedWeight> sinter::frontend::takeKerasWeights(
    Hdf5Content &content, llvm::ArrayRef<KerasLayer> layers,
    llvm::ArrayRef<LayerRecord> records, std::vector<Offender> &offenders) {
  WeightFinder finder(content);
  auto isInner = [&](const KerasLayer &layer) {
    return finder.isByName() && layer.path.size() > 1;
  };
  std::map<std::string, Inner> inners; // by the outermost model's name
  std::vector<size_t> inOrder(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    inOrder[i] = i;
    if (!isInner(layers[i]) || records[i].parameters.empty())
      continue;
    Inner &inner = inners[layers[i].path.front().name];
    if (inner.candidates.empty())
      inner.candidates = finder.candidates(layers[i]);
    inner.trained +=
        llvm::count_if(records[i].parameters, [](const Parameter &parameter) {
          return parameter.trainable;
        });
  }
  // Keras lists a model's layers in the order of their depth, which the file's
  // is too: the place says where a layer stands.
  llvm::stable_sort(inOrder, [&](size_t a, size_t b) {
    return layers[a].place < layers[b].place;
  });
  std::vector<ImportedWeight> weights;
  for (size_t i : inOrder) {
    const KerasLayer &layer = layers[i];
    const LayerRecord &record = records[i];
    auto offend = [&](std::string why) {
      offenders.push_back({layer.name, layer.className, std::move(why), ""});
    };
    if (record.parameters.empty())
      continue; // Dropout may have the state of its generator
    std::vector<Candidate> candidates;
    if (isInner(layer)) {
      Inner &inner = inners[layer.path.front().name];
      for (const Parameter &parameter : record.parameters) {
        const size_t at = parameter.trainable
                              ? inner.nextTrained++
                              : inner.trained + inner.nextFrozen++;
        if (at < inner.candidates.size())
          candidates.push_back(inner.candidates[at]);
      }
    } else {
      candidates = finder.candidates(layer);
    }
    std::vector<const Candidate *> found = match(record.parameters, candidates);
    if (found.empty()) {
      offend("expected the weights " +
             listNames(record.parameters,
                       [](const Parameter &parameter) {
                         return StringRef(parameter.name).rsplit('/').second;
                       }) +
             ", the file has " +
             listNames(candidates, [](const Candidate &candidate) {
               return StringRef(candidate.name);
             }));
      continue;
    }
    takeCuDnnForm(record.parameters, found);
    for (const auto &[parameter, candidate] :
         llvm::zip_equal(record.parameters, found)) {
      const std::string name = "'" + printable(candidate->name) + "'";
      if (!candidate->data)
        offend("weight " + name + " is listed, but not in the file");
      else if (!StringRef(candidate->data->type).starts_with("f"))
        offend("weight " + name + ": expected floating-point numbers, got " +
               candidate->data->type);
      else if (candidate->data->shape != parameter.shape)
        offend("weight " + name + ": expected the shape " +
               toText(parameter.shape) + ", got " +
               toText(candidate->data->shape));
      else
        weights.push_back({parameter.name, parameter.shape,
                           std::move(candidate->data->values)});
    }
  }
  return weights;
}
