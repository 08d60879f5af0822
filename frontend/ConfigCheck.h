// ConfigCheck.h - holds a Config against its row of the catalog.
//
// The YAML reader and the C++ builder both hand over what the user wrote:
// arguments in any order, aliases, shorthands, integers for numbers. After
// completeConfig() the config has its canonical name and every argument, in
// table order and declared type; what was wrong has been reported at its place.
#ifndef SINTER_FRONTEND_CONFIGCHECK_H
#define SINTER_FRONTEND_CONFIGCHECK_H

#include "frontend/Catalog.h"
#include "frontend/Spec.h"

namespace sinter::frontend {

/// Checks and completes `config`. Returns false after reporting errors; then
/// `config` is as it was and not `complete`.
bool completeConfig(Config &config, Kind kind, Diagnostics &diagnostics);

/// What to do in place of an argument that is `fixed`: "; instead, ...", or "".
llvm::StringRef insteadOf(const ArgInfo &arg);

/// A plain YAML scalar: null, true, false, an integer, a number, else text.
/// Numbers that fit neither int64 nor double are text.
Value parseScalar(llvm::StringRef text);

/// A number or a fraction of two numbers: "0.5", "1e-3", "1/255".
std::optional<double> parseNumber(llvm::StringRef text);

/// Names become parts of symbols and file entries: letters, digits, '_', '-'
/// and '.', not first a digit, at most 64 of them.
bool isName(llvm::StringRef text);

} // namespace sinter::frontend

#endif // SINTER_FRONTEND_CONFIGCHECK_H
