// Plain YAML scalars, numbers, fractions and names.
#include "frontend/ConfigCheck.h"

#include <catch2/catch.hpp>

using namespace sinter::frontend;

TEST_CASE("numbers and fractions", "[scalars]") {
  CHECK(parseNumber("1/255") == 1.0 / 255);
  CHECK(parseNumber("1 / 4") == 0.25);
  CHECK(parseNumber("-1/2") == -0.5);
  CHECK(parseNumber("1e-3/2.5") == 1e-3 / 2.5);
  CHECK(parseNumber("0.5") == 0.5);
  CHECK(parseNumber(".5") == 0.5);
  CHECK(parseNumber("+3") == 3);
  for (const char *wrong :
       {"1/0", "0/0", "1/", "/2", "1/2/3", "a/b", "1e308/1e-308", "inf", "nan",
        "1/inf", "0x10", "1_000", "1,5", "", "--1", "+-1", "1e999"})
    CHECK_FALSE(parseNumber(wrong));
}

TEST_CASE("scalars have the types of YAML 1.2", "[scalars]") {
  CHECK(parseScalar("").isNull());
  CHECK(parseScalar("~").isNull());
  CHECK(parseScalar("null").isNull());
  CHECK(*parseScalar("true").getIf<bool>());
  CHECK_FALSE(*parseScalar("False").getIf<bool>());
  CHECK(*parseScalar("-7").getIf<int64_t>() == -7);
  CHECK(*parseScalar("1e3").getIf<double>() == 1000);
  CHECK(*parseScalar("yes").getIf<std::string>() == "yes");
  CHECK(*parseScalar("1/255").getIf<std::string>() == "1/255");
  CHECK(*parseScalar("0x1F").getIf<std::string>() == "0x1F");
}

TEST_CASE("integers too large for 64 bits are numbers", "[scalars]") {
  Value value = parseScalar("99999999999999999999");
  CHECK(*value.getIf<double>() == 1e20);
  CHECK(value.describe() == "99999999999999999999");
  CHECK(*parseScalar("9223372036854775807").getIf<int64_t>() == INT64_MAX);
}

TEST_CASE("names", "[scalars]") {
  CHECK(isName("hidden_1"));
  CHECK(isName("_x.y-z"));
  for (const char *wrong : {"", "1a", "-a", ".a", "a b", "a/b", "ü", "a\n"})
    CHECK_FALSE(isName(wrong));
  CHECK_FALSE(isName(std::string(65, 'a')));
}
