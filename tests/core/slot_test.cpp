// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/slot.hpp"

#include <gtest/gtest.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/sha256.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

std::string hex(std::string_view text) {
  std::string out;
  for (const std::uint8_t b : detail::sha256(text)) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", b);
    out += two;
  }
  return out;
}

TEST(Sha256, GivesTheStandardsOwnExamples) {
  EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Slot, IsThatOfTheVectorFile) {
  std::ifstream file(std::filesystem::path(::etalage::testing::tests_dir()) / "golden/slots.tsv");
  ASSERT_TRUE(file);
  std::string line;
  std::getline(file, line);
  int rows = 0;
  while (std::getline(file, line)) {
    const std::size_t first = line.find('\t');
    const std::size_t second = line.find('\t', first + 1);
    const std::string salt = line.substr(0, first);
    const std::string key = line.substr(first + 1, second - first - 1);
    const int expected = std::stoi(line.substr(second + 1));
    EXPECT_EQ(slot(key, salt), expected) << line;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
    if (error == std::errc{} && end == key.data() + key.size()) {
      EXPECT_EQ(slot(number, salt), expected) << line;
    }
    ++rows;
  }
  EXPECT_EQ(rows, 80);
}

TEST(Slot, SpreadsKeysEvenlyAndIndependentlyOfOtherSalts) {
  std::vector<int> first(20, 0);
  std::vector<int> both(100, 0);
  const int n = 20'000;
  for (std::int64_t key = 0; key < n; ++key) {
    const std::int32_t a = slot(key, "a");
    ASSERT_TRUE(a >= 0 && a < kSlots);
    ++first[static_cast<std::size_t>(a / 500)];
    ++both[static_cast<std::size_t>(a / 1000 * 10 + slot(key, "b") / 1000)];
  }
  double even = 0;
  for (const int c : first) even += (c - n / 20.0) * (c - n / 20.0) / (n / 20.0);
  double independent = 0;
  for (const int c : both) independent += (c - n / 100.0) * (c - n / 100.0) / (n / 100.0);
  EXPECT_LT(even, 43.8);          // chi-square, 19 degrees of freedom, p = .001
  EXPECT_LT(independent, 148.2);  // 99 degrees
}

TEST(Slot, RefusesASaltWithALineBreak) { EXPECT_THROW(static_cast<void>(slot("a", "x\ny")), std::invalid_argument); }

}  // namespace
}  // namespace etalage
