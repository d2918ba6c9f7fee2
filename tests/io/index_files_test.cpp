// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "io/tiny_model.hpp"

namespace etalage {
namespace {

class IndexFiles : public ::testing::TestWithParam<IndexKind> {
 protected:
  static constexpr int kDim = 16;
  std::vector<float> vectors_ = [] {
    std::mt19937 rng(5);
    std::vector<float> v(500 * kDim);
    for (float& x : v) x = static_cast<float>(rng() % 2001) / 1000.0f - 1.0f;
    return v;
  }();
  std::shared_ptr<ItemIndex> make() const {
    auto ix = std::make_shared<ItemIndex>(kDim, IndexMetric::kCosine, GetParam(), ItemIndexOptions{.deterministic = true});
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 500; ++i) ids.push_back(7 * i);
    ix->add(MatrixView<const float>(vectors_.data(), 500, kDim), ids);
    const std::vector<std::int64_t> gone{7, 700};
    ix->remove(gone);
    return ix;
  }
  std::vector<std::pair<std::int64_t, float>> answers(const ItemIndex& ix) const {
    std::vector<std::pair<std::int64_t, float>> out;
    Scratch scratch;
    std::vector<Neighbor> list(10);
    for (std::size_t q = 0; q < 20; ++q) {
      const std::size_t n = ix.search(std::span(vectors_).subspan(q * kDim, kDim), list, nullptr, scratch);
      for (std::size_t i = 0; i < n; ++i) out.emplace_back(list[i].id, list[i].score);
    }
    return out;
  }
};

TEST_P(IndexFiles, AnswerTheSameAfterLoadingAndCanChange) {
  const testing::TempDir dir;
  const auto ix = make();
  save(*ix, dir / "ix");
  const auto expected = answers(*ix);
  EXPECT_FALSE(expected.empty());
  for (const Verify v : {Verify::kHeader, Verify::kFull}) {
    const auto back = load_index(dir / "ix", {.verify = v});
    EXPECT_EQ(back->size(), 498u);
    EXPECT_EQ(answers(*back), expected);
    const std::vector<std::int64_t> id{1};
    back->add(MatrixView<const float>(vectors_.data(), 1, kDim), id);
    EXPECT_TRUE(back->contains(1));
  }
  EXPECT_EQ(answers(*load_index_from_memory(save_to_memory(*ix))), expected);
  EXPECT_EQ(answers(*load_index(dir / "ix")), expected) << "the file changed with the loaded index";
}

TEST_P(IndexFiles, AModelIsNoIndexAndTheOtherWayRound) {
  const auto bytes = save_to_memory(*make());
  EXPECT_THROW((void)load_from_memory(bytes), FormatError);
  EXPECT_THROW((void)load_index_from_memory(save_to_memory(testing::tiny_model())), FormatError);
}

INSTANTIATE_TEST_SUITE_P(Kinds, IndexFiles, ::testing::Values(IndexKind::kExact, IndexKind::kHnsw, IndexKind::kIvf, IndexKind::kIvfPq));

}  // namespace
}  // namespace etalage
