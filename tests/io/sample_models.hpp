// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/error.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/feature_als.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/item2vec.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "etalage/models/linear_sequence.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "etalage/models/sequential_rules.hpp"
#include "etalage/models/session_knn.hpp"
#include "etalage/models/transitions.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/user_knn.hpp"
#include "etalage/models/vectors.hpp"
#include "etalage/models/warp.hpp"

namespace etalage::testing {

/// 12 users (string keys) x 9 items (integer keys): two groups of taste and one item for everybody.
inline Interactions sample_data() {
  CsrMatrix m;
  m.rows = 12;
  m.cols = 9;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (int u = 0; u < 12; ++u) {
    for (int i = 0; i < 9; ++i) {
      if (i == 8 ? u % 3 != 0 : (u % 2 != i % 2 || (u + i) % 5 == 0)) continue;
      columns.push_back(i);
      values.push_back(1.0f + static_cast<float>((u * 7 + i * 3) % 4) * 0.5f);
    }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  m.offsets = Array<std::int64_t>(offsets);
  m.columns = Array<std::int32_t>(columns);
  m.values = Array<float>(values);
  std::vector<std::string> users;
  std::vector<std::int64_t> items;
  for (int u = 0; u < 12; ++u) users.push_back(std::to_string(u) + "-shopper");
  for (int i = 0; i < 9; ++i) items.push_back(1000 + 11 * i);
  return Interactions(m, std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(users))),
                      std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(items))));
}

inline Array<float> sample_vectors(int rows, int dim) {
  Array<float> out(static_cast<std::size_t>(rows * dim));
  for (int i = 0; i < rows * dim; ++i) out.mutable_data()[i] = static_cast<float>((i * 37 + 11) % 29 - 14) / 8.0f;
  return out;
}

struct SampleModel {
  const char* kind;
  std::function<std::shared_ptr<Recommender>()> make;
};

template <class Model, class... Args>
std::shared_ptr<Recommender> fitted(Args... args) {
  const Interactions data = sample_data();
  auto m = std::make_shared<Model>(args...);
  m->fit(data);
  m->set_ids(data.user_ids(), data.item_ids());
  m->set_history(data.user_items());
  return m;
}

/// The same shoppers and items in an order with repeats, and times.
inline Sequences sample_sequences() {
  const Interactions data = sample_data();
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> times;
  for (std::int64_t u = 0; u < data.num_users(); ++u) {
    const auto row = data.user_items().view().row_columns(u);
    for (std::size_t p = 0; p < row.size() + 2; ++p) {
      items.push_back(row[(p * 3 + static_cast<std::size_t>(u)) % row.size()]);
      times.push_back(1'700'000'000'000 + 86'400'000 * (u + 3 * static_cast<std::int64_t>(p)));
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), data.num_items(), {},
                   data.user_ids(), data.item_ids());
}

template <class Model, class... Args>
std::shared_ptr<Recommender> fitted_in_order(Args... args) {
  auto m = std::make_shared<Model>(args...);
  m->fit(sample_sequences());
  return m;
}

/// One fitted model of every kind that files can hold.
inline std::vector<SampleModel> sample_models() {
  return {
      {"ALS", [] { return fitted<AlsModel>(AlsOptions{.factors = 6, .iterations = 3}); }},
      {"Blend",
       [] {
         return std::make_shared<BlendModel>(
             std::vector<BlendMember>{{"walk", fitted<RandomWalkModel>(RandomWalkOptions{}, false)},
                                      {"als", fitted<AlsModel>(AlsOptions{.factors = 4, .iterations = 2})}},
             BlendOptions{.method = FusionMethod::kZScore, .weights = {1, 0.5f}, .candidates = 5});
       }},
      {"BPR", [] { return fitted<BprModel>(BprOptions{.factors = 6, .epochs = 3, .item_bias = true}); }},
      {"FeatureALS",
       [] {
         const Interactions data = sample_data();
         auto m = std::make_shared<FeatureAlsModel>(FeatureAlsOptions{.als = {.factors = 6, .iterations = 3}});
         m->fit(data, data.user_items(), transpose(data.user_items().view()));
         return m;
       }},
      {"GraphFilter",
       [] { return fitted<GraphFilterModel>(GraphFilterOptions{.coefficients = {0, 1, -0.25f}, .low_pass_factors = 3}); }},
      {"EASE", [] { return fitted<EaseModel>(EaseOptions{.l2 = 3}); }},
      {"Item2Vec", [] { return fitted_in_order<Item2VecModel>(Item2VecOptions{.factors = 6, .epochs = 3}); }},
      {"ItemKNN", [] { return fitted<ItemKnnModel>(); }},
      {"P3alpha", [] { return fitted<RandomWalkModel>(RandomWalkOptions{}, false); }},
      {"Popularity", [] { return fitted<PopularityModel>(); }},
      {"RP3beta", [] { return fitted<RandomWalkModel>(RandomWalkOptions{.beta = 0.5f}, true); }},
      {"LearnedRanker",
       [] {
         const Sequences past = sample_sequences();
         auto model = std::make_shared<LearnedRankerModel>(
             std::vector<BlendMember>{{"steps", fitted_in_order<TransitionsModel>()}, {"again", fitted_in_order<RepeatPurchaseModel>()}},
             ItemSignals::of(past), past, LearnedRankerOptions{.candidates = 5, .anchors = 3, .position = 1, .learning = "{}"});
         const CsrMatrix held = sample_data().user_items();
         const RankingLists lists = model->lists(held.view(), 12, false, 5);
         model->set_scorer(LinearRanker::fit({lists.rows.data(), lists.items.size(), model->num_features()}, lists.offsets, lists.gains, {}));
         return model;
       }},
      {"LinearSequence", [] { return fitted_in_order<LinearSequenceModel>(); }},
      {"RepeatPurchase", [] { return fitted_in_order<RepeatPurchaseModel>(); }},
      {"SequentialRules", [] { return fitted_in_order<SequentialRulesModel>(); }},
      {"SessionKNN", [] { return fitted_in_order<SessionKnnModel>(); }},
      {"Transitions", [] { return fitted_in_order<TransitionsModel>(); }},
      {"SLIM", [] { return fitted<SlimModel>(SlimOptions{.l1 = 0.2f, .l2 = 2}); }},
      {"UserKNN", [] { return fitted<UserKnnModel>(); }},
      {"Vectors",
       [] {
         const Interactions data = sample_data();
         auto m = std::make_shared<VectorsModel>(sample_vectors(12, 5), sample_vectors(9, 5), 5);
         m->set_ids(data.user_ids(), data.item_ids());
         m->set_history(data.user_items());
         return m;
       }},
      {"WARP", [] { return fitted<WarpModel>(WarpOptions{.factors = 6, .epochs = 3}); }},
  };
}

/// What a model says to a few queries, one number after the other: users, similar items, scores.
inline std::vector<double> answers(const Recommender& m) {
  std::vector<double> out;
  Scratch scratch;
  std::vector<ItemScore> list(5);
  const auto note = [&](std::size_t n) {
    out.push_back(static_cast<double>(n));
    for (std::size_t i = 0; i < n; ++i) {
      out.push_back(list[i].item);
      out.push_back(static_cast<double>(list[i].score));
    }
  };
  for (std::int32_t u = 0; u < m.num_users(); ++u) {
    Query q;
    q.user = u;
    note(m.recommend(q, list, scratch));
    const std::vector<std::int32_t> items{0, 3, 8};
    std::vector<float> scores(items.size());
    m.score(q, items, scores, scratch);
    out.insert(out.end(), scores.begin(), scores.end());
  }
  for (std::int32_t i = 0; i < m.num_items(); ++i) {
    try {
      note(m.similar_items(i, list, scratch));
    } catch (const UnsupportedError&) {
      break;
    }
  }
  for (std::int32_t u = 0; m.user_ids() && u < m.num_users(); ++u) out.push_back(m.user_ids()->find(m.user_ids()->text_at(u)));
  return out;
}

}  // namespace etalage::testing
