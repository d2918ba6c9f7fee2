// SPDX-License-Identifier: Apache-2.0
// Every kind of model through files: bits come back, later libraries read what earlier ones wrote, forged files do not crash.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "io/forge.hpp"
#include "io/format.hpp"
#include "io/sample_models.hpp"
#include "io/tiny_model.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

using testing::answers;
using testing::SampleModel;
using testing::TempDir;

class ModelFiles : public ::testing::TestWithParam<SampleModel> {};

TEST_P(ModelFiles, AnswerWithTheSameBitsAfterLoading) {
  const TempDir dir;
  const auto model = GetParam().make();
  ASSERT_EQ(model->kind(), GetParam().kind);
  const auto expected = answers(*model);
  save(*model, dir / "m");
  for (const Verify v : {Verify::kHeader, Verify::kFull}) EXPECT_EQ(answers(*load(dir / "m", {.verify = v})), expected);
  const auto bytes = save_to_memory(*model);
  EXPECT_EQ(bytes, testing::read_bytes(dir / "m"));
  EXPECT_EQ(save_to_memory(*load_from_memory(bytes)), bytes);
}

TEST_P(ModelFiles, WithoutKeysAndRowsToo) {
  const auto model = GetParam().make();
  model->set_ids(nullptr, nullptr);
  model->set_history({});
  const auto bytes = save_to_memory(*model);
  const auto back = load_from_memory(bytes);
  EXPECT_EQ(back->user_ids(), nullptr);
  EXPECT_FALSE(back->has_history());
  EXPECT_EQ(save_to_memory(*back), bytes);
}

TEST_P(ModelFiles, ForgedContentsAreRefusedOrAnswered) {
  const auto good = save_to_memory(*GetParam().make());
  int refused = 0;
  int loaded = 0;
  testing::forge(good, 3000, 17, [&](std::span<const char> file) {
    std::shared_ptr<Recommender> model;
    try {
      model = load_from_memory(file, {.num_threads = 1});
    } catch (const FormatError&) {
      ++refused;
      return;
    }
    ++loaded;
    EXPECT_FALSE(answers(*model).empty());
  });
  EXPECT_GT(refused, 100);
  EXPECT_GT(loaded, 10);
}

TEST_P(ModelFiles, GoldenFilesOfEveryVersionAnswerAsTheyDid) {
  // Made by tests/golden/make_golden.cpp when the version was new, never changed afterwards.
  for (int version = 1; version <= static_cast<int>(io::kFormatVersion); ++version) {
    const auto base = std::filesystem::path(::etalage::testing::tests_dir()) / "golden" / std::string("v").append(std::to_string(version)) / GetParam().kind;
    const auto model = load(base.string() + ".etalage");
    EXPECT_EQ(model->kind(), GetParam().kind);
    std::ifstream in(base.string() + ".txt");
    const auto found = answers(*model);
    std::size_t i = 0;
    for (double expected = 0; in >> expected; ++i) {
      ASSERT_LT(i, found.size());
      EXPECT_NEAR(found[i], expected, 1e-5 * std::max(1.0, std::abs(expected))) << "number " << i;
    }
    EXPECT_GT(i, 0u);
    EXPECT_EQ(i, found.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ModelFiles, ::testing::ValuesIn(testing::sample_models()),
                         [](const auto& info) { return std::string(info.param.kind); });

TEST(ModelRegistry, EveryKindHasASample) {
  for (const std::string& kind : model_kinds()) {
    const auto samples = testing::sample_models();
    EXPECT_TRUE(std::any_of(samples.begin(), samples.end(), [&](const SampleModel& s) { return s.kind == kind; })) << kind;
  }
}

TEST(ModelRegistry, AFileWithEveryTypeOfFieldIsReadAsItWasWritten) {
  register_model("Tiny", &testing::TinyModel::from_state);
  const auto path = std::filesystem::path(::etalage::testing::tests_dir()) / "golden/v1/Tiny.etalage";
  const auto model = load(path);
  EXPECT_TRUE(same(dynamic_cast<const testing::TinyModel&>(*model), testing::tiny_model()));
}

}  // namespace
}  // namespace etalage
