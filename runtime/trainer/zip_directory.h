// zip_directory.h - find one member of a zip archive.
//
// A zip archive ends with a record that points at its directory, whose entries
// point at the members. The directory is what counts; of the copy in front of
// each member only the two lengths are used that say where its bytes begin.
// Known weakness: no zip64, so no archive or member of 4 GiB and more.
#ifndef SINTER_TRAINER_ZIP_DIRECTORY_H
#define SINTER_TRAINER_ZIP_DIRECTORY_H

#include "runtime/trainer/byte_reader.h"

namespace sinter::trainer {

/// The names of all members, in the directory's order.
Error listZipMembers(const std::string &path, std::vector<std::string> &names);

Error findZipMember(const std::string &path, const std::string &name,
                    ZipMember &member);

} // namespace sinter::trainer

#endif
