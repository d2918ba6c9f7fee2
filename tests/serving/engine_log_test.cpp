// SPDX-License-Identifier: Apache-2.0
// From files and logs into an engine: observe_log, a catalogue from CSV, an index over a model's factors.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/csv.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/cold_start.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/serving/engine.hpp"
#include "etalage/serving/factor_index.hpp"
#include "io/tiny_model.hpp"
#include "models/factor_fixture.hpp"

namespace etalage {
namespace {

using testing::TempDir;

std::filesystem::path file(const TempDir& dir, const std::string& text) {
  std::ofstream(dir / "x.csv", std::ios::binary) << text;
  return dir / "x.csv";
}

TEST(EngineLog, EveryRowIsObservedAsItStands) {
  const TempDir dir;
  const EventLog log = read_events_csv(file(dir, "user,item,kind,at,n\nann,mug,view,2026-01-01,1\nann,cup,purchase,2026-01-02,2\nbob,mug,view,2026-01-03,1\n"),
                                       {.event = "kind", .time = "at", .value = "n"});
  const std::filesystem::path journal = dir / "journal";
  {
    Engine engine(journal);  // options are the default ones
    EXPECT_EQ(engine.observe_log(log), 3u);
    EXPECT_EQ(engine.observe_log(log), 3u) << "rows with times are taken once";
  }
  const Engine engine(journal);
  UserView ann;
  ASSERT_TRUE(engine.events().read_user("ann", ann));
  ASSERT_EQ(ann.history.size(), 2u);
  EXPECT_EQ(ann.history[1].value, 2.0f);
  EXPECT_EQ(ann.history[0].time_ms, parse_time_ms("2026-01-01"));
  EXPECT_EQ(ann.seen[1].purchases, 1);

  // Without types every row is what the caller says; without keys the indices are the keys.
  EventStore store;
  const EventLog plain = read_events_csv(file(dir, "user,item\n1,5\n1,6\n"));
  EXPECT_EQ(store.observe_log(plain, "cart"), 2u);
  UserView one;
  ASSERT_TRUE(store.read_user(1, one));
  EXPECT_EQ(one.history[0].taste, 3.0f);
  EventLog::Columns bare = plain.columns();
  bare.user_ids = bare.item_ids = nullptr;
  EventStore indices;
  EXPECT_EQ(indices.observe_log(EventLog(bare)), 2u);
  EXPECT_TRUE(indices.read_user(0, one));
  EXPECT_THROW(store.observe_log(plain, "no such type"), std::invalid_argument);
}

TEST(CatalogCsv, ReadsWhatTheColumnsName) {
  const TempDir dir;
  const CatalogColumns columns{.item = "sku", .name = "title", .category = "path", .brand = "brand", .price = "price", .tags = "tags"};
  const Catalog c = read_catalog_csv(file(dir, "sku,title,path,brand,price,tags,unused\r\n017,\"Mug, \"\"blue\"\"\",Home > Kitchen,acme,9.5,a|b,1\r\nB2,Cup,,,,,\r\n"), columns);
  ASSERT_EQ(c.size(), 2);
  EXPECT_EQ(c.item_ids()->string_at(0), "017");
  EXPECT_EQ(c.name(0), "Mug, \"blue\"");
  ASSERT_EQ(c.category(0).size(), 2u);
  EXPECT_EQ(c.category(0)[1], "Kitchen");
  EXPECT_EQ(c.price(0), 9.5f);
  EXPECT_TRUE(std::isnan(c.price(1)));
  EXPECT_EQ(c.tags(0).size(), 2u);
  EXPECT_TRUE(c.category(1).empty());
  // Keys as the events' files have them: plain integers become integers.
  EXPECT_EQ(read_catalog_csv(file(dir, "item\n7\n9\n")).item_ids()->integer_at(1), 9);
  EXPECT_EQ(read_catalog_csv(file(dir, "item\n7\n"), {}, {.integer_keys = false}).item_ids()->string_at(0), "7");

  const auto message = [&](const std::string& text, const CatalogColumns& of) {
    try {
      (void)read_catalog_csv(file(dir, text), of);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_EQ(message("item,price\na,1\nb,-2\n", {.price = "price"}), "line 3: price is -2, must be >= 0");
  EXPECT_NE(message("item,price\na,1\nb,much\n", {.price = "price"}).find("line 3: price is 'much'"), std::string::npos) << message("item,price\na,1\nb,much\n", {.price = "price"});
  EXPECT_EQ(message("item\na\n\nb\na\n", {}), "line 5: item is 'a', which line 2 has, must be unique");
  EXPECT_NE(message("item,price\na\n", {.price = "price"}).find("line 2"), std::string::npos);
  EXPECT_NE(message("item\na\n", {.name = "title"}).find("'title'"), std::string::npos);
  EXPECT_NE(message("item\na\n", {.tags = "item", .tag_separator = ""}).find("tag_separator"), std::string::npos);
  EXPECT_THROW((void)read_catalog_csv(dir / "none.csv"), std::filesystem::filesystem_error);
}

TEST(FactorIndexOf, LiesByFallingNormAndChangesNoAnswer) {
  VectorsModel model(testing::normal_factors(20, 8, 1), testing::normal_factors(500, 8, 2), 8);
  Scratch scratch;
  std::vector<ItemScore> plain(10), indexed(10);
  ASSERT_EQ(model.recommend({.user = 3}, plain, scratch), 10u);
  build_index(model, IndexKind::kExact);
  ASSERT_NE(model.index(), nullptr);
  ASSERT_EQ(model.recommend({.user = 3}, indexed, scratch), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(plain[i].item, indexed[i].item);
    EXPECT_EQ(plain[i].score, indexed[i].score);
  }
  const auto index = make_factor_index(model, IndexKind::kExact);
  double before = INFINITY;
  for (const std::int64_t id : index->ids()) {
    double norm2 = 0;
    for (const float v : model.item_row(static_cast<std::int32_t>(id))) norm2 += static_cast<double>(v) * static_cast<double>(v);
    EXPECT_LE(norm2, before);
    before = norm2;
  }
  EXPECT_EQ(make_factor_index(model)->structure(), IndexKind::kHnsw);
  AlsModel unfitted(AlsOptions{});
  EXPECT_THROW(build_index(unfitted), NotFittedError);
}

TEST(FitReports, ComeFromEveryFit) {
  PopularityModel popularity;
  const std::vector<std::int32_t> items{0, 1, 1};
  CsrMatrix rows{2, 2, Array<std::int64_t>(std::vector<std::int64_t>{0, 2, 3}), Array<std::int32_t>(std::vector<std::int32_t>{0, 1, 1}),
                 Array<float>(std::vector<float>{1, 1, 1})};
  EXPECT_EQ(popularity.fit(rows).stop_reason, FitReport::StopReason::kClosedForm);
  ColdStart cold;
  const float factors[] = {1, 2};
  const FitReport report = cold.fit(rows.view(), {factors, 2, 1});
  EXPECT_EQ(report.stop_reason, FitReport::StopReason::kClosedForm);
  EXPECT_GE(report.seconds, 0.0);
}

}  // namespace
}  // namespace etalage
