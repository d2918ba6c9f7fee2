// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "etalage/error.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/serving/factor_index.hpp"
#include "io/tiny_model.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

using testing::kItems;
using testing::kTastes;
using testing::number_of;
using testing::numbered;
using testing::shop_parts;
using testing::shop_snapshot;
using testing::TempDir;

constexpr std::int64_t kNow = 1'700'000'000'000;

EngineOptions at_noon(bool metrics = false) {
  EngineOptions o;
  o.events.now_ms = [] { return kNow; };
  o.metrics = metrics;
  return o;
}

std::vector<std::string> keys(const Answer& a) {
  std::vector<std::string> out;
  for (const Recommended& r : a.items) out.push_back(text_of(view_of(r.item)));
  return out;
}

int of_taste(const Answer& a, int taste) {
  return static_cast<int>(std::count_if(a.items.begin(), a.items.end(), [&](const Recommended& r) { return number_of(r.item) % kTastes == taste; }));
}

TEST(Engine, AnswersAKnownShopperByHisTaste) {
  Engine engine(at_noon());
  EXPECT_EQ(engine.publish(shop_snapshot()), 1u);
  const auto data = testing::shop_interactions();
  for (const int u : {0, 5, 42}) {
    const std::string user = numbered("u", u);
    const Answer a = engine.recommend({.user = user, .k = 8});
    ASSERT_EQ(a.items.size(), 8u);
    EXPECT_TRUE(a.known_user);
    EXPECT_EQ(a.snapshot, 1u);
    EXPECT_GE(of_taste(a, u % kTastes), 6) << u;
    const auto row = data.user_items().view().row_columns(u);
    for (const Recommended& r : a.items) EXPECT_FALSE(std::binary_search(row.begin(), row.end(), number_of(r.item))) << "seen";
    for (std::size_t i = 1; i < a.items.size(); ++i) EXPECT_GE(a.items[i - 1].score, a.items[i].score);
  }
}

TEST(Engine, AShoppersNextRequestSeesHisLastEvent) {
  Engine engine(at_noon(true));
  engine.publish(shop_snapshot());
  EXPECT_FALSE(engine.recommend({.user = "newcomer", .k = 10}).known_user);
  engine.observe({"newcomer", "i2"});
  engine.observe({"newcomer", "i6"});
  Answer a = engine.recommend({.user = "newcomer", .k = 10});
  EXPECT_TRUE(a.known_user);
  EXPECT_GE(of_taste(a, 2), 8);
  EXPECT_EQ(engine.metrics().folded_in, 1u);
  (void)engine.recommend({.user = "newcomer", .k = 10});
  EXPECT_EQ(engine.metrics().folded_in, 1u);
  EXPECT_EQ(engine.metrics().folded_from_cache, 1u);
  for (const int i : {1, 5, 9, 13, 17}) engine.observe({"newcomer", numbered("i", i), "purchase"});
  a = engine.recommend({.user = "newcomer", .k = 10});
  EXPECT_GE(of_taste(a, 1), 6);
  for (const std::string& key : keys(a))
    for (const char* seen : {"i1", "i2", "i5", "i6", "i9", "i13", "i17"}) EXPECT_NE(key, seen);
  EXPECT_EQ(engine.metrics().folded_in, 2u);
}

TEST(Engine, TheFoldedRowIsTheModelsOwnOfAllThatIsKnown) {
  SnapshotParts parts = shop_parts();
  parts.mix.standard.sources = {{"als", kItems, 1}};
  parts.mix.standard.normalization = Normalization::kNone;
  const auto als = std::dynamic_pointer_cast<const AlsModel>(parts.models[0].model);
  Engine engine(at_noon());
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  engine.observe({"u3", "i70", "purchase"});
  engine.observe({"u3", "i71"});
  const Answer a = engine.recommend({.user = "u3", .k = 20, .trace = true});
  std::vector<std::int32_t> history(als->history().view().row_columns(3).begin(), als->history().view().row_columns(3).end());
  std::vector<float> values(history.size(), 1.0f);
  history.insert(history.end(), {70, 71});
  values.insert(values.end(), {5.0f, 1.0f});
  Scratch scratch;
  std::vector<ItemScore> expected(20);
  ASSERT_EQ(als->recommend({.history = history, .recalculate_user = true, .history_values = values}, expected, scratch), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(number_of(a.items[i].item), expected[i].item) << i;
    EXPECT_EQ(a.trace->items[i].mixed, expected[i].score) << i;
  }
}

TEST(Engine, EventsThatTheModelsKnowAreNotCountedTwice) {
  SnapshotParts parts = shop_parts();
  parts.trained_ms = kNow - 1000;
  Engine engine(at_noon(true));
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  engine.observe({"u3", "i70", "purchase", kNow - 2000});
  (void)engine.recommend({.user = "u3"});
  EXPECT_EQ(engine.metrics().folded_in, 0u);
  engine.observe({"u3", "i71", "purchase", kNow - 500});
  (void)engine.recommend({.user = "u3"});
  EXPECT_EQ(engine.metrics().folded_in, 1u);
}

TEST(Engine, NobodyIsWithoutAnAnswer) {
  Engine engine(at_noon());
  EXPECT_TRUE(engine.recommend({.user = "anybody"}).items.empty()) << "nothing is known of any product";
  engine.observe({"ann", "i1", "purchase"});
  engine.observe({"bob", "i2"});
  EXPECT_EQ(keys(engine.recommend({})), (std::vector<std::string>{"i1", "i2"}));
  EXPECT_EQ(keys(engine.recommend({.user = "ann"})), (std::vector<std::string>{"i2"}));
  EXPECT_EQ(engine.recommend({}).snapshot, 0u);
  const Predicate stock = Predicate::in_stock();
  EXPECT_THROW((void)engine.recommend({.filter = &stock}), std::invalid_argument);

  engine.publish(shop_snapshot());
  const KeyView unknown[] = {KeyView("no such product"), KeyView(std::int64_t{7})};
  for (const Placement p : {Placement::kHome, Placement::kProductPage, Placement::kBasket, Placement::kCategoryPage, Placement::kSearch, Placement::kEmail})
    for (const bool anchored : {false, true}) {
      Request r{.user = "stranger", .placement = p, .k = 12};
      if (anchored) r.anchors = unknown;
      EXPECT_EQ(engine.recommend(r).items.size(), 12u) << placement_name(p);
      r.user.reset();
      EXPECT_EQ(engine.recommend(r).items.size(), 12u) << placement_name(p);
      r.user = std::int64_t{12345};
      EXPECT_EQ(engine.recommend(r).items.size(), 12u) << placement_name(p);
    }
  EXPECT_EQ(engine.recommend({.k = 0}).items.size(), 0u);
  EXPECT_EQ(engine.recommend({.k = 1'000'000}).items.size(), static_cast<std::size_t>(kItems));
}

TEST(Engine, NothingForbiddenIsShownAndEverythingElseMayBe) {
  Engine engine(at_noon());
  SnapshotParts parts = shop_parts();
  parts.rules = Rules::from_json(R"({"rules": [{"type": "exclude", "predicate": {"brand": ["brand0"]}},
                                               {"type": "cap", "by": "brand", "max": 3}]})");
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  const Predicate cheap = Predicate::in_stock() & Predicate::price(std::nullopt, 40.0);
  const Answer a = engine.recommend({.user = "u1", .k = 50, .filter = &cheap, .exclude_seen = false});
  EXPECT_EQ(a.items.size(), 12u);  // four brands, three of each
  std::map<int, int> brands;
  for (const Recommended& r : a.items) {
    const int i = number_of(r.item);
    EXPECT_TRUE(i % 2 == 0 && i <= 40 && i % 5 != 0) << i;
    EXPECT_LE(++brands[i % 5], 3);
  }
  int eligible = 0;
  for (int i = 0; i <= 40; ++i) eligible += i % 2 == 0 && i % 5 != 0;
  EXPECT_EQ(a.eligible, eligible);
  const Predicate bad = Predicate::tag({"x"});
  EXPECT_THROW((void)engine.recommend({.filter = &bad}), std::invalid_argument);
}

TEST(Engine, TheProductPageShowsWhatGoesWithIt) {
  Engine engine(at_noon());
  SnapshotParts parts = shop_parts();
  parts.mix.standard.sources = {{"co_purchase", 10, 1}};
  parts.mix.standard.fallback = {"popularity"};
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  for (int u = 0; u < 5; ++u) {
    const std::string user = numbered("v", u);
    engine.observe({user, "i10", "purchase"});
    engine.observe({user, "i33", "purchase"});
    if (u < 3) engine.observe({user, "i44", "purchase"});
  }
  const KeyView page[] = {KeyView("i10")};
  const Answer a = engine.recommend({.placement = Placement::kProductPage, .k = 2, .anchors = page, .explain = true});
  EXPECT_EQ(keys(a), (std::vector<std::string>{"i33", "i44"}));
  EXPECT_EQ(a.items[0].source, "co_purchase");
  ASSERT_EQ(a.why[0].because.size(), 1u);
  EXPECT_EQ(text_of(view_of(a.why[0].because[0].first)), "i10");
  EXPECT_EQ(a.why[0].because[0].second, 1.0f);
}

TEST(Engine, SaysWhatSpeaksForAProduct) {
  Engine engine(at_noon());
  SnapshotParts parts = shop_parts();
  parts.rules = Rules::from_json(R"({"rules": [{"type": "boost", "predicate": {"brand": ["brand1"]}, "factor": 2}]})");
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  for (const char* item : {"i3", "i7", "i11"}) engine.observe({"v", item});
  const Answer a = engine.recommend({.user = "v", .k = 10, .explain = true, .trace = true});
  ASSERT_EQ(a.why.size(), 10u);
  bool boosted = false;
  bool because = false;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_FALSE(a.why[i].sources.empty());
    float sum = 0;
    for (const auto& [item, share] : a.why[i].because) {
      EXPECT_EQ(number_of(item) % 4, 3);
      EXPECT_GT(share, 0);
      sum += share;
      because = true;
    }
    EXPECT_LE(sum, 1.001f);
    for (const std::string& rule : a.why[i].rules) boosted |= rule == "boosted by 2";
  }
  EXPECT_TRUE(boosted);
  EXPECT_TRUE(because);
  EXPECT_EQ(a.trace->audit_id, a.audit_id);
  EXPECT_GT(engine.recommend({}).audit_id, a.audit_id);
}

TEST(Engine, AnErasedShopperIsUnknownToModelsToo) {
  Engine engine(at_noon());
  engine.publish(shop_snapshot());
  engine.observe({"u1", "i70"});
  EXPECT_TRUE(engine.recommend({.user = "u1"}).known_user);
  engine.erase_user("u1");
  const Answer a = engine.recommend({.user = "u1"});
  EXPECT_FALSE(a.known_user);
  EXPECT_EQ(keys(a), keys(engine.recommend({.user = "stranger"})));
  // Once models come that were fitted later, they may be asked about whoever comes back under that key.
  SnapshotParts parts = shop_parts();
  parts.trained_ms = kNow + 1;
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  EXPECT_TRUE(engine.recommend({.user = "u1"}).known_user);
}

TEST(Engine, AVisitorWhoLogsInIsAnsweredByBothHistories) {
  Engine engine(at_noon());
  engine.publish(shop_snapshot());
  for (const char* item : {"i2", "i6", "i10"}) engine.observe({"cookie", item});
  engine.merge_users("cookie", "customer");
  EXPECT_GE(of_taste(engine.recommend({.user = "customer"}), 2), 8);
  EXPECT_FALSE(engine.recommend({.user = "cookie"}).known_user);
}

TEST(Engine, SegmentsHaveFavouritesOfTheirOwn) {
  SnapshotParts parts = shop_parts();
  const auto popular = [](int taste) {
    CsrMatrix m;
    m.rows = 1;
    m.cols = kItems;
    std::vector<std::int32_t> columns;
    for (int i = taste; i < kItems; i += kTastes) columns.push_back(i);
    m.offsets = Array<std::int64_t>(std::vector<std::int64_t>{0, static_cast<std::int64_t>(columns.size())});
    m.columns = Array<std::int32_t>(columns);
    m.values = Array<float>(std::vector<float>(columns.size(), 1.0f));
    auto p = std::make_shared<PopularityModel>(PopularityOptions{.keep_history = false});
    p->fit(m);
    return p;
  };
  parts.segment_popularity = {{"", popular(0)}, {"new", popular(3)}};
  Engine engine(at_noon());
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  EXPECT_EQ(of_taste(engine.recommend({.k = 5, .segment = "new"}), 3), 5);
  EXPECT_EQ(of_taste(engine.recommend({.k = 5, .segment = "other"}), 0), 5);
}

TEST(Engine, NewProductsOfTheCatalogueArriveWithIt) {
  SnapshotParts parts = shop_parts();
  parts.catalog = testing::shop_catalog(testing::shop_interactions(), 3);
  parts.mix.standard.fallback = {"new_arrivals"};
  Engine engine(at_noon());
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  EXPECT_EQ(keys(engine.recommend({.k = 3})), (std::vector<std::string>{"new82", "new81", "new80"}));
}

TEST(Engine, SearchResultsAreReRankedAndNothingElseComesIn) {
  Engine engine(at_noon());
  engine.publish(shop_snapshot());
  const std::pair<KeyView, float> given[] = {{"i5", 3.0f}, {"i9", 2.0f}, {"gone", 1.5f}, {"i2", 1.0f}};
  const Answer a = engine.recommend({.placement = Placement::kSearch, .k = 3, .given = given});
  EXPECT_EQ(keys(a), (std::vector<std::string>{"i5", "i9", "i2"}));
  EXPECT_EQ(a.items[0].source, "given");
}

TEST(Engine, RollsBackAndForth) {
  Engine engine(at_noon());
  EXPECT_THROW(engine.rollback(), std::logic_error);
  EXPECT_THROW(engine.publish(nullptr), std::invalid_argument);
  EXPECT_EQ(engine.publish(shop_snapshot("a")), 1u);
  EXPECT_THROW(engine.rollback(), std::logic_error);
  EXPECT_EQ(engine.publish(shop_snapshot("b")), 2u);
  EXPECT_EQ(keys(engine.recommend({.k = 1}))[0][0], 'b');
  EXPECT_EQ(engine.rollback(), 1u);
  EXPECT_EQ(engine.recommend({}).snapshot, 1u);
  EXPECT_EQ(keys(engine.recommend({.k = 1}))[0][0], 'a');
  EXPECT_EQ(engine.rollback(), 2u);
  EXPECT_EQ(engine.publish(shop_snapshot("c")), 3u);
}

TEST(Engine, SavedAndOpenedItAnswersTheSame) {
  const TempDir dir;
  Engine engine(at_noon());
  SnapshotParts parts = shop_parts();
  parts.label = "monday";
  parts.trained_ms = 17;
  parts.rules = Rules::from_json(R"({"rules": [{"type": "cap", "by": "brand", "max": 2}]})");
  parts.rerank.method = RerankMethod::kMmr;
  const auto als = std::make_shared<AlsModel>(dynamic_cast<const AlsModel&>(*parts.models[0].model));
  build_index(*als, IndexKind::kExact);
  parts.models[0].model = als;
  parts.segment_popularity["vip"] = parts.models[2].model;
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  for (const char* item : {"i3", "i7", "i11"}) engine.observe({"v", item, "purchase"});
  engine.observe({"u4", "i3"});
  engine.erase_user("u5");
  save(engine, dir / "shop.etalage");
  const auto opened = load_engine(dir / "shop.etalage", at_noon());
  for (const Placement p : {Placement::kHome, Placement::kBasket, Placement::kEmail})
    for (const char* user : {"v", "u3", "u4", "u5", "stranger"}) {
      const Answer a = engine.recommend({.user = user, .placement = p, .k = 9});
      const Answer b = opened->recommend({.user = user, .placement = p, .k = 9});
      EXPECT_EQ(keys(a), keys(b)) << user;
      EXPECT_EQ(a.known_user, b.known_user) << user;
    }
  EXPECT_EQ(opened->snapshot()->parts().label, "monday");
  EXPECT_EQ(opened->snapshot()->parts().trained_ms, 17);
  EXPECT_EQ(opened->observe({"v", "i2"}), engine.observe({"v", "i2"}));

  // A snapshot alone: the same models and rules, without what is live.
  save(*engine.snapshot(), dir / "snapshot.etalage");
  Engine fresh(at_noon());
  fresh.publish(engine.snapshot());
  for (const char* file : {"shop.etalage", "snapshot.etalage"}) {
    Engine other(at_noon());
    other.publish(load_snapshot(dir / file));
    EXPECT_EQ(keys(other.recommend({.user = "u3", .k = 9})), keys(fresh.recommend({.user = "u3", .k = 9})));
  }
  EXPECT_THROW((void)load_engine(dir / "snapshot.etalage", at_noon()), FormatError);
  Engine bare(at_noon());
  save(bare, dir / "bare.etalage");
  EXPECT_THROW((void)load_snapshot(dir / "bare.etalage"), FormatError);
  EXPECT_EQ(load_engine(dir / "bare.etalage", at_noon())->snapshot(), nullptr);
}

TEST(Engine, AJournalBringsShoppersBack) {
  const TempDir dir;
  std::vector<std::string> before;
  {
    Engine engine(dir.path(), at_noon());
    engine.publish(shop_snapshot());
    for (const char* item : {"i3", "i7", "i11"}) engine.observe({"v", item});
    before = keys(engine.recommend({.user = "v"}));
    engine.events().sync();
    EXPECT_EQ(engine.durable_through(), 3u);
  }
  Engine engine(dir.path(), at_noon());
  engine.publish(shop_snapshot());
  EXPECT_EQ(keys(engine.recommend({.user = "v"})), before);
}

TEST(Engine, CountsWhatItDoes) {
  int answers = 0;
  EngineOptions o = at_noon(true);
  o.on_answer = [&](const Request& r, const Answer& a) { answers += r.k == a.items.size(); };
  Engine engine(o);
  engine.publish(shop_snapshot());
  engine.observe({"v", "i3"});
  for (int i = 0; i < 10; ++i) (void)engine.recommend({.user = "v", .k = 5});
  (void)engine.recommend({.user = "stranger", .k = 5});
  const Predicate stock = Predicate::in_stock();
  (void)engine.recommend({.k = 5, .filter = &stock});
  const EngineMetrics m = engine.metrics();
  EXPECT_EQ(answers, 12);
  EXPECT_EQ(m.requests, 12u);
  EXPECT_EQ(m.unknown_users, 1u);
  EXPECT_EQ(m.events, 1u);
  EXPECT_EQ(m.filtered, static_cast<std::uint64_t>(kItems / 2));
  EXPECT_EQ(m.denied, 10u);
  EXPECT_GT(m.fallback_candidates, 0u);
  std::uint64_t shown = 0;
  for (const auto& s : m.sources) shown += s.shown;
  EXPECT_EQ(shown, 60u);
  EXPECT_GE(m.distinct_shown, 5u);
  EXPECT_DOUBLE_EQ(m.coverage, static_cast<double>(m.distinct_shown) / kItems);
  ASSERT_EQ(m.stages.back().name, "total");
  EXPECT_EQ(m.stages.back().seconds.count, 12u);
  EXPECT_GT(m.stages.back().seconds.quantile(0.5), 0);
  const std::string text = m.prometheus();
  EXPECT_NE(text.find("etalage_requests_total 12\n"), std::string::npos);
  EXPECT_NE(text.find("etalage_stage_seconds_count{stage=\"total\"} 12\n"), std::string::npos);
  EXPECT_NE(text.find("etalage_shown_total{source=\"als\"}"), std::string::npos);
  EXPECT_TRUE(Engine(at_noon()).metrics().stages.empty());
}

TEST(LatencyHistogram, BucketsHoldWhatTheyShould) {
  for (std::uint64_t ns = 0; ns < 100'000; ns += 1 + ns / 50) {
    const std::size_t b = LatencyHistogram::bucket_of(ns);
    EXPECT_LT(ns, LatencyHistogram::upper_bound(b));
    if (b > 0) { EXPECT_GE(ns, LatencyHistogram::upper_bound(b - 1)); }
  }
  LatencyHistogram h;
  for (std::uint64_t ns = 1; ns <= 1000; ++ns) {
    ++h.counts[LatencyHistogram::bucket_of(ns * 1000)];
    ++h.count;
  }
  EXPECT_NEAR(h.quantile(0.5), 500e-6, 65e-6);
  EXPECT_NEAR(h.quantile(0.99), 990e-6, 125e-6);
  EXPECT_EQ(LatencyHistogram{}.quantile(0.5), 0);
}

TEST(Snapshot, PartsMustFitTogether) {
  const auto rejects = [](auto&& change) {
    SnapshotParts p = shop_parts();
    change(p);
    EXPECT_THROW(Snapshot{std::move(p)}, std::invalid_argument);
  };
  rejects([](auto& p) { p.models[0].model = nullptr; });
  rejects([](auto& p) { p.models[0].source = "trending"; });
  rejects([](auto& p) { p.models[1].source = "als"; });
  rejects([](auto& p) { p.models[1].model = testing::shop_als(testing::shop_interactions("other")); });
  rejects([](auto& p) { p.content_index = std::make_shared<ItemIndex>(3, IndexMetric::kDot, IndexKind::kExact); });
  rejects([](auto& p) { p.segment_popularity["x"] = nullptr; });
  SnapshotParts fewer = shop_parts();
  fewer.models.push_back({"yesterday", testing::shop_als(testing::shop_interactions("i", 2, 40)), RecommenderSource::Ask::kShopper});
  Engine engine(at_noon());
  engine.publish(std::make_shared<const Snapshot>(std::move(fewer)));
  EXPECT_EQ(engine.recommend({.user = "u7", .k = 20}).items.size(), 20u);
}

}  // namespace
}  // namespace etalage
