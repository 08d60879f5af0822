// class_map.h - the labels of a data set and the class numbers they stand for.
//
// With `classes: auto` class i is the i-th smallest label that occurs in the
// training set: whole numbers, or texts of a table, which are then the names of
// the labels 0, 1, 2, ... The labels travel with the weights (in the file's
// metadata), so that evaluation and prediction speak of the data's labels
// again. So do the names that classes have where pictures lie in a folder for
// each class.
#ifndef SINTER_TRAINER_CLASS_MAP_H
#define SINTER_TRAINER_CLASS_MAP_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/notes.h"

namespace sinter::trainer {

class ClassMap {
public:
  bool isGiven() const { return !labels.empty(); }
  /// Whether the labels are texts.
  bool isOfTexts() const { return isGiven() && !names.empty(); }
  int64_t classes() const { return static_cast<int64_t>(labels.size()); }

  /// Of the classes, in their order; empty where the data names none.
  std::vector<std::string> names;

  /// What people call a class: its name, or else its label.
  std::string name(int32_t number) const {
    return static_cast<size_t>(number) < names.size()
               ? names[static_cast<size_t>(number)]
               : std::to_string(label(number));
  }
  void forgetLabels() { labels.clear(); }

  /// The label of a class; the class itself where nothing is mapped.
  int32_t label(int32_t number) const {
    return isGiven() ? labels[static_cast<size_t>(number)] : number;
  }
  /// The class of a label, or -1.
  int32_t find(float label) const;

  /// Takes the labels that occur in `found`, which have to be `classes` many
  /// whole numbers. `file` is for the message.
  Error learn(const std::string &file, const Array &found, int64_t classes);

  /// The same of texts.
  Error learn(const std::string &file, const std::vector<std::string> &found,
              int64_t classes);
  /// The class of a text, or -1.
  int32_t find(const std::string &text) const;

  /// "0, 1, 7", or "cat, dog"
  std::string text() const;
  void save(Notes &notes) const;
  /// Keeps nothing when the notes hold no map and no names.
  Error load(const std::string &path, const Notes &notes);

  bool operator==(const ClassMap &) const = default;

private:
  Error checkCount(const std::string &file, int64_t classes) const;

  std::vector<int32_t> labels; // ascending
};

} // namespace sinter::trainer

#endif
