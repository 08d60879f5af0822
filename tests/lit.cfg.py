# How lit runs the .mlir and .yaml files below this folder. A test is a file with
# RUN lines; tools are called by their bare names.

import os

import lit.formats
import lit.util

config.name = "Sinter"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".yaml", ".test"]
# Files that unit tests and whole-program tests read, not tests themselves.
config.excludes = ["e2e", "gradients", "unit", "Inputs"]

config.environment["FILECHECK_OPTS"] = "--enable-var-scope"
# Where a tool is missing, its tests do not apply: `// REQUIRES: sinter`.
for tool in ("sinter", "sinter-opt"):
    path = os.path.join(config.sinter_tools_dir, tool)
    if os.path.exists(path):
        config.available_features.add(tool)

# `sinter` would also match inside `sinter-opt` and inside file names.
def whole_word(name):
    return r"(?<![\w./%-])" + name + r"(?![\w./-])"

config.substitutions += [
    (whole_word("sinter-opt"), os.path.join(config.sinter_tools_dir, "sinter-opt")),
    (whole_word("sinter"), os.path.join(config.sinter_tools_dir, "sinter")),
    (whole_word("FileCheck"), config.filecheck),
    (whole_word("not"), config.not_tool),
    (whole_word("split-file"), config.split_file),
]
