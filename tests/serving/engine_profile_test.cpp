// SPDX-License-Identifier: Apache-2.0
// Profiles, intent, buying again, calibration and cold start as the engine serves them: the batch parts are the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>
#include <type_traits>

#include "etalage/io/engine_files.hpp"
#include "etalage/serving/factor_index.hpp"
#include "io/tiny_model.hpp"
#include "profile/profile_data.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

using testing::kDay;
using testing::kStart;
using testing::TempDir;

/// A log whose items are all of the catalogue's products in its order, with keys.
EventLog keyed_log(int users, int visits, unsigned seed) {
  EventLog::Columns c = testing::random_log(users, visits, seed).columns();
  c.item_ids = testing::small_catalog()->item_ids();
  std::vector<std::int64_t> keys;
  for (int u = 0; u < users; ++u) keys.push_back(5000 + u);
  c.user_ids = std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
  return EventLog(std::move(c));
}

EventLog part_of(const EventLog& log, std::size_t begin, std::size_t end) {
  EventLog::Columns c = log.columns();
  const auto cut = [&](auto& column) { column = std::remove_reference_t<decltype(column)>(column.view().subspan(begin, end - begin)); };
  cut(c.users);
  cut(c.items);
  cut(c.events);
  cut(c.times_ms);
  cut(c.values);
  return EventLog(std::move(c));
}

std::shared_ptr<const Profiles> profiles_of(const EventLog& log) {
  auto p = std::make_shared<Profiles>(std::make_shared<const ItemFacts>(*testing::small_catalog()));
  p->add(log);
  return p;
}

void expect_same(const UserProfile& a, const UserProfile& b, const char* what) {
  EXPECT_EQ(std::memcmp(&a.counts(), &b.counts(), sizeof(UserProfile::Counts)), 0) << what;
  EXPECT_EQ(std::memcmp(&a.sums(), &b.sums(), sizeof(UserProfile::Sums)), 0) << what;
  const auto same = [](const std::vector<Affinity>& x, const std::vector<Affinity>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const Affinity& p, const Affinity& q) { return p.id == q.id && p.weight == q.weight; });
  };
  EXPECT_TRUE(same(a.categories(), b.categories())) << what;
  EXPECT_TRUE(same(a.brands(), b.brands())) << what;
}

class EngineProfiles : public ::testing::Test {
 protected:
  EngineProfiles() : log_(keyed_log(40, 7, 19)), half_(static_cast<std::size_t>(log_.size()) / 2) {
    intent_ = std::make_shared<PurchaseIntent>(PurchaseIntentOptions{.horizon_days = 14});
    intent_->fit(log_, ItemFacts(*testing::small_catalog()));
  }
  EngineOptions options() {
    EngineOptions o;
    o.events.now_ms = [this] { return now_; };
    o.events.history_limit = 4096;
    return o;
  }
  SnapshotParts parts() const {
    SnapshotParts p;
    p.catalog = testing::small_catalog();
    p.profiles = profiles_of(part_of(log_, 0, half_));
    p.trained_ms = log_.columns().times_ms[half_ - 1];
    p.intent = intent_;
    return p;
  }
  void observe(Engine& engine, std::size_t row) {
    const auto& c = log_.columns();
    now_ = c.times_ms[row];
    engine.observe({key(c.users[row]), c.item_ids->integer_at(c.items[row]), c.event_names[c.events[row]], c.times_ms[row], c.values[row]});
  }
  static std::int64_t key(std::int32_t user) { return 5000 + user; }

  EventLog log_;
  std::size_t half_;
  std::shared_ptr<PurchaseIntent> intent_;
  std::int64_t now_ = kStart + 400 * kDay;
};

TEST_F(EngineProfiles, LiveEventsGoOnFromTheSnapshotsProfilesWithTheSameBits) {
  while (log_.columns().times_ms[half_] == log_.columns().times_ms[half_ - 1]) ++half_;
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(parts()));
  auto batch = std::const_pointer_cast<Profiles>(profiles_of(part_of(log_, 0, half_)));
  const auto roles = batch->options().roles_of(log_.columns().event_names);
  for (std::size_t row = half_; row < static_cast<std::size_t>(log_.size()); ++row) {
    observe(engine, row);
    batch->observe(log_.columns().users[row], testing::event_of(log_, static_cast<std::int64_t>(row), roles));
    const std::int32_t user = log_.columns().users[row];
    const ShopperState s = engine.profile(key(user));
    ASSERT_TRUE(s.known);
    expect_same(s.profile, batch->at(user), "after its event");
    // One definition of the features: what serves predicts is what training would have seen at this moment.
    EXPECT_EQ(engine.intent(key(user)), intent_->predict(batch->at(user), now_));
  }
  std::vector<float> served(IntentFeatures::count()), trained(IntentFeatures::count());
  const IntentExamples examples = intent_->examples(log_, ItemFacts(*testing::small_catalog()), log_.columns().times_ms[half_]);
  ASSERT_GT(examples.size(), 20u);
  std::size_t row = half_;
  Engine replayed(options());
  replayed.publish(std::make_shared<const Snapshot>(parts()));
  std::vector<std::size_t> order(examples.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return examples.times_ms[a] < examples.times_ms[b]; });
  for (const std::size_t i : order) {
    for (; row < static_cast<std::size_t>(log_.size()) && log_.columns().times_ms[row] <= examples.times_ms[i]; ++row) observe(replayed, row);
    now_ = examples.times_ms[i];
    const ShopperState s = replayed.profile(key(examples.users[i]));
    IntentFeatures::compute(s.profile, s.now_ms, s.snapshot->profile_options(), served);
    const auto expected = examples.matrix().row(i);
    ASSERT_TRUE(std::equal(served.begin(), served.end(), expected.begin())) << "moment " << i;
  }
}

TEST_F(EngineProfiles, WithoutProfilesLiveEventsAreAllThereIs) {
  SnapshotParts p = parts();
  p.profiles = nullptr;
  p.trained_ms = 0;
  Engine engine(options());
  for (std::size_t row = 0; row < static_cast<std::size_t>(log_.size()); ++row) observe(engine, row);
  EXPECT_THROW((void)engine.profile(key(0)), std::logic_error);
  engine.publish(std::make_shared<const Snapshot>(std::move(p)));
  const auto batch = profiles_of(log_);
  for (std::int32_t u = 0; u < 40; ++u) {
    const ShopperState s = engine.profile(key(u));
    EXPECT_EQ(s.profile.counts().events, batch->at(u).counts().events);
    EXPECT_EQ(s.profile.sums().money, batch->at(u).sums().money);
    EXPECT_EQ(s.lifecycle(), batch->at(u).lifecycle(now_, batch->options()));
  }
  EXPECT_FALSE(engine.profile(std::int64_t{1}).known);
  EXPECT_TRUE(engine.profile(std::int64_t{1}).profile.empty());
}

TEST_F(EngineProfiles, MergedAndErasedShoppers) {
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(parts()));
  now_ = kStart + 400 * kDay;
  const auto before = engine.profile(key(3)).profile.counts();
  for (int i = 0; i < 3; ++i) engine.observe({std::int64_t{77}, std::int64_t{100 + i}, "cart"});
  engine.merge_users(std::int64_t{77}, key(3));
  EXPECT_EQ(engine.profile(key(3)).profile.counts().carts, before.carts + 3);
  EXPECT_FALSE(engine.profile(std::int64_t{77}).known);
  engine.erase_user(key(3));
  EXPECT_FALSE(engine.profile(key(3)).known);
  EXPECT_TRUE(engine.profile(key(3)).profile.empty());
  EXPECT_TRUE(engine.buy_again(key(3), 5).empty());
}

TEST_F(EngineProfiles, BuyAgainFollowsTheRepurchaseIntervals) {
  SnapshotParts p = parts();
  p.mix.standard.sources = {{"buy_again", 40, 1}};
  p.mix.standard.normalization = Normalization::kNone;
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(std::move(p)));
  for (std::size_t row = half_; row < static_cast<std::size_t>(log_.size()); ++row) observe(engine, row);
  now_ += 3 * kDay;
  const auto& shop = engine.snapshot()->parts().profiles->repurchases();
  int shown = 0;
  for (std::int32_t u = 0; u < 40; ++u) {
    const auto due = engine.buy_again(key(u), 40);
    std::vector<BuyAgain> expected;
    const ShopperState shopper = engine.profile(key(u));
    for (const ItemMemory& m : shopper.profile.bought_unsorted()) expected.push_back(shop.expect(m, now_, 7));
    std::sort(expected.begin(), expected.end(), [](const BuyAgain& a, const BuyAgain& b) { return a.probability != b.probability ? a.probability > b.probability : a.item < b.item; });
    ASSERT_EQ(due.size(), expected.size());
    const Answer a = engine.recommend({.user = key(u), .k = due.size(), .exclude_seen = false, .trace = true});
    for (std::size_t i = 0; i < due.size(); ++i) {
      EXPECT_EQ(due[i].key, Key(std::int64_t{100 + expected[i].item}));
      EXPECT_EQ(due[i].what.probability, expected[i].probability);
      EXPECT_EQ(due[i].what.due_ms, expected[i].due_ms);
      EXPECT_EQ(a.items[i].source, "buy_again");
      EXPECT_EQ(a.trace->items[i].mixed, static_cast<float>(expected[i].probability));
      ++shown;
    }
  }
  EXPECT_GT(shown, 20);
}

TEST_F(EngineProfiles, CalibrationAimsAtTheProfilesCategories) {
  SnapshotParts p = parts();
  p.rerank.method = RerankMethod::kCalibrated;
  p.rerank.diversity = 1;
  p.mix.standard.sources = {{"new_arrivals", 40, 1}};
  for (int i = 0; i < 40; ++i) p.new_arrivals.emplace_back(std::int64_t{100 + i});
  for (const char* by : {"category:2", "category", "brand"}) {
    p.calibrate_by = by;
    Engine engine(options());
    const auto snapshot = std::make_shared<const Snapshot>(p);
    engine.publish(snapshot);
    now_ = kStart + 400 * kDay;
    const auto groups = snapshot->catalog()->groups(by);
    for (const std::int32_t u : {1, 7, 20}) {
      const UserProfile profile = engine.profile(key(u)).profile;
      // The target from its definition: what each product's group has of the weight that was added for it.
      std::map<std::string, double> weight;
      double all = 0;
      for (const Affinity& a : std::string_view(by) == "brand" ? profile.brands() : profile.categories()) {
        if (std::string_view(by) == "brand") {
          weight[snapshot->facts().brand_name(a.id)] += a.weight;
          all += a.weight;
          continue;
        }
        // Leaves and, for two levels, what lies below Home > Kitchen together.
        const std::string path = snapshot->facts().category_path(a.id);
        const auto levels = 1 + std::count(path.begin(), path.end(), '>');
        const bool leaf = path == "Toys" || path == "Home > Garden" || (std::string_view(by) == "category" ? levels == 3 : path == "Home > Kitchen");
        if (!leaf) continue;
        weight[path] += a.weight;
        all += a.weight;
      }
      ASSERT_GT(all, 0);
      const Answer a = engine.recommend({.user = key(u), .k = 20, .exclude_seen = false});
      std::map<std::string, int> shown;
      for (const Recommended& r : a.items) {
        const auto row = static_cast<std::int32_t>(std::get<std::int64_t>(r.item) - 100);
        if (std::string_view(by) == "brand") ++shown[std::string(snapshot->catalog()->catalog().brand(row))];
        else {
          std::string path;
          for (const std::string& name : snapshot->catalog()->catalog().category(row)) {
            if (std::string_view(by) == "category:2" && std::count(path.begin(), path.end(), '>') == 1) break;
            path += (path.empty() ? "" : " > ") + name;
          }
          ++shown[path];
        }
      }
      // Every group has its share, or all of its products; what a full one leaves goes to the others.
      for (const auto& [group, w] : weight) {
        const auto at = std::find(groups->names.begin(), groups->names.end(), group);
        const auto size = at == groups->names.end() ? 10 : groups->members_of(static_cast<std::int32_t>(at - groups->names.begin())).size();
        EXPECT_GE(shown[group] / 20.0, std::min(w / all, static_cast<double>(size) / 20) - 0.16) << by << " " << group << " of " << key(u);
      }
    }
  }
}

TEST_F(EngineProfiles, TheBundleHoldsThemAll) {
  const TempDir dir;
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(parts()));
  for (std::size_t row = half_; row < static_cast<std::size_t>(log_.size()); ++row) observe(engine, row);
  save(engine, dir / "shop.etalage");
  const auto opened = load_engine(dir / "shop.etalage", options());
  for (std::int32_t u = 0; u < 40; ++u) {
    expect_same(engine.profile(key(u)).profile, opened->profile(key(u)).profile, "opened");
    EXPECT_EQ(engine.intent(key(u)), opened->intent(key(u)));
  }
}

TEST_F(EngineProfiles, PartsMustFitTogether) {
  SnapshotParts p = parts();
  auto other = std::make_shared<Profiles>(nullptr, ProfileOptions{.half_life_days = 7});
  p.profiles = other;
  EXPECT_THROW(Snapshot{p}, std::invalid_argument);
  p = parts();
  p.intent = std::make_shared<const PurchaseIntent>();
  EXPECT_THROW(Snapshot{p}, std::invalid_argument);
  p = parts();
  p.intent = nullptr;
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(p));
  EXPECT_THROW((void)engine.intent(key(0)), std::logic_error);
  p.segment_factors["north"] = {1, 2};
  EXPECT_THROW(Snapshot{p}, std::invalid_argument);
  p.segment_factors.clear();
  p.new_factors = Array<float>(3);
  EXPECT_THROW(Snapshot{p}, std::invalid_argument);
}

class EngineColdStart : public ::testing::Test {
 protected:
  EngineColdStart() : data_(testing::shop_interactions()), als_(testing::shop_als(data_)) {
    parts_.catalog = testing::shop_catalog(data_, 8);  // eight products more, two of each taste
    parts_.models = {{"als", als_, RecommenderSource::Ask::kShopper}};
    parts_.cold_start = std::make_shared<const ColdStartItems>(*als_, *parts_.catalog, CatalogAttributesOptions{}, ColdStartOptions{}, false);
    parts_.mix.standard.sources = {{"als", 200, 1}};
    parts_.mix.standard.normalization = Normalization::kNone;
  }
  static EngineOptions options() {
    EngineOptions o;
    o.events.now_ms = [] { return std::int64_t{1'700'000'000'000}; };
    return o;
  }
  Interactions data_;
  std::shared_ptr<const AlsModel> als_;
  SnapshotParts parts_;
};

TEST_F(EngineColdStart, NewProductsStandAmongTheOthersByTheirForetoldFactors) {
  const auto extended = parts_.cold_start->extended(*als_, *parts_.catalog);
  const auto plain = std::make_shared<const Snapshot>(parts_);
  EXPECT_EQ(plain->new_products().size(), 8u);
  const auto als = std::make_shared<AlsModel>(*als_);
  build_index(*als, IndexKind::kExact);
  ASSERT_EQ(parts_.models[0].model, als_);
  parts_.models[0].model = als;
  const auto indexed = std::make_shared<const Snapshot>(parts_);
  int of_his_taste = 0, others = 0;
  for (const auto& snapshot : {plain, indexed}) {
    Engine engine(options());
    engine.publish(snapshot);
    for (const int u : {0, 17, 50}) {
      const std::string user = testing::numbered("u", u);
      const Answer a = engine.recommend({.user = user, .k = 40, .explain = true, .trace = true});
      std::vector<ItemScore> expected(40);
      Scratch scratch;
      ASSERT_EQ(extended->recommend({.user = u}, expected, scratch), 40u);
      for (std::size_t i = 0; i < 40; ++i) {
        EXPECT_EQ(text_of(view_of(a.items[i].item)), extended->item_ids()->string_at(expected[i].item)) << i;
        EXPECT_NEAR(a.trace->items[i].mixed, expected[i].score, 1e-4f) << i;
        if (expected[i].item < testing::kItems) continue;
        EXPECT_EQ(a.items[i].source, "als");
        EXPECT_FALSE(a.why[i].because.empty());
        if (i < 14) ++(expected[i].item % testing::kTastes == u % testing::kTastes ? of_his_taste : others);
      }
    }
  }
  EXPECT_GT(of_his_taste, 2 * others);
}

TEST_F(EngineColdStart, AForbiddenNewProductStaysAway) {
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(parts_));
  const Predicate cheap = Predicate::price(std::nullopt, 79.0);
  const Answer a = engine.recommend({.user = "u1", .k = 88, .filter = &cheap, .exclude_seen = false});
  EXPECT_EQ(a.items.size(), 80u);
  engine.observe({"u1", "new85", "purchase"});
  for (const Recommended& r : engine.recommend({.user = "u1", .k = 88}).items) EXPECT_NE(text_of(view_of(r.item)), "new85");
}

TEST_F(EngineColdStart, ANewcomerIsHisSegmentUntilHeHasDoneMore) {
  std::vector<float> south(als_->user_row(2).begin(), als_->user_row(2).end());
  parts_.segment_factors["south"] = south;
  parts_.segment_strength = 2;
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(parts_));
  const auto taste = [&](const Answer& a, int t) {
    return std::count_if(a.items.begin(), a.items.end(), [&](const Recommended& r) { return testing::number_of(r.item) % testing::kTastes == t; });
  };
  EXPECT_GE(taste(engine.recommend({.user = "new", .k = 10, .segment = "south"}), 2), 8);
  EXPECT_GE(taste(engine.recommend({.k = 10, .segment = "south"}), 2), 8);
  for (const char* item : {"i1", "i5", "i9", "i13", "i17", "i21", "i25", "i29"}) engine.observe({"new", item, "purchase"});
  const Answer first = engine.recommend({.user = "new", .k = 10, .segment = "south"});
  EXPECT_GE(taste(first, 1), 7);
  // The same from the cache; and one whom the model knows is themselves whatever their segment.
  const Answer again = engine.recommend({.user = "new", .k = 10, .segment = "south"});
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(first.items[i].item, again.items[i].item);
    EXPECT_EQ(first.items[i].score, again.items[i].score);
  }
  EXPECT_GE(taste(engine.recommend({.user = "u3", .k = 10, .segment = "south"}), 3), 6);
}

TEST_F(EngineColdStart, TheBundleHoldsIt) {
  const TempDir dir;
  parts_.segment_factors["south"] = std::vector<float>(16, 0.5f);
  Engine engine(options());
  engine.publish(std::make_shared<const Snapshot>(parts_));
  save(engine, dir / "shop.etalage");
  const auto opened = load_engine(dir / "shop.etalage", options());
  for (const char* user : {"u0", "u9", "stranger"}) {
    const Answer a = engine.recommend({.user = user, .k = 30, .segment = "south"});
    const Answer b = opened->recommend({.user = user, .k = 30, .segment = "south"});
    ASSERT_EQ(a.items.size(), b.items.size());
    for (std::size_t i = 0; i < a.items.size(); ++i) EXPECT_EQ(a.items[i].item, b.items[i].item);
  }
  EXPECT_EQ(opened->snapshot()->new_products().size(), 8u);
}

}  // namespace
}  // namespace etalage
