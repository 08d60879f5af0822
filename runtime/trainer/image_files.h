// image_files.h - pictures from PNG, PPM and PGM files, and folders of them.
//
//   PNG       grey, palette, RGB, with alpha or without; up to 8 bits a sample,
//             not interlaced. Lengths and checksums are checked.
//   PPM, PGM  binary (P6, P5), up to 255 levels.
//
// These need no library but zlib. JPEG is refused, and the message says how to
// convert. A header may claim any size; what the file cannot hold is refused
// before memory is asked for.
// Known weakness: colour profiles and gamma are ignored, and so is a PNG's one
// transparent colour (tRNS) unless the picture has a palette.
#ifndef SINTER_TRAINER_IMAGE_FILES_H
#define SINTER_TRAINER_IMAGE_FILES_H

#include "runtime/trainer/array.h"
#include "runtime/trainer/error.h"
#include "runtime/trainer/markup.h"

namespace sinter::trainer {

/// `picture` gets 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)
/// channels, as the file has.
Error readPicture(const std::string &path, Picture &picture);

/// Writes `picture` as `height` x `width` pixels of `channels` (1, 3 or 4)
/// bytes. Size: bilinear between the centres of pixels, as Keras's
/// image_dataset_from_directory does by default (pixel i of n lies at
/// (i + 0.5) m / n - 0.5 of m; nothing is averaged when a picture shrinks),
/// rounded to whole numbers. Channels: grey is 0.299 R + 0.587 G + 0.114 B,
/// alpha is dropped, or 255 where there is none.
void fitPicture(const Picture &picture, int64_t height, int64_t width,
                int64_t channels, uint8_t *pixels);

/// All pictures of the folders of `path`, one folder a class: `inputs` of shape
/// (count, `shape`), where `shape` is (height, width) or (height, width, 1, 3
/// or 4); `labels` the numbers of the classes, `classes` their names, which is
/// the sorted names of the folders, or, where it is not empty, has to have them
/// all. Files come in the order of their names. Names that begin with a dot do
/// not count.
Error readPictureFolders(const std::string &path, const Shape &shape,
                         std::vector<std::string> &classes, Array &inputs,
                         Array &labels);

/// One picture as one sample; `shape` as above.
Error readPictureFile(const std::string &path, const Shape &shape,
                      Array &inputs);

} // namespace sinter::trainer

#endif
