//===- EmitHeader.h - the C header of a library --------------------------===//

#ifndef SINTER_CODEGEN_EMITHEADER_H
#define SINTER_CODEGEN_EMITHEADER_H

#include "codegen/ModelRecord.h"

#include "llvm/Support/raw_ostream.h"

namespace sinter {

/// Writes NAME.h: C99 (and C++), self-contained, a prototype and a comment for
/// every entry point.
void emitHeader(const ModelRecord &record, llvm::raw_ostream &out);

} // namespace sinter

#endif // SINTER_CODEGEN_EMITHEADER_H
