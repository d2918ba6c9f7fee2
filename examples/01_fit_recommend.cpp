// SPDX-License-Identifier: Apache-2.0
// From a shop's events to products for a shopper, in one process: make a shop, fit, recommend, save, load.
//   01_fit_recommend [FILE]               all of it, with the model in FILE
//   01_fit_recommend --open FILE KEY      only what a backend does: the file of a model, wherever it was fitted, and a shopper's key
#include <cstdio>
#include <filesystem>
#include <string_view>

#include <etalage/etalage.hpp>

namespace {

int answer(const char* path, std::string_view key) {
  const auto model = etalage::load(path);
  if (model->user_ids() == nullptr || model->item_ids() == nullptr) return 1;
  etalage::Scratch scratch;
  etalage::ItemScore best[5];
  const std::int32_t user = model->user_ids()->find(key);
  const std::size_t found = model->recommend({.user = user}, best, scratch);
  for (std::size_t i = 0; i < found; ++i)
    std::printf("%s %.6g\n", model->item_ids()->text_at(best[i].item).c_str(), static_cast<double>(best[i].score));
  return found > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--open") return answer(argv[2], argv[3]);
  const std::filesystem::path path =
      argc > 1 ? std::filesystem::path(argv[1]) : std::filesystem::temp_directory_path() / "etalage_example.etalage";

  // A made-up shop stands in for your own events; EventLog also reads CSV files and Arrow streams.
  const etalage::SyntheticStore store = etalage::make_synthetic_store({.users = 1000, .items = 400});
  const etalage::Interactions data = store.log().interactions(
      {.event_weights = {{"view", 1}, {"cart", 3}, {"purchase", 5}}, .half_life_days = 90, .return_event = "return"});

  etalage::AlsModel model({.factors = 32, .iterations = 8});
  const etalage::FitReport report = model.fit(data);
  std::printf("fitted %d users and %d items in %.2f s\n", model.num_users(), model.num_items(), report.seconds);
  etalage::save(model, path);

  // What the backend does: map the file, answer queries. The keys came with the model.
  const auto loaded = etalage::load(path);
  etalage::Scratch scratch;
  etalage::ItemScore best[5];
  const std::size_t found = loaded->recommend({.user = 7}, best, scratch);
  std::printf("for shopper 7:\n");
  for (std::size_t i = 0; i < found; ++i)
    std::printf("  %6.3f  %s\n", static_cast<double>(best[i].score),
                store.catalog.names[static_cast<std::size_t>(best[i].item)].c_str());

  // A shopper nobody knows yet, by what lies in the basket; sold-out products left out.
  std::vector<std::int32_t> sold_out;
  for (std::int32_t i = 0; i < loaded->num_items(); ++i)
    if (store.catalog.stock[static_cast<std::size_t>(i)] == 0) sold_out.push_back(i);
  const etalage::ItemFilter in_stock = etalage::ItemFilter::deny(sold_out);
  const std::int32_t basket[] = {best[0].item, best[1].item};
  const std::size_t more = loaded->recommend({.session = basket, .filter = &in_stock}, best, scratch);
  std::printf("beside this basket:\n");
  for (std::size_t i = 0; i < more; ++i)
    std::printf("  %6.3f  %s\n", static_cast<double>(best[i].score),
                store.catalog.names[static_cast<std::size_t>(best[i].item)].c_str());
  return found == 5 && more == 5 ? 0 : 1;
}
