// SPDX-License-Identifier: Apache-2.0
// Writes the golden files of the current format version that are not there yet:
//   cmake --build build --target make_golden && build/tests/make_golden tests/golden/v1
// A file that is there is not written again: after a release it stands for what earlier libraries wrote.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iomanip>

#include "etalage/io/engine_files.hpp"
#include "etalage/io/lifetime_files.hpp"
#include "etalage/io/profile_files.hpp"
#include "etalage/io/serialization.hpp"
#include "io/sample_models.hpp"
#include "io/tiny_model.hpp"
#include "marketing/lifetime_sample.hpp"
#include "models/cold_start_sample.hpp"
#include "profile/intent_sample.hpp"
#include "profile/profile_data.hpp"
#include "serving/engine_sample.hpp"
#include "serving/journal_sample.hpp"

int main(int argc, char** argv) {
  using namespace etalage;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden DIRECTORY\n");
    return 2;
  }
  const std::filesystem::path dir = argv[1];
  std::filesystem::create_directories(dir);
  const auto write = [&](const std::string& name, const Recommender& model) {
    const auto path = dir / (name + ".etalage");
    if (std::filesystem::exists(path)) return false;
    save(model, path);
    std::printf("%s\n", path.c_str());
    return true;
  };
  const auto write_answers = [&](const std::string& name, const std::vector<double>& answers) {
    std::ofstream out(dir / (name + ".txt"));
    out << std::setprecision(12);
    for (const double x : answers) out << x << '\n';
  };
  // Objects that are no models, with what they say.
  const auto write_object = [&](const std::string& name, const auto& object, const std::vector<double>& answers) {
    const auto path = dir / (name + ".etalage");
    if (std::filesystem::exists(path)) return;
    save(object, path);
    std::printf("%s\n", path.c_str());
    write_answers(name, answers);
  };
  const auto cold = testing::sample_cold_start();
  write_object("ColdStartItems", *cold, testing::cold_start_answers(*cold));
  const auto profiles = testing::sample_profiles();
  write_object("Profiles", *profiles, testing::profile_answers(*profiles));
  for (const bool trees : {false, true}) {
    const auto intent = testing::sample_intent(trees);
    write_object(trees ? "PurchaseIntentTrees" : "PurchaseIntent", *intent, testing::intent_answers(*intent));
  }
  const auto lifetime = testing::sample_lifetime();
  write_object("LifetimeModel", lifetime, testing::lifetime_answers(lifetime));
  const auto money = testing::sample_money();
  write_object("GammaGamma", money, testing::money_answers(money));
  const auto opportunities = testing::sample_opportunities();
  write_object("BgBb", opportunities, testing::opportunity_answers(opportunities));
  Engine quiet(testing::sample_engine_options());
  quiet.publish(testing::sample_snapshot());
  write_object("Snapshot", *quiet.snapshot(), testing::engine_answers(quiet));
  const auto engine = testing::sample_engine();
  write_object("Engine", *engine, testing::engine_answers(*engine));
  if (!std::filesystem::exists(dir / "Journal")) {
    (void)testing::sample_journal(dir / "Journal");
    write_answers("Journal", testing::sample_journal(dir / "Journal"));  // as it is recovered: items are numbered anew
  }
  if (!std::filesystem::exists(dir / "JournalLog")) {
    EventStore store(dir / "JournalLog", testing::log_sample_options());
    testing::log_sample_events(store);
    write_answers("JournalLog", testing::store_answers(store));
  }
  write("Tiny", testing::tiny_model());
  for (const testing::SampleModel& sample : testing::sample_models()) {
    const auto model = sample.make();
    if (!write(sample.kind, *model)) continue;
    std::ofstream out(dir / (std::string(sample.kind) + ".txt"));
    out << std::setprecision(9);
    for (const double x : testing::answers(*model)) out << x << '\n';
  }
  return 0;
}
