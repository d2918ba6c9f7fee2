// SPDX-License-Identifier: Apache-2.0
// From two CSV files to answers: csv_to_service [events.csv products.csv]
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <etalage/etalage.hpp>

namespace {

using namespace etalage;
namespace fs = std::filesystem;

/// The night's job: read, fit, check, write one file that the service maps.
void train(const fs::path& events, const fs::path& products, const fs::path& file) {
  const EventLog log = read_events_csv(events, {.user = "customer", .item = "sku", .event = "event", .time = "time", .value = "quantity",
                                                .time_unit = TimeUnit::kMillisecond});
  InteractionOptions weights;
  weights.event_weights = {{"view", 1}, {"cart", 3}, {"purchase", 5}};
  weights.return_event = "return";
  const Interactions data = log.interactions(weights);

  auto als = std::make_shared<AlsModel>(AlsOptions{.factors = 32, .iterations = 5});
  const FitReport report = als->fit(data, [](const Progress& p) { return p.seconds < 600; });  // false ends the fit
  build_index(*als, IndexKind::kExact);
  auto together = std::make_shared<ItemKnnModel>();
  together->fit(data);
  auto popularity = std::make_shared<PopularityModel>();
  popularity->fit(data);
  std::printf("%lld pairs, ALS fitted in %.2f s\n", static_cast<long long>(data.user_items().nnz()), report.seconds);

  SnapshotParts parts;
  parts.label = "nightly";
  parts.trained_ms = log.columns().times_ms.empty() ? 0 : log.columns().times_ms.back();
  parts.catalog = std::make_shared<const Catalog>(read_catalog_csv(products, {.item = "sku", .name = "title", .brand = "brand", .price = "price"}));
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper},
                  {"item_to_item", together, RecommenderSource::Ask::kSimilar},
                  {"popularity", popularity, RecommenderSource::Ask::kAnyone}};
  parts.rules = Rules::from_json(R"({"rules": [{"type": "cap", "by": "brand", "max": 4}]})");
  save(Snapshot(std::move(parts)), file);  // the old file or the new one is there, never half of one
}

/// A source of the shop's own: what the editors chose, best first. Called by many threads at once.
class Editors final : public CandidateSource {
 public:
  explicit Editors(std::vector<std::int32_t> rows) : CandidateSource("editors"), rows_(std::move(rows)) {}
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch&) const override {
    std::size_t n = 0;
    for (const std::int32_t row : rows_)
      if (n < out.size() && query.allows(row)) out[n++] = {row, 1.0f / static_cast<float>(n + 1)};
    return n;
  }

 private:
  std::vector<std::int32_t> rows_;
};

/// What the service publishes at start and after every night.
std::shared_ptr<const Snapshot> open(const fs::path& file) {
  SnapshotParts parts = load_snapshot(file)->parts();  // arrays stay where the file is mapped
  parts.mix.standard = default_mix(parts, Placement::kHome);
  parts.sources.push_back(std::make_shared<Editors>(std::vector<std::int32_t>{0, 1, 2}));
  parts.mix.standard.sources.push_back({"editors", 10, 0.5f});
  return std::make_shared<const Snapshot>(std::move(parts));
}

void write_sample(const fs::path& events, const fs::path& products) {
  const SyntheticStore store = make_synthetic_store({.users = 500, .items = 300});
  const EventLog log = store.log();
  const EventLog::Columns& c = log.columns();
  std::ofstream rows(events);
  rows << "customer,sku,event,time,quantity\n";
  for (std::size_t i = 0; i < c.users.size(); ++i)
    rows << c.user_ids->text_at(c.users[i]) << ',' << c.item_ids->text_at(c.items[i]) << ',' << c.event_names[c.events[i]] << ','
         << c.times_ms[i] << ',' << c.values[i] << '\n';
  std::ofstream out(products);
  out << "sku,title,brand,price\n";
  for (std::int32_t i = 0; i < c.item_ids->size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    out << c.item_ids->text_at(i) << ",\"" << store.catalog.names[at] << "\",\"" << store.catalog.brands[at] << "\"," << store.catalog.prices[at] << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const fs::path folder = fs::temp_directory_path() / ("csv-to-service-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const fs::path events = argc > 2 ? argv[1] : folder / "events.csv", products = argc > 2 ? argv[2] : folder / "products.csv";
  if (argc <= 2) write_sample(events, products);
  train(events, products, folder / "shop.etalage");

  std::size_t answered = 0;
  {
    Engine engine(folder / "journal");  // live events survive a crash there
    engine.publish(open(folder / "shop.etalage"));
    std::vector<std::thread> threads;
    std::vector<std::size_t> counts(4);
    for (std::size_t t = 0; t < counts.size(); ++t)
      threads.emplace_back([&, t] {
        EngineScratch scratch;  // one a thread: nothing is allocated once it is warm
        Answer answer;
        for (int i = 0; i < 200; ++i) {
          const std::string visitor = "visitor-" + std::to_string(t);
          engine.recommend({.user = visitor, .k = 10}, answer, scratch);
          if (answer.items.empty()) continue;
          engine.observe({.user = visitor, .item = answer.items[0].item, .type = "view"});
          counts[t] += answer.items.size() == 10;
        }
      });
    engine.publish(open(folder / "shop.etalage"));  // the next night; no request waits
    for (std::thread& t : threads) t.join();        // first whoever asks, then the engine
    for (const std::size_t n : counts) answered += n;
    const Answer page = engine.recommend({.user = "visitor-1", .placement = Placement::kProductPage, .k = 3, .anchors = {engine.recommend({}).items[0].item}});
    for (const Recommended& r : page.items) std::printf("%s from %s\n", text_of(r.item).c_str(), r.source.c_str());
  }
  fs::remove_all(folder);
  std::printf("%zu of 800 answers were full\n", answered);
  return answered == 800 ? 0 : 1;
} catch (const std::exception& e) {  // every message names the argument or file, the value and the rule
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
