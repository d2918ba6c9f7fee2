// SPDX-License-Identifier: Apache-2.0
// Files that mean harm, of every kind: whatever is read with Verify::kFull is a FormatError, or an object that answers,
// changes and can be saved and loaded again. Meant for a build with sanitizers; forty files a kind by default.
//
//   ETALAGE_FUZZ_EXECUTIONS=1000000 build/tests/file_fuzz_test                   more of them, shared among the kinds
//   ETALAGE_FUZZ_SEED=7             ...                                          other ones
//   ETALAGE_FUZZ_LAST=FOLDER/last     ...                                          writes each file there before it is read
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "io/file_kinds.hpp"
#include "io/mutate.hpp"
#include "support/from_environment.hpp"

namespace etalage {
namespace {

using testing::FileKind;
using test::from_environment;

class FileFuzz : public ::testing::TestWithParam<FileKind> {};

TEST_P(FileFuzz, IsRefusedOrUsable) {
  const FileKind& kind = GetParam();
  const std::vector<char> good = kind.make();
  const std::vector<double> said = kind.use(good);
  ASSERT_FALSE(said.empty());
  const std::uint64_t rounds =
      std::max<std::uint64_t>(from_environment("ETALAGE_FUZZ_EXECUTIONS", 40 * testing::file_kinds().size()) / testing::file_kinds().size(), 1);
  const std::uint64_t seed = from_environment("ETALAGE_FUZZ_SEED", 1);
  const char* last = std::getenv("ETALAGE_FUZZ_LAST");
  std::uint64_t refused = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::vector<char> file = testing::Mutator(good, seed * 1'000'003 + round)();
    if (last != nullptr) testing::write_bytes(last, file);
    ::alarm(60);  // a file that makes the library hang ends the process
    try {
      (void)kind.use(file);
    } catch (const FormatError&) {
      ++refused;
      continue;
    } catch (const NumericalError&) {
      // Options that anybody may set, an alpha of 1e38 say, and that leave the finite numbers when a question is answered.
    } catch (const std::exception& e) {
      ADD_FAILURE() << "seed " << seed << ", round " << round << ": " << e.what();
      continue;
    }
    try {
      const std::vector<char> kept = kind.saved(file);
      (void)kind.saved(kept);
    } catch (const std::exception& e) {
      ADD_FAILURE() << "seed " << seed << ", round " << round << ": accepted, but not when saved: " << e.what();
    }
  }
  ::alarm(0);
  EXPECT_GT(refused, 0u);
  if (rounds >= 200) {
    EXPECT_LT(refused, rounds) << "no change at all was let through: the mutator makes only what the first check refuses";
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileFuzz, ::testing::ValuesIn(testing::file_kinds()), [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace etalage
