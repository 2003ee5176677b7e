#include "tare/version.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tare {
namespace {

TEST(Version, IsThreeNumbers) {
  const std::string text = version();
  int dots = 0;
  for (const char c : text) {
    EXPECT_TRUE(c == '.' || (c >= '0' && c <= '9')) << text;
    dots += c == '.' ? 1 : 0;
  }
  EXPECT_EQ(dots, 2) << text;
}

}  // namespace
}  // namespace tare
