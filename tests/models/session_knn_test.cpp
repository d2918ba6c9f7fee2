// SPDX-License-Identifier: Apache-2.0
// SessionKNN by hand on ten sessions, and against its definition in plain loops over all sessions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/session_knn.hpp"
#include "models/sequence_fixture.hpp"

namespace etalage {
namespace {

/// Scores of these items.
template <class Scores>
void expect_near(const Scores& found, const std::vector<std::pair<std::size_t, double>>& expected) {
  for (const auto& [item, score] : expected) EXPECT_NEAR(found[item], score, 1e-5) << item;
}

using testing::kItems;
using testing::random_sequences;
using testing::scores_of;

Sequences lists_of(const std::vector<std::vector<std::int32_t>>& lists, const std::vector<std::int64_t>& ends = {}, int items = -1) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> flat;
  std::vector<std::int64_t> times;
  for (std::size_t l = 0; l < lists.size(); ++l) {
    flat.insert(flat.end(), lists[l].begin(), lists[l].end());
    if (!ends.empty()) times.insert(times.end(), lists[l].size(), ends[l]);
    offsets.push_back(static_cast<std::int64_t>(flat.size()));
  }
  return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(flat), Array<std::int64_t>(times), items);
}

// Session n ends at time 10 n.
Sequences ten_sessions() {
  return lists_of({{0, 1}, {1, 2}, {2, 3}, {0, 3}, {1, 4}, {0, 1, 5}, {2, 5}, {3, 4}, {1, 0}, {4, 5}},
                  {10, 20, 30, 40, 50, 60, 70, 80, 90, 100});
}

TEST(SessionKnnModel, TenSessionsByHand) {
  // Query 0, 1. Places weigh (1/2)^2 and 1, over two items: a session with 1 alone has similarity 1/2, with 0 alone 1/8,
  // with both 5/8. Sharing 1 (age 1) votes in full, sharing 0 alone (age 2) votes half.
  // With both: {0 1}, {0 1 5}, {1 0}. With 1: {1 2}, {1 4}. With 0: {0 3}.
  const std::vector<std::int32_t> query{0, 1};
  SessionKnnModel all({.idf_weight = 0});
  all.fit(ten_sessions());
  EXPECT_EQ(all.num_sessions(), 10);
  const auto s = scores_of(all, {.session = query});
  expect_near(s, {{0, 3 * 0.625 + 0.0625}, {1, 3 * 0.625 + 2 * 0.5}, {2, 0.5}, {3, 0.125 / 2}, {4, 0.5}, {5, 0.625}});

  // The three newest candidates are {1 0}, {0 1 5}, {1 4}.
  SessionKnnModel recent({.recent_sessions = 3, .idf_weight = 0});
  recent.fit(ten_sessions());
  const auto r = scores_of(recent, {.session = query});
  expect_near(r, {{0, 2 * 0.625}, {2, 0}, {4, 0.5}, {5, 0.625}});

  // Of the three most similar, which tie, the two newest: {1 0} and {0 1 5}.
  SessionKnnModel two({.num_neighbors = 2, .idf_weight = 0});
  two.fit(ten_sessions());
  const auto t = scores_of(two, {.session = query});
  expect_near(t, {{0, 2 * 0.625}, {4, 0}, {5, 0.625}});

  // Item 5 is in three of ten sessions.
  SessionKnnModel rare({.num_neighbors = 2, .idf_weight = 2});
  rare.fit(ten_sessions());
  EXPECT_NEAR(scores_of(rare, {.session = query})[5], 0.625 * (1 + 2 * std::log(10.0 / 3)), 1e-4);

  // In {0 1 5} item 0 lies before the shared 1; in {1 0} behind it.
  SessionKnnModel directed({.num_neighbors = 2, .idf_weight = 0, .item_decay = 2, .backward = 0.5f});
  directed.fit(ten_sessions());
  const auto d = scores_of(directed, {.session = query});
  EXPECT_NEAR(d[0], 0.625 * std::exp(-0.5) * (1 + 0.5), 1e-5);
  EXPECT_NEAR(d[1], 2 * 0.625, 1e-5);
}

// The definition, without an index.
std::vector<double> brute_force(const Sequences& sequences, const SessionKnnOptions& o, std::vector<std::int32_t> query) {
  if (query.size() > static_cast<std::size_t>(o.max_history)) query.erase(query.begin(), query.end() - o.max_history);
  std::vector<double> out(kItems, 0.0);
  std::vector<double> count(kItems, 0.0);
  std::int64_t now = 0;
  struct Session {
    std::vector<std::int32_t> items;
    std::int64_t time = 0;
    std::size_t order = 0;
    double similarity = 0;
    std::size_t age = 0;
  };
  std::vector<Session> sessions;
  for (std::int64_t s = 0; s < sequences.size(); ++s) {
    const auto items = sequences.items_of(s);
    if (items.empty()) continue;
    for (const std::int32_t i : items) count[static_cast<std::size_t>(i)] += 1;
    Session one;
    for (std::size_t p = 0; p < items.size(); ++p)
      if (std::find(items.begin() + static_cast<std::ptrdiff_t>(p) + 1, items.end(), items[p]) == items.end()) one.items.push_back(items[p]);
    one.time = sequences.times_of(s).back();
    now = std::max(now, *std::max_element(sequences.times_of(s).begin(), sequences.times_of(s).end()));
    one.order = sessions.size();
    sessions.push_back(one);
  }
  const double total = static_cast<double>(sessions.size());
  std::sort(sessions.begin(), sessions.end(),
            [](const Session& a, const Session& b) { return a.time != b.time ? a.time > b.time : a.order > b.order; });
  const auto length = static_cast<double>(query.size());
  std::map<std::int32_t, std::size_t> newest;
  for (std::size_t p = 0; p < query.size(); ++p) newest[query[p]] = query.size() - 1 - p;
  std::vector<Session> candidates;
  for (Session s : sessions) {
    bool shares = false;
    s.age = query.size();
    for (const auto& [item, age] : newest) {
      if (std::find(s.items.begin(), s.items.end(), item) == s.items.end()) continue;
      shares = true;
      s.age = std::min(s.age, age);
      const auto a = static_cast<double>(age);
      s.similarity += (o.weighting == PlaceWeight::kQuadratic ? std::pow((length - a) / length, 2.0)
                                                              : std::exp(-a / static_cast<double>(o.place_decay))) /
                      static_cast<double>(newest.size());
    }
    if (!shares || candidates.size() == static_cast<std::size_t>(o.recent_sessions)) continue;
    s.similarity *= std::pow(static_cast<double>(s.items.size()), -static_cast<double>(o.length_exponent));
    if (o.session_decay_days > 0)
      s.similarity *= std::exp(-static_cast<double>(now - s.time) / 86'400'000.0 / static_cast<double>(o.session_decay_days));
    candidates.push_back(s);
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Session& a, const Session& b) { return a.similarity > b.similarity + 1e-9; });
  if (candidates.size() > static_cast<std::size_t>(o.num_neighbors)) candidates.resize(static_cast<std::size_t>(o.num_neighbors));
  for (const Session& s : candidates) {
    const auto at = std::find(s.items.begin(), s.items.end(), query[query.size() - 1 - s.age]) - s.items.begin();
    for (std::ptrdiff_t p = 0; p < static_cast<std::ptrdiff_t>(s.items.size()); ++p) {
      const auto item = static_cast<std::size_t>(s.items[static_cast<std::size_t>(p)]);
      double v = s.similarity / static_cast<double>(s.age + 1) *
                 (1 + static_cast<double>(o.idf_weight) * std::max(0.0, std::log(total / count[item])));
      if (p < at) v *= static_cast<double>(o.backward);
      if (o.item_decay > 0) v *= std::exp(-static_cast<double>(std::abs(p - at)) / static_cast<double>(o.item_decay));
      out[item] += v;
    }
  }
  return out;
}

const std::vector<SessionKnnOptions>& settings() {
  static const std::vector<SessionKnnOptions> all{
      {},
      {.num_neighbors = 7, .recent_sessions = 20},
      {.num_neighbors = 5, .recent_sessions = 12, .weighting = PlaceWeight::kExponential, .place_decay = 1.7f, .idf_weight = 0.5f,
       .item_decay = 2.5f, .backward = 0.3f, .length_exponent = 0.5f, .session_decay_days = 9, .max_history = 4}};
  return all;
}

void expect_brute_force(const Recommender& model, const Sequences& sequences, const SessionKnnOptions& o) {
  for (const std::vector<std::int32_t>& query :
       {std::vector<std::int32_t>{3}, {1, 2}, {5, 1, 9, 1, 4, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, {kItems - 1}}) {
    const auto expected = brute_force(sequences, o, query);
    const auto got = scores_of(model, {.session = query});
    for (std::size_t j = 0; j < kItems; ++j) EXPECT_NEAR(static_cast<double>(got[j]), expected[j], 2e-5 * (1 + expected[j])) << j;
  }
}

TEST(SessionKnnModel, EqualsItsDefinition) {
  const Sequences sequences = random_sequences(11, 150);
  for (const SessionKnnOptions& o : settings()) {
    SessionKnnModel model(o);
    model.fit(sequences);
    expect_brute_force(model, sequences, o);
  }
}

TEST(SessionKnnModel, TakesSessionsAsTheyCome) {
  // One at a time through many merges, against the definition over all.
  const Sequences sequences = random_sequences(12, 4000);
  for (const SessionKnnOptions& o : settings()) {
    std::vector<std::pair<std::int64_t, std::int64_t>> order;
    for (std::int64_t s = 0; s < sequences.size(); ++s)
      if (!sequences.items_of(s).empty()) order.emplace_back(sequences.times_of(s).back(), s);
    std::sort(order.begin(), order.end());
    const auto part = [&](std::size_t begin, std::size_t end) {
      std::vector<std::int64_t> offsets{0};
      std::vector<std::int32_t> items;
      std::vector<std::int64_t> times;
      for (std::size_t s = begin; s < end; ++s) {
        const auto i = sequences.items_of(order[s].second);
        const auto t = sequences.times_of(order[s].second);
        items.insert(items.end(), i.begin(), i.end());
        times.insert(times.end(), t.begin(), t.end());
        offsets.push_back(static_cast<std::int64_t>(items.size()));
      }
      return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), kItems);
    };
    SessionKnnModel model(o);
    model.fit(part(0, 100));
    for (std::size_t s = 100; s < 150; ++s) model.add_sessions(part(s, s + 1));
    model.add_sessions(part(150, order.size()));
    model.add_sessions(lists_of({{}}));
    expect_brute_force(model, part(0, order.size()), o);
    if (o.recent_sessions < 100) {
      EXPECT_LT(model.num_sessions(), 1000) << "those that nobody can meet are dropped";
    }
    const auto loaded = load_from_memory(save_to_memory(model));
    const std::vector<std::int32_t> query{5, 1, 9};
    EXPECT_EQ(scores_of(*loaded, {.session = query}), scores_of(model, {.session = query}));
    // Copies go their own way.
    SessionKnnModel copy = model;
    copy.add_sessions(lists_of({{5, 9, 9, 2}, {5, 3}}, {1'900'000'000'000, 1'900'000'000'001}, kItems));
    EXPECT_EQ(scores_of(*loaded, {.session = query}), scores_of(model, {.session = query}));
    EXPECT_NE(scores_of(copy, {.session = query}), scores_of(model, {.session = query}));
  }
}

TEST(SessionKnnModel, PartsSumToTheScore) {
  const Sequences sequences = random_sequences(13, 150);
  for (const SessionKnnOptions& o : settings()) {
    SessionKnnModel model(o);
    model.fit(sequences);
    const std::vector<std::int32_t> query{5, 1, 9, 1, 4};
    const auto scores = scores_of(model, {.session = query});
    for (std::int32_t i = 0; i < kItems; ++i) {
      const Explanation e = model.explain({.session = query}, i, 100);
      EXPECT_EQ(e.contributions.size(), 4u);
      float sum = 0;
      for (const ItemScore& c : e.contributions) sum += c.score;
      EXPECT_NEAR(e.total, scores[static_cast<std::size_t>(i)], 1e-4f);
      EXPECT_NEAR(sum, e.total, 1e-4f);
    }
  }
}

TEST(SessionKnnModel, BatchEqualsSingleWithOneScratchForAll) {
  SessionKnnModel model({.num_neighbors = 20});
  model.fit(random_sequences(14, 500));
  std::vector<Query> queries;
  for (std::int32_t u = 0; u < 100; ++u) queries.push_back({.user = u});
  std::vector<ItemScore> out(queries.size() * 5);
  std::vector<std::size_t> counts(queries.size());
  model.recommend_batch(queries, {out.data(), queries.size(), 5}, counts, 3);
  Scratch one;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    std::vector<ItemScore> single(5);
    ASSERT_EQ(model.recommend(queries[i], single, one), counts[i]);
    for (std::size_t j = 0; j < counts[i]; ++j) {
      EXPECT_EQ(single[j].item, out[i * 5 + j].item);
      EXPECT_EQ(single[j].score, out[i * 5 + j].score);
    }
  }
}

TEST(SessionKnnModel, BadOptionsAreRefused) {
  EXPECT_THROW(SessionKnnModel({.num_neighbors = 0}), std::invalid_argument);
  EXPECT_THROW(SessionKnnModel({.recent_sessions = 0}), std::invalid_argument);
  EXPECT_THROW(SessionKnnModel({.idf_weight = -1}), std::invalid_argument);
  EXPECT_THROW(SessionKnnModel({.backward = NAN}), std::invalid_argument);
  SessionKnnModel timed({.session_decay_days = 3});
  EXPECT_THROW(timed.fit(lists_of({{0, 1}})), std::invalid_argument);
  EXPECT_THROW(timed.add_sessions(ten_sessions()), NotFittedError);
}

}  // namespace
}  // namespace etalage
