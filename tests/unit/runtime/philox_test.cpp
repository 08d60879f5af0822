// philox_test.cpp - the known answers that the generator's authors publish.
#include "runtime/sinter_runtime.h"

#include <array>
#include <catch2/catch.hpp>

namespace {

using Words = std::array<uint32_t, 4>;

Words philox(Words counter, std::array<uint32_t, 2> key) {
  Words out;
  sinter_philox4x32(counter.data(), key.data(), out.data());
  return out;
}

} // namespace

TEST_CASE("philox 4x32-10 gives the published answers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) ==
        Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
               {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a random word becomes a float in [0, 1)") {
  CHECK(sinter_uniform01(0) == 0.0f);
  CHECK(sinter_uniform01(1u << 31) == 0.5f);
  CHECK(sinter_uniform01(~0u) < 1.0f);
}
