// SPDX-License-Identifier: Apache-2.0
#include "models/auto_settings.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/transitions.hpp"
#include "etalage/models/warp.hpp"

namespace etalage {
namespace {

const DataShape kGowalla{29'858, 40'981, 810'128, 810'128.0 / 40'981};
const DataShape kMovies{610, 9'724, 80'000, 8.9};
const DataShape kStore{2'000, 1'000, 17'210, 17.7};  // dense, and rows of nine
const DataShape kShort{50'000, 20'000, 150'000, 3.0};

Interactions small(std::int32_t users, std::int32_t items) {
  std::vector<std::int32_t> u;
  std::vector<std::int32_t> i;
  for (std::int32_t user = 0; user < users; ++user)
    for (std::int32_t item = user % 3; item < items; item += 3) {
      u.push_back(user);
      i.push_back(item);
    }
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(users) + 1);
  for (const std::int32_t user : u) ++offsets[static_cast<std::size_t>(user) + 1];
  for (std::size_t r = 1; r < offsets.size(); ++r) offsets[r] += offsets[r - 1];
  return Interactions(CsrMatrix{users, items, Array<std::int64_t>(offsets), Array<std::int32_t>(i),
                                Array<float>(std::vector<float>(i.size(), 1.0f))});
}

TEST(AutoOption, IsGivenBySettingItAndSettledOnlyWhereItIsNot) {
  Auto<int> option = Auto<int>::unless_given(3);
  EXPECT_FALSE(option.given());
  option.settle(5);
  EXPECT_EQ(option.value(), 5);
  EXPECT_FALSE(option.given());
  option = 7;
  option.settle(9);
  EXPECT_TRUE(option.given());
  EXPECT_EQ(option, 7);
}

TEST(AutoSettings, FollowTheTable) {
  const AlsOptions als = settled(AlsOptions{}, kGowalla);
  EXPECT_EQ(als.factors, 256);
  EXPECT_EQ(als.iterations, 14);
  EXPECT_EQ(settled(AlsOptions{}, DataShape{4'964, 1'994, 16'607, 8.3}).unobserved_weight, 0.02f);
  EXPECT_EQ(als.nu, 1.0f);
  EXPECT_EQ(als.alpha.value(), als.unobserved_weight.value());
  EXPECT_NEAR(als.unobserved_weight.value(), 0.02 * std::pow(kGowalla.density() / 1e-3, 4.0 / 3), 1e-6);
  EXPECT_EQ(settled(AlsOptions{}, kMovies).factors, 64);
  const ItemKnnOptions knn = settled(ItemKnnOptions{}, kMovies);
  EXPECT_EQ(knn.similarity.value(), Similarity::kBm25);
  EXPECT_EQ(settled(ItemKnnOptions{}, DataShape{3, 3, 6, 2}).similarity.value(), Similarity::kCosine);
  EXPECT_EQ(settled(ItemKnnOptions{}, kGowalla).user_damping, 0.9f);
  EXPECT_EQ(settled(ItemKnnOptions{}, kShort).shrinkage, 10.0f);
  EXPECT_EQ(settled(RandomWalkOptions{}, kGowalla, false).alpha, 1.0f);
  EXPECT_EQ(settled(RandomWalkOptions{}, kGowalla, false).beta, 0.0f);
  EXPECT_EQ(settled(RandomWalkOptions{}, kMovies, false).alpha, 1.2f);
  EXPECT_EQ(settled(RandomWalkOptions{}, kStore, false).alpha, 0.6f);
  EXPECT_NEAR(settled(RandomWalkOptions{}, kStore, true).beta.value(), 0.283, 1e-3);
  EXPECT_EQ(settled(RandomWalkOptions{}, DataShape{4'964, 1'994, 16'607, 8.3}, true).beta, 0.05f);
  EXPECT_EQ(settled(RandomWalkOptions{}, kMovies, true).num_neighbors, 2000);
  EXPECT_EQ(settled(RandomWalkOptions{}, kShort, true).beta, 0.0f);
  EXPECT_EQ(settled(EaseOptions{}, kMovies).l2, 200.0f);
  EXPECT_EQ(settled(GraphFilterOptions{}, kShort).item_exponent, 0.0f);
  EXPECT_TRUE(settled(BprOptions{}, kGowalla).item_bias);
  EXPECT_GT(settled(WarpOptions{}, kShort).regularization, settled(WarpOptions{}, kGowalla).regularization);
}

TEST(AutoSettings, FollowWhatIsGiven) {
  // Ten times the weight on both sides is ten times the objective: the ridge of a mean row follows.
  const AlsOptions by_rule = settled(AlsOptions{}, kGowalla);
  AlsOptions heavy;
  heavy.alpha = 9 + 10 * by_rule.alpha.value();  // 1 + alpha is ten times the rule's
  const AlsOptions o = settled(heavy, kGowalla);
  EXPECT_NEAR(o.unobserved_weight.value() / by_rule.unobserved_weight.value(), 10, 1e-3);
  const auto ridge = [](const AlsOptions& of) {
    const double users = 810'128.0 / 29'858 + static_cast<double>(of.unobserved_weight.value()) * 40'981;
    const double items = 810'128.0 / 40'981 + static_cast<double>(of.unobserved_weight.value()) * 29'858;
    return static_cast<double>(of.regularization.value()) * std::pow(std::sqrt(users * items), static_cast<double>(of.nu.value()));
  };
  EXPECT_NEAR(ridge(o) / ridge(by_rule), 10, 0.01);
  // A ridge is the textbook's, and so are the weights beside it.
  AlsOptions ridged;
  ridged.regularization = 0.5f;
  EXPECT_EQ(settled(ridged, kGowalla).nu, 0.0f);
  EXPECT_EQ(settled(ridged, kGowalla).unobserved_weight, 1.0f);
  EXPECT_EQ(settled(ridged, kGowalla).alpha, 1.0f);
  EXPECT_EQ(settled(ridged, kGowalla).factors, by_rule.factors);
  AlsOptions plain;
  plain.nu = 0;
  EXPECT_NEAR(ridge(settled(plain, kGowalla)) / ridge(by_rule), 1, 1e-3);
  // A similarity by name is the textbook's.
  ItemKnnOptions jaccard;
  jaccard.similarity = Similarity::kJaccard;
  EXPECT_EQ(settled(jaccard, kMovies).user_damping, 0.0f);
  EXPECT_EQ(settled(jaccard, kMovies).shrinkage, 0.0f);
  ItemKnnOptions shrunk;
  shrunk.shrinkage = 5;
  EXPECT_EQ(settled(shrunk, kMovies).similarity.value(), Similarity::kCosine);
  EXPECT_EQ(settled(shrunk, kMovies).asymmetry, 0.5f);
  WarpOptions wide;
  wide.factors = 256;
  EXPECT_GT(settled(wide, kMovies).regularization, settled(WarpOptions{}, kMovies).regularization);
}

TEST(AutoSettings, AreClampedToTheData) {
  for (const DataShape& s : {DataShape{}, DataShape{1, 1, 1, 1}, DataShape{3, 2, 6, 3}, DataShape{1, 2'000'000'000, 1, 1}}) {
    const AlsOptions als = settled(AlsOptions{}, s);
    EXPECT_NO_THROW(als.validate());
    EXPECT_LE(als.factors, std::max<std::int64_t>(1, std::min(s.users, s.items)));
    EXPECT_NO_THROW(settled(BprOptions{}, s).validate());
    EXPECT_NO_THROW(settled(WarpOptions{}, s).validate());
    EXPECT_NO_THROW(settled(ItemKnnOptions{}, s).validate());
    EXPECT_NO_THROW(settled(RandomWalkOptions{}, s, true).validate());
    EXPECT_NO_THROW(settled(EaseOptions{}, s).validate());
    EXPECT_NO_THROW(settled(GraphFilterOptions{}, s).validate());
  }
}

template <class Model>
void keeps_them(Model model) {
  model.fit(small(12, 9));
  const auto file = save_to_memory(model);
  const auto loaded = load_from_memory(file);
  const auto& again = dynamic_cast<const Model&>(*loaded);
  EXPECT_EQ(save_to_memory(again), file);
}

TEST(AutoSettings, AreChosenByEveryFitAndKeptInTheFile) {
  AlsModel als;
  als.fit(small(12, 9));
  EXPECT_EQ(als.factors(), 9);
  EXPECT_EQ(als.options().factors, 9);
  EXPECT_FALSE(als.options().factors.given());
  als.fit(small(30, 20));
  EXPECT_EQ(als.factors(), 20);
  als.refit(small(40, 30));  // goes on from what there is
  EXPECT_EQ(als.factors(), 20);
  keeps_them(AlsModel{});
  keeps_them(BprModel{});
  keeps_them(WarpModel{});
  keeps_them(ItemKnnModel{});
  keeps_them(RandomWalkModel{});
  keeps_them(EaseModel{});
  keeps_them(GraphFilterModel{});
}

TEST(AutoSettings, EaseSaysHowItWasSolvedInItsFileToo) {
  const Interactions data = small(30, 12);
  for (const bool tight : {false, true}) {
    EaseOptions o;
    if (tight) o.memory_budget = 100;
    EaseModel model(o);
    model.fit(data);
    const EaseMethod used = tight ? EaseMethod::kApproximate : EaseMethod::kExact;
    EXPECT_EQ(model.options().method.value(), used);
    EXPECT_FALSE(model.options().method.given());
    const auto file = save_to_memory(model);
    const auto again = std::dynamic_pointer_cast<EaseModel>(load_from_memory(file));
    EXPECT_EQ(again->options().method.value(), used);
    EXPECT_FALSE(again->options().method.given());
  }
  EaseModel given({.method = EaseMethod::kExact, .memory_budget = 100});
  EXPECT_THROW(given.fit(data), std::invalid_argument);
}

TEST(AutoSettings, ExcludeLastFollowsWhatIsCounted) {
  const auto ring = [](std::int32_t step) {  // step 0: the same item again and again
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> items;
    for (std::int32_t list = 0; list < 20; ++list) {
      for (std::int32_t place = 0; place < 6; ++place) items.push_back((list + place * step) % 9);
      offsets.push_back(static_cast<std::int64_t>(items.size()));
    }
    return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, 9);
  };
  TransitionsModel model;
  model.fit(ring(1));
  EXPECT_EQ(model.options().exclude_last.value(), ExcludeLast::kSession);
  const std::vector<std::int32_t> shown{3, 4};
  EXPECT_TRUE(model.excludes_last({.session = shown}));
  EXPECT_FALSE(model.excludes_last({.history = shown}));
  const auto members = [](const TransitionsModel& m) { return std::vector<BlendMember>{{"a", std::make_shared<TransitionsModel>(m)}}; };
  EXPECT_EQ(BlendModel(members(model), {}).options().exclude_last.value(), ExcludeLast::kSession);
  model.add_sessions(ring(0));
  const auto file = save_to_memory(model);
  for (const auto& m : {std::make_shared<TransitionsModel>(model), std::dynamic_pointer_cast<TransitionsModel>(load_from_memory(file))}) {
    EXPECT_EQ(m->options().exclude_last.value(), ExcludeLast::kNo);
    EXPECT_FALSE(m->options().exclude_last.given());
    EXPECT_FALSE(m->excludes_last({.session = shown}));
  }
  EXPECT_EQ(BlendModel(members(model), {}).options().exclude_last.value(), ExcludeLast::kNo);
  TransitionsModel always({.exclude_last = ExcludeLast::kYes});
  always.fit(ring(0));
  EXPECT_TRUE(always.excludes_last({.history = shown}));
  EXPECT_EQ(BlendModel(members(always), {}).options().exclude_last.value(), ExcludeLast::kYes);
}

}  // namespace
}  // namespace etalage
