// SPDX-License-Identifier: Apache-2.0
// Snapshot, bundle and journal as earlier libraries wrote them (tests/golden/make_golden.cpp), never changed afterwards.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "io/tiny_model.hpp"
#include "serving/engine_sample.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(::etalage::testing::tests_dir()) / "golden/v1";

void expect_golden(const std::vector<double>& found, const char* name) {
  std::ifstream in(kGolden / (std::string(name) + ".txt"));
  std::size_t i = 0;
  for (double expected = 0; in >> expected; ++i) {
    ASSERT_LT(i, found.size());
    EXPECT_NEAR(found[i], expected, 1e-5 * std::max(1.0, std::abs(expected))) << name << ", number " << i;
  }
  EXPECT_GT(i, 50u);
  EXPECT_EQ(i, found.size());
}

TEST(GoldenEngine, ASnapshotAnswersAsItDid) {
  Engine engine(testing::sample_engine_options());
  engine.publish(load_snapshot(kGolden / "Snapshot.etalage"));
  EXPECT_EQ(engine.snapshot()->parts().label, "golden");
  EXPECT_EQ(engine.snapshot()->new_products().size(), 4u);
  expect_golden(testing::engine_answers(engine), "Snapshot");
}

TEST(GoldenEngine, ABundleAnswersAsItDid) {
  expect_golden(testing::engine_answers(*load_engine(kGolden / "Engine.etalage", testing::sample_engine_options())), "Engine");
}

TEST(GoldenEngine, AJournalIsRecoveredAsItWas) {
  const testing::TempDir dir;
  std::filesystem::copy(kGolden / "Journal", dir / "journal", std::filesystem::copy_options::recursive);
  expect_golden(testing::sample_journal(dir / "journal"), "Journal");
}

}  // namespace
}  // namespace etalage
