#!/usr/bin/env python3
"""Text as data: the 32 characters before each place, and the one there.

    samples/text_transformer/prepare.py TEXT FOLDER

writes train-x.npy, train-y.npy of every 4th place of the first nine tenths of
the text and test-x.npy, test-y.npy of the last; characters are numbered in the
order of the alphabet that they are. Needs Python's standard library alone.
"""

import os
import struct
import sys

STEPS, EVERY = 32, 4


def write_npy(path, shape, values):
    header = repr({"descr": "|u1", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)))
        file.write(header.encode() + values)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    alphabet = sorted(set(text))
    if len(alphabet) != 65:
        sys.exit(f"expected 65 different characters, as the spec has, got "
                 f"{len(alphabet)}")
    number = {letter: i for i, letter in enumerate(alphabet)}
    numbers = bytes(number[letter] for letter in text)
    cut = len(numbers) * 9 // 10
    os.makedirs(sys.argv[2], exist_ok=True)
    for name, part in (("train", numbers[:cut]), ("test", numbers[cut:])):
        places = range(STEPS, len(part), EVERY)
        write_npy(os.path.join(sys.argv[2], name + "-x.npy"),
                  (len(places), STEPS),
                  b"".join(part[at - STEPS:at] for at in places))
        write_npy(os.path.join(sys.argv[2], name + "-y.npy"), (len(places),),
                  bytes(part[at] for at in places))
        print(f"{name}: {len(places)} samples")


if __name__ == "__main__":
    main()
