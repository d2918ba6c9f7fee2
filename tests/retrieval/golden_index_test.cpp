// SPDX-License-Identifier: Apache-2.0
// Index files tests/golden/v1/ItemIndex-<name>.etalage as tests/golden/make_golden_index.py wrote them; beside each the answers it gave.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <string>

#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

class GoldenIndex : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenIndex, AnswersAsItDid) {
  const std::string path = std::string(::etalage::testing::tests_dir()) + "/golden/v1/" + GetParam();
  std::ifstream answers(path + ".txt");
  ASSERT_TRUE(answers.is_open());
  for (const Verify v : {Verify::kFull, Verify::kHeader}) {
    answers.clear();
    answers.seekg(0);
    const auto index = load_index(path + ".etalage", {.verify = v});
    ASSERT_EQ(index->size(), 290u);
    Scratch scratch;
    std::vector<Neighbor> found(5);
    std::size_t queries = 0;
    // A line: twelve coordinates of a query, then five ids and scores.
    for (std::vector<float> query(12); answers >> query[0]; ++queries) {
      for (std::size_t f = 1; f < query.size(); ++f) answers >> query[f];
      ASSERT_EQ(index->search(query, found, nullptr, scratch), 5u);
      for (const Neighbor& n : found) {
        std::int64_t id = 0;
        float score = 0;
        ASSERT_TRUE(answers >> id >> score);
        EXPECT_EQ(n.id, id);
        EXPECT_NEAR(n.score, score, 1e-5);
      }
    }
    EXPECT_EQ(queries, 8u);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenIndex,
                         ::testing::Values("ItemIndex-exact", "ItemIndex-hnsw", "ItemIndex-ivf", "ItemIndex-ivf_cosine", "ItemIndex-ivf_split", "ItemIndex-ivf_pq"),
                         [](const auto& p) {
                           std::string name = p.param;
                           for (char& c : name) c = c == '-' || c == '_' ? 'X' : c;
                           return name;
                         });

}  // namespace
}  // namespace etalage
