// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "etalage/models/popularity.hpp"
#include "etalage/models/vectors.hpp"
#include "serving/ranking/mixer.hpp"
#include "serving/shop.hpp"

namespace etalage {
namespace {

std::vector<ItemScore> collect(const CandidateSource& source, const SourceQuery& query, std::size_t n) {
  std::vector<ItemScore> out(n);
  Scratch scratch;
  out.resize(source.produce(query, out, scratch));
  return out;
}

std::vector<std::int32_t> items(const std::vector<ItemScore>& list) {
  std::vector<std::int32_t> out;
  for (const ItemScore& s : list) out.push_back(s.item);
  return out;
}

std::shared_ptr<VectorsModel> model(std::int32_t users, std::int32_t n, std::size_t dim) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> u(static_cast<std::size_t>(users) * dim), v(static_cast<std::size_t>(n) * dim);
  for (float& x : u) x = normal(random);
  for (float& x : v) x = normal(random);
  return std::make_shared<VectorsModel>(Array<float>(u), Array<float>(v), static_cast<std::int32_t>(dim), VectorsOptions{VectorMetric::kDot});
}

TEST(RecommenderSource, LeavesOutWhatIsDeniedAndStaysFull) {
  const auto m = model(3, 100, 8);
  const auto shop = test::shop(100);
  const SharedFilter f = shop->filter(Predicate::in_stock());
  const RecommenderSource source("model", m);
  const std::vector<std::int32_t> session{4, 9};
  RequestContext r{.user = 1, .exclude_seen = false};
  std::vector<std::int32_t> denied;
  for (std::int32_t i = 0; i < 100; i += 2) denied.push_back(i);
  const SourceQuery q{.request = &r, .eligible = f.get(), .denied = denied, .num_items = 100};
  std::int64_t left = f->count;
  for (const std::int32_t i : denied) left -= f->bits.contains(i);
  const auto all = collect(source, q, 100);
  EXPECT_EQ(static_cast<std::int64_t>(all.size()), left);
  const auto few = collect(source, q, 7);
  ASSERT_EQ(few.size(), 7u);
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_TRUE(q.allows(few[i].item));
    EXPECT_EQ(few[i].item, all[i].item);
  }
  // By definition: the model's own order without the forbidden.
  std::vector<ItemScore> plain(100);
  Scratch scratch;
  plain.resize(m->recommend({.user = 1, .exclude_seen = false}, plain, scratch));
  std::erase_if(plain, [&](const ItemScore& s) { return !q.allows(s.item); });
  EXPECT_EQ(items(all), items(plain));
}

TEST(RecommenderSource, UnknownShoppersAndItemsArePassedOver) {
  const auto m = model(3, 100, 8);
  const RecommenderSource source("model", m);
  const RecommenderSource similar("similar", m, RecommenderSource::Ask::kSimilar);
  RequestContext r{.user = 99};
  EXPECT_TRUE(collect(source, {.request = &r}, 5).empty());
  EXPECT_TRUE(collect(similar, {.request = &r}, 5).empty());
  const std::vector<std::int32_t> unknown{100, 5000, -1};
  r.session = unknown;
  r.anchors = unknown;
  EXPECT_TRUE(collect(source, {.request = &r}, 5).empty());
  EXPECT_TRUE(collect(similar, {.request = &r}, 5).empty());
  const std::vector<std::int32_t> mixed{100, 7};
  r.anchors = mixed;
  std::vector<ItemScore> direct(5);
  Scratch scratch;
  m->similar_items(7, direct, scratch);
  EXPECT_EQ(items(collect(similar, {.request = &r}, 5)), items(direct));
  // A row of the caller's answers for anybody.
  const std::vector<float> row(m->user_row(2).begin(), m->user_row(2).end());
  r = {.user_vector = row, .exclude_seen = false};
  std::vector<ItemScore> known(5);
  m->recommend({.user = 2, .exclude_seen = false}, known, scratch);
  EXPECT_EQ(items(collect(source, {.request = &r}, 5)), items(known));
}

TEST(RecommenderSource, ScoresOfSeveralAnchorsAreAdded) {
  const auto m = model(3, 50, 8);
  const RecommenderSource source("similar", m, RecommenderSource::Ask::kSimilar);
  const std::vector<std::int32_t> anchors{3, 8};
  RequestContext r{.anchors = anchors};
  std::map<std::int32_t, float> sums;
  Scratch scratch;
  for (const std::int32_t a : anchors) {
    std::vector<ItemScore> out(50);
    out.resize(m->similar_items(a, out, scratch));
    for (const ItemScore& s : out) sums[s.item] += s.score;
  }
  const auto found = collect(source, {.request = &r, .denied = anchors}, 48);
  ASSERT_EQ(found.size(), 48u);
  float last = std::numeric_limits<float>::infinity();
  for (const ItemScore& s : found) {
    EXPECT_NEAR(s.score, sums[s.item], 1e-5);
    EXPECT_LE(s.score, last);
    EXPECT_NE(s.item, 3);
    last = s.score;
  }
  const Explanation e = source.explain({.request = &r}, found[0].item, 5);
  EXPECT_NEAR(e.total, found[0].score, 1e-5);
  EXPECT_EQ(e.contributions.size(), 2u);
}

TEST(IndexSource, AsksByVectorOrByContent) {
  constexpr std::size_t kDim = 6;
  const auto m = model(2, 60, kDim);
  std::vector<std::int64_t> ids(60);
  for (std::size_t i = 0; i < 60; ++i) ids[i] = static_cast<std::int64_t>(i);
  const auto index = std::make_shared<ItemIndex>(static_cast<int>(kDim), IndexMetric::kCosine, IndexKind::kExact);
  index->add({m->item_factors().data(), 60, kDim}, ids);
  const IndexSource by_vector("user", index, IndexSource::Ask::kUserVector);
  const IndexSource by_text("text", index, IndexSource::Ask::kQueryVector);
  const IndexSource content("content", index, IndexSource::Ask::kContent, m->item_factors(), 2);
  const std::vector<std::int32_t> session{1, 5, 9}, denied{1, 5, 9};
  RequestContext r{.session = session, .user_vector = m->user_row(1)};
  EXPECT_EQ(collect(by_vector, {.request = &r}, 10).size(), 10u);
  EXPECT_TRUE(collect(by_text, {.request = &r}, 10).empty());
  const auto found = collect(content, {.request = &r, .denied = denied}, 10);
  ASSERT_EQ(found.size(), 10u);
  // The last two of the session, each at unit length.
  std::vector<double> mean(kDim);
  for (const std::int32_t i : {5, 9}) {
    double square = 0;
    for (const float x : m->item_row(i)) square += static_cast<double>(x) * x;
    for (std::size_t f = 0; f < kDim; ++f) mean[f] += m->item_row(i)[f] / std::sqrt(square) / 2;
  }
  const auto cosine = [&](std::int32_t i) {
    double dot = 0, a = 0, b = 0;
    for (std::size_t f = 0; f < kDim; ++f) {
      const double x = m->item_row(i)[f];
      dot += x * mean[f];
      a += x * x;
      b += mean[f] * mean[f];
    }
    return dot / std::sqrt(a * b);
  };
  for (std::int32_t i = 0; i < 60; ++i) {
    if (std::any_of(found.begin(), found.end(), [&](const ItemScore& s) { return s.item == i; }) || i == 1 || i == 5 || i == 9) continue;
    EXPECT_LE(cosine(i), found.back().score + 1e-5);
  }
  EXPECT_NEAR(found[0].score, cosine(found[0].item), 1e-5);
  const Explanation e = content.explain({.request = &r}, found[0].item, 5);
  ASSERT_EQ(e.contributions.size(), 2u);
  EXPECT_NEAR(e.total, e.contributions[0].score + e.contributions[1].score, 1e-6);
  EXPECT_THROW(IndexSource("x", index, IndexSource::Ask::kContent, Array<float>(std::size_t{7})), std::invalid_argument);
  EXPECT_THROW(IndexSource("x", index, IndexSource::Ask::kContent), std::invalid_argument);
  EXPECT_THROW(IndexSource("x", nullptr, IndexSource::Ask::kContent), std::invalid_argument);
}

TEST(ListSource, AnswersBySegmentAndByProduct) {
  const ListSource one("trending", {{3, 9}, {4, 8}, {5, 7}});
  const std::vector<std::int32_t> denied{4};
  RequestContext r{.segment = "vip"};
  EXPECT_EQ(items(collect(one, {.request = &r, .denied = denied}, 2)), (std::vector<std::int32_t>{3, 5}));
  const ListSource by("popular", std::map<std::string, std::vector<ItemScore>, std::less<>>{{"", {{1, 1}}}, {"vip", {{2, 1}}}});
  EXPECT_EQ(items(collect(by, {.request = &r}, 2)), (std::vector<std::int32_t>{2}));
  r.segment = "new";
  EXPECT_EQ(items(collect(by, {.request = &r}, 2)), (std::vector<std::int32_t>{1}));
  const ListSource co("copurchase", {0, 2, 4}, {{7, 2}, {8, 1}, {8, 3}, {9, 1}});
  const std::vector<std::int32_t> anchors{0, 1, 77};
  r.anchors = anchors;
  const auto found = collect(co, {.request = &r}, 5);
  EXPECT_EQ(items(found), (std::vector<std::int32_t>{8, 7, 9}));
  EXPECT_FLOAT_EQ(found[0].score, 4);
  const Explanation e = co.explain({.request = &r}, 8, 5);
  EXPECT_FLOAT_EQ(e.total, 4);
  EXPECT_EQ(e.contributions[0].item, 1);
  EXPECT_THROW(ListSource("x", {0, 5}, {{7, 2}}), std::invalid_argument);
  EXPECT_THROW(ListSource("x", {0, 2, 1, 4}, {{7, 2}, {8, 1}, {8, 3}, {9, 1}}), std::invalid_argument);
  const FunctionSource f("counted", [](const RequestContext&, const FunctionSource::Emit& emit) {
    for (std::int32_t i = 0; i < 1000; ++i)
      if (!emit({i, 1.0f / static_cast<float>(i + 1)})) return;
  });
  EXPECT_EQ(items(collect(f, {.request = &r, .denied = denied}, 5)), (std::vector<std::int32_t>{0, 1, 2, 3, 5}));
  const std::vector<ItemScore> given{{9, 1}, {2, 0.5f}, {100, 0.1f}};
  r.given = given;
  EXPECT_EQ(items(collect(GivenSource(), {.request = &r, .num_items = 100}, 5)), (std::vector<std::int32_t>{9, 2}));
}

std::vector<SharedSource> three_lists() {
  return {std::make_shared<ListSource>("a", std::vector<ItemScore>{{1, 10}, {2, 6}, {3, 2}}),
          std::make_shared<ListSource>("b", std::vector<ItemScore>{{2, 5}, {4, 5}}),
          std::make_shared<ListSource>("c", std::vector<ItemScore>{{1, 1}, {5, 1}, {6, 1}, {7, 1}})};
}

TEST(Mixer, ScoresAreWeightedSumsOfNormalisedOnes) {
  for (const Normalization how : {Normalization::kRank, Normalization::kMinMax, Normalization::kNone}) {
    MixOptions options;
    options.standard = {{{"a", 3, 2.0f}, {"b", 10, 0.5f}}, {"c"}, how};
    const Mixer mixer(three_lists(), options);
    RequestContext r;
    CandidateSet c;
    Scratch scratch;
    mixer.mix({.request = &r}, 6, c, scratch);
    ASSERT_EQ(c.size(), 6u);
    const auto score = [&](std::int32_t item) { return c.scores[static_cast<std::size_t>(c.find(item))]; };
    const auto norm = [&](float s, float rank, float min, float max) {
      return how == Normalization::kRank ? 61 / (60 + rank) : how == Normalization::kNone ? s : max > min ? (s - min) / (max - min) : 1.0f;
    };
    EXPECT_FLOAT_EQ(score(1), 2 * norm(10, 1, 2, 10));
    EXPECT_FLOAT_EQ(score(2), 2 * norm(6, 2, 2, 10) + 0.5f * norm(5, 1, 5, 5));
    EXPECT_FLOAT_EQ(score(3), 2 * norm(2, 3, 2, 10));
    EXPECT_FLOAT_EQ(score(4), 0.5f * norm(5, 2, 5, 5));
    // Two more were wanted: c's first is there already.
    EXPECT_EQ(c.find(7), -1);
    for (const std::int32_t i : {5, 6}) EXPECT_EQ(c.from_fallback[static_cast<std::size_t>(c.find(i))], 1);
    EXPECT_EQ(c.produced, (std::vector<std::int32_t>{3, 2, 2}));
    const auto m = static_cast<std::size_t>(c.first_mention[static_cast<std::size_t>(c.find(2))]);
    EXPECT_EQ(c.mentions[m].source, 0);
    EXPECT_EQ(c.mentions[m].rank, 2);
    const auto next = static_cast<std::size_t>(c.mentions[m].next);
    EXPECT_EQ(c.mentions[next].source, 1);
    EXPECT_FLOAT_EQ(c.mentions[next].score, 5);
    EXPECT_EQ(c.mentions[next].next, -1);
    mixer.mix({.request = &r}, 4, c, scratch);
    EXPECT_EQ(c.size(), 4u) << "no fallback when there is enough";
  }
}

TEST(Mixer, PlacementsHaveTheirOwnMix) {
  MixOptions options;
  options.standard = {{{"a", 3, 1}}, {}, {}};
  options.placements[Placement::kBasket] = {{{"b", 1, 1}}, {"c", "a"}, {}};
  const Mixer mixer(three_lists(), options);
  RequestContext r;
  CandidateSet c;
  Scratch scratch;
  mixer.mix({.request = &r}, 10, c, scratch);
  EXPECT_EQ(c.items, (std::vector<std::int32_t>{1, 2, 3}));
  r.placement = Placement::kBasket;
  mixer.mix({.request = &r}, 4, c, scratch);
  EXPECT_EQ(c.items, (std::vector<std::int32_t>{2, 1, 5, 6}));
  mixer.mix({.request = &r}, 6, c, scratch);
  EXPECT_EQ(c.items, (std::vector<std::int32_t>{2, 1, 5, 6, 7, 3}));
}

// A source of the host's own that keeps no promise.
class Liar final : public CandidateSource {
 public:
  Liar() : CandidateSource("liar") {}
  std::size_t produce(const SourceQuery&, std::span<ItemScore> out, Scratch&) const override {
    const std::vector<ItemScore> lies{{-5, 1}, {1, std::nanf("")}, {2, 1}, {2, 9}, {3, std::numeric_limits<float>::infinity()}, {1000, 1}, {4, 1}, {8, 1}};
    const std::size_t n = std::min(out.size(), lies.size());
    std::copy_n(lies.begin(), n, out.begin());
    return n;
  }
};

TEST(Mixer, ASourceThatLiesDoesNoHarm) {
  MixOptions options;
  options.standard.sources = {{"liar", 8, 1}};
  const Mixer mixer({std::make_shared<Liar>()}, options);
  RequestContext r;
  CandidateSet c;
  Scratch scratch;
  const std::vector<std::int32_t> denied{4};
  mixer.mix({.request = &r, .denied = denied, .num_items = 100}, 1, c, scratch);
  EXPECT_EQ(c.items, (std::vector<std::int32_t>{2, 8}));
}

TEST(Mixer, CandidateSetHoldsThousands) {
  CandidateSet c;
  std::mt19937 random(2);
  for (int round = 0; round < 2; ++round) {
    c.clear();
    std::map<std::int32_t, std::int32_t> expected;
    for (int i = 0; i < 5000; ++i) {
      const auto item = static_cast<std::int32_t>(random() % 3000) * 1024;
      const std::int32_t at = c.insert(item);
      EXPECT_EQ(expected.emplace(item, at).first->second, at);
    }
    for (const auto& [item, at] : expected) EXPECT_EQ(c.find(item), at);
    EXPECT_EQ(c.find(7), -1);
    EXPECT_EQ(c.size(), expected.size());
  }
}

TEST(Mixer, RefusesWhatDoesNotFit) {
  const auto refuses = [](std::vector<SharedSource> sources, PlacementMix mix) {
    MixOptions o;
    o.standard = std::move(mix);
    EXPECT_THROW(Mixer(std::move(sources), o), std::invalid_argument);
  };
  refuses(three_lists(), {{{"z", 1, 1}}, {}, {}});
  refuses(three_lists(), {{{"a", 0, 1}}, {}, {}});
  refuses(three_lists(), {{{"a", 1, -1}}, {}, {}});
  refuses(three_lists(), {{{"a", 1, std::nanf("")}}, {}, {}});
  refuses(three_lists(), {{{"a", 1, 1}, {"a", 2, 1}}, {}, {}});
  refuses(three_lists(), {{{"a", 1, 1}}, {"z"}, {}});
  refuses({nullptr}, {});
  refuses({std::make_shared<GivenSource>("x"), std::make_shared<GivenSource>("x")}, {});
  EXPECT_THROW(GivenSource(""), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
