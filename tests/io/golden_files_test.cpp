// SPDX-License-Identifier: Apache-2.0
// Whatever an earlier library wrote and this one loads can be kept: saved, loaded again, with the same answers to the bit.
// What the files answered when they were made is held by the tests of each kind.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "io/file_kinds.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(::etalage::testing::tests_dir()) / "golden";

std::vector<std::string> golden_files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kGolden))
    if (entry.path().extension() == ".etalage" && entry.path().stem() != "Tiny")
      out.push_back(std::filesystem::relative(entry.path(), kGolden).string());
  std::sort(out.begin(), out.end());
  return out;
}

// The functions for a file by the kind that it names.
const testing::FileKind& kind_of(const std::vector<char>& bytes) {
  static const std::vector<testing::FileKind> kinds = testing::file_kinds();
  std::string name = memory_info(bytes).kind;
  if (name == "ItemIndex") name = "IndexExact";
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const testing::FileKind& k) { return k.name == name; });
  if (found == kinds.end()) throw std::logic_error("file_kinds() has no " + name);
  return *found;
}

class GoldenFile : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenFile, CanBeSavedAndLoadedAgain) {
  const std::vector<char> file = testing::read_bytes(kGolden / GetParam());
  const testing::FileKind& kind = kind_of(file);
  const std::vector<double> said = kind.use(file);
  EXPECT_FALSE(said.empty());
  const std::vector<char> kept = kind.saved(file);
  EXPECT_EQ(kind.use(kept), said);
  EXPECT_EQ(kind.saved(kept), kept);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenFile, ::testing::ValuesIn(golden_files()), [](const auto& info) {
  std::string name = info.param.substr(0, info.param.rfind('.'));
  std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, 'X');
  return name;
});

}  // namespace
}  // namespace etalage
